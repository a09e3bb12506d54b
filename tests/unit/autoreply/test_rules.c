/* rules.h: the file, and which rule a mail gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mails.h"
#include "rules.h"

static const own_t nobody = OWN_INIT;

/* The name of the rule that `members` gets under `rules`, "" for none. */
static void check_match(const rules_t *rules, const own_t *own, const char *members,
                        const char *expected)
{
    agentmail_message_t *message = mail_with(members);
    const rule_t *rule = rules_match(rules, message, own);
    if (strcmp(rule == NULL ? "" : rule->name, expected) != 0) {
        fail_msg("%s: %s instead of %s", members, rule == NULL ? "none" : rule->name, expected);
    }
    agentmail_message_free(&message);
}

static void test_shipped_rules_are_the_guides_bot(void **state)
{
    (void)state;
    rules_t *rules = NULL;
    assert_int_equal(rules_load("", &rules, NULL), MAILBUS_OK);
    assert_int_equal(rules->count, 2);
    assert_string_equal(rules->items[0].name, "support");
    assert_string_equal(rules->items[0].text,
                        "Thanks for contacting support! We'll respond within 24 hours.");
    assert_null(rules->items[0].html);
    assert_string_equal(rules->items[1].name, "sales");
    assert_string_equal(rules->items[1].text,
                        "Thanks for your interest! A sales rep will contact you soon.");
    check_match(rules, &nobody, "", "support");
    check_match(rules, &nobody,
                "\"inbox_id\":\"Sales-EU@agentmail.to\",\"to\":\"sales-eu@agentmail.to\"", "sales");
    check_match(rules, &nobody, "\"inbox_id\":\"agent@agentmail.to\",\"to\":\"agent@agentmail.to\"",
                "");
    rules_free(&rules);
    assert_null(rules);
}

static void test_only_our_own_recipients_count(void **state)
{
    (void)state;
    rules_t *rules = NULL;
    own_t own = OWN_INIT;
    assert_int_equal(rules_load("", &rules, NULL), MAILBUS_OK);
    assert_int_equal(own_parse("support@ours.example", &own, NULL), MAILBUS_OK);
    const char *others = "\"inbox_id\":\"agent@agentmail.to\",\"to\":\"agent@agentmail.to\","
                         "\"cc\":[\"support@elsewhere.org\"]";
    const char *ours = "\"inbox_id\":\"agent@agentmail.to\",\"to\":\"agent@agentmail.to\","
                       "\"cc\":[\"support@ours.example\"]";
    check_match(rules, &own, others, "");
    check_match(rules, &own, ours, "support");
    check_match(rules, &nobody, ours, "");
    own_free(&own);
    rules_free(&rules);
}

static void test_first_match_wins_and_all_conditions_must_hold(void **state)
{
    (void)state;
    rules_t *rules = NULL;
    assert_int_equal(rules_parse("rules\n"
                                 "    invoices\n"
                                 "        subject = \"INVOICE\"\n"
                                 "        sender = \"@example.com\"\n"
                                 "        text = \"a\"\n"
                                 "    inbox\n"
                                 "        inbox = \"Support@agentmail.to\"\n"
                                 "        subject = \"urgent\"\n"
                                 "        text = \"b\"\n"
                                 "    rest\n"
                                 "        recipient = \"@\"\n"
                                 "        text = \"c\"\n",
                                 ".", &rules, NULL),
                     MAILBUS_OK);
    check_match(rules, &nobody, "\"subject\":\"Urgent: my invoice\"", "invoices");
    check_match(rules, &nobody, "\"subject\":\"Urgent: my invoice\",\"from\":\"a@b.org\"", "inbox");
    check_match(rules, &nobody, "\"subject\":\"hello\"", "rest");
    check_match(rules, &nobody, "\"subject\":null", "rest");
    check_match(rules, &nobody,
                "\"subject\":\"urgent\",\"inbox_id\":\"support@agentmail.to.evil.org\","
                "\"to\":\"support@agentmail.to.evil.org\"",
                "rest");
    rules_free(&rules);
}

static void check_refused(const char *text, const char *says)
{
    rules_t *rules = NULL;
    mailbus_error_t error = {0};
    mailbus_code_t code = rules_parse(text, ".", &rules, &error);
    if (code == MAILBUS_OK || strstr(error.text, says) == NULL) {
        fail_msg("%d \"%s\" for: %s", code, error.text, text);
    }
    assert_null(rules);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    check_refused("", "no rules");
    check_refused("rules\n", "no rules");
    check_refused("rule\n    a\n        text = \"x\"\n", "\"rule\" stands where");
    check_refused("rules\n    a\n        text = \"x\"\n", "rule \"a\": it needs a recipient");
    check_refused("rules\n    a\n        subject = \"x\"\n", "rule \"a\": it needs a text");
    check_refused("rules\n    a\n        subjekt = \"x\"\n        text = \"x\"\n",
                  "\"subjekt\" is no key");
    check_refused("rules\n    a\n        subject = \"\"\n        text = \"x\"\n",
                  "\"subject\" has no value");
    check_refused("rules\n    a\n        text = \"x\"\n        text = \"y\"\n", "given twice");
    check_refused("rules\n    a\n        subject = \"x\"\n        text = \"{{oops}}\"\n",
                  "{{oops}} is no placeholder");
    check_refused("rules\n    a\n        subject = \"x\"\n        text = \"\xff\"\n", "UTF-8");
    check_refused("rules\n    a\n        subject = \"x\"\n        text = \"x\"\n"
                  "    a\n        subject = \"x\"\n        text = \"x\"\n",
                  "two rules are called \"a\"");
    check_refused(
        "rules\n    a\n        subject = \"x\"\n        text_file = \"/nowhere/at/all\"\n",
        "/nowhere/at/all: No such file");
    check_refused("rules\n          a = 1\n", "ZPL");
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void test_texts_are_read_from_files_beside_the_rules(void **state)
{
    (void)state;
    char folder[] = "/tmp/mailbus-rules-XXXXXX";
    char path[300];
    assert_non_null(mkdtemp(folder));
    write_file(folder, "answer.txt", "Hello {{sender.name}},\n\nthanks.\n");
    write_file(folder, "answer.html", "<p>Hello {{sender.name}}</p>\n");
    write_file(folder, "rules.zpl",
               "rules\n"
               "    a\n"
               "        recipient = \"support\"\n"
               "        text_file = \"answer.txt\"\n"
               "        html_file = \"answer.html\"\n");
    write_file(folder, "bad.zpl", "rules\n    a\n        text_file = \"missing.txt\"\n");
    rules_t *rules = NULL;
    mailbus_error_t error = {0};
    snprintf(path, sizeof path, "%s/rules.zpl", folder);
    assert_int_equal(rules_load(path, &rules, &error), MAILBUS_OK);
    assert_string_equal(rules->items[0].text, "Hello {{sender.name}},\n\nthanks.\n");
    assert_string_equal(rules->items[0].html, "<p>Hello {{sender.name}}</p>\n");
    rules_free(&rules);
    snprintf(path, sizeof path, "%s/bad.zpl", folder);
    assert_int_equal(rules_load(path, &rules, &error), MAILBUS_ENOTFOUND);
    assert_non_null(strstr(error.text, "bad.zpl"));
    assert_non_null(strstr(error.text, "missing.txt"));
    snprintf(path, sizeof path, "%s/none.zpl", folder);
    assert_int_equal(rules_load(path, &rules, &error), MAILBUS_ENOTFOUND);
    static const char *const names[] = {"answer.txt", "answer.html", "rules.zpl", "bad.zpl"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped_rules_are_the_guides_bot),
        cmocka_unit_test(test_only_our_own_recipients_count),
        cmocka_unit_test(test_first_match_wins_and_all_conditions_must_hold),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_texts_are_read_from_files_beside_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
