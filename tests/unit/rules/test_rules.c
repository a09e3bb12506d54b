/* rules/rules.h: reading the file. test_match.c has which rule a mail gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/rules.h"
#include "rules/template.h"

static const rules_key_t keys[] = {{"text", true, template_check_mail, true},
                                   {"html", true, template_check_mail, false},
                                   {"target", false, NULL, false},
                                   {NULL, false, NULL, false}};

static void test_the_programs_keys(void **state)
{
    (void)state;
    rules_t *rules = NULL;
    static const char shipped[] = "rules\n"
                                  "    a\n"
                                  "        subject = \"x\"\n"
                                  "        text = \"Hello {{sender.name}}\"\n"
                                  "        target = \"slack\"\n"
                                  "    b\n"
                                  "        sender = \"x\"\n"
                                  "        text = \"t\"\n";
    assert_int_equal(rules_load("", shipped, keys, &rules, NULL), MAILBUS_OK);
    assert_int_equal(rules_count(rules), 2);
    const rule_t *rule = rules_item(rules, 0);
    assert_string_equal(rule_name(rule), "a");
    assert_string_equal(rule_text(rule, "text"), "Hello {{sender.name}}");
    assert_string_equal(rule_text(rule, "target"), "slack");
    assert_null(rule_text(rule, "html"));
    assert_null(rule_text(rule, "unheard"));
    assert_null(rule_text(rules_item(rules, 1), "target"));
    rules_free(&rules);
    assert_null(rules);
    rules_free(&rules);
}

static void check_refused(const char *text, const char *says)
{
    rules_t *rules = NULL;
    mailbus_error_t error = {0};
    mailbus_code_t code = rules_parse(text, ".", keys, &rules, &error);
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
    check_refused("rules\n    a\n        subject = \"x\"\n",
                  "rule \"a\": it needs a text or text_file");
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
    check_refused("rules\n    a\n        text = \"x\"\n        subject_regex = \"(a\"\n",
                  "missing closing parenthesis, at character 2");
    check_refused("rules\n    a\n        text = \"x\"\n        header = \"X-Spam\"\n",
                  "no header condition");
    check_refused("rules\n    a\n        text = \"x\"\n        header = \"a b: c\"\n",
                  "no header condition");
    check_refused("rules\n    a\n        text = \"x\"\n        target_file = \"c\"\n",
                  "\"target_file\" is no key");
    check_refused("rules\n    a\n        text = \"x\"\n        subject = \"\xff\"\n", "not UTF-8");
    check_refused("rules\n          a = 1\n", "ZPL");
}

static void test_a_rule_is_bounded(void **state)
{
    (void)state;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_text(&text, "rules\n    a\n        text = \"x\"\n");
    for (int i = 0; i < RULES_CONDITIONS_MAX; i++) {
        mailbus_buf_text(&text, "        subject = \"x\"\n");
    }
    rules_t *rules = NULL;
    assert_int_equal(rules_parse(text.data, ".", keys, &rules, NULL), MAILBUS_OK);
    rules_free(&rules);
    mailbus_buf_text(&text, "        subject = \"x\"\n");
    check_refused(text.data, "more than 200 conditions");
    mailbus_buf_free(&text);
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
    assert_int_equal(rules_load(path, "", keys, &rules, &error), MAILBUS_OK);
    assert_string_equal(rule_text(rules_item(rules, 0), "text"),
                        "Hello {{sender.name}},\n\nthanks.\n");
    assert_string_equal(rule_text(rules_item(rules, 0), "html"), "<p>Hello {{sender.name}}</p>\n");
    rules_free(&rules);
    snprintf(path, sizeof path, "%s/bad.zpl", folder);
    assert_int_equal(rules_load(path, "", keys, &rules, &error), MAILBUS_ENOTFOUND);
    assert_non_null(strstr(error.text, "bad.zpl"));
    assert_non_null(strstr(error.text, "missing.txt"));
    snprintf(path, sizeof path, "%s/none.zpl", folder);
    assert_int_equal(rules_load(path, "", keys, &rules, &error), MAILBUS_ENOTFOUND);
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
        cmocka_unit_test(test_the_programs_keys),
        cmocka_unit_test(test_a_rule_is_bounded),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_texts_are_read_from_files_beside_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
