/* rules/rules.h: which rule a mail gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mails.h"
#include "rules/regex.h"
#include "rules/rules.h"

static const own_t nobody = OWN_INIT;
static const rules_key_t no_keys[] = {{NULL, false, NULL, false}};

static rules_t *read_rules(const char *text)
{
    rules_t *rules = NULL;
    mailbus_error_t error = {0};
    if (rules_parse(text, ".", no_keys, &rules, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return rules;
}

/* The names of the rules that `members` gets under `rules`, blank-separated, "" for none. */
static void check_match(const rules_t *rules, const own_t *own, const char *members,
                        const char *expected)
{
    agentmail_message_t *message = mail_with(members);
    mailbus_buf_t names = MAILBUS_BUF_INIT;
    unsigned exhausted = 0;
    size_t at = 0;
    mailbus_buf_text(&names, "");
    for (const rule_t *rule; (rule = rules_next(rules, message, own, &at, &exhausted)) != NULL;) {
        mailbus_buf_printf(&names, names.size == 0 ? "%s" : " %s", rule_name(rule));
    }
    if (strcmp(names.data, expected) != 0) {
        fail_msg("%s: \"%s\" instead of \"%s\"", members, names.data, expected);
    }
    assert_int_equal(exhausted, 0);
    mailbus_buf_free(&names);
    agentmail_message_free(&message);
}

static void test_only_our_own_recipients_count(void **state)
{
    (void)state;
    rules_t *rules = read_rules("rules\n"
                                "    support\n"
                                "        recipient = \"support\"\n"
                                "    pattern\n"
                                "        recipient_regex = \"^support@\"\n");
    own_t own = OWN_INIT;
    assert_int_equal(own_parse("support@ours.example", &own, NULL), MAILBUS_OK);
    const char *others = "\"inbox_id\":\"agent@agentmail.to\",\"to\":\"agent@agentmail.to\","
                         "\"cc\":[\"support@elsewhere.org\"]";
    const char *ours = "\"inbox_id\":\"agent@agentmail.to\",\"to\":\"agent@agentmail.to\","
                       "\"cc\":[\"support@ours.example\"]";
    check_match(rules, &own, others, "");
    check_match(rules, &own, ours, "support pattern");
    check_match(rules, &nobody, ours, "");
    check_match(rules, &nobody,
                "\"inbox_id\":\"Support-EU@agentmail.to\",\"to\":\"support-eu@agentmail.to\"",
                "support");
    own_free(&own);
    rules_free(&rules);
}

static void test_matches_come_in_order_and_all_conditions_must_hold(void **state)
{
    (void)state;
    rules_t *rules = read_rules("rules\n"
                                "    invoices\n"
                                "        subject = \"INVOICE\"\n"
                                "        sender = \"@example.com\"\n"
                                "    inbox\n"
                                "        inbox = \"Support@agentmail.to\"\n"
                                "        subject = \"urgent\"\n"
                                "    rest\n"
                                "        recipient = \"@\"\n");
    check_match(rules, &nobody, "\"subject\":\"Urgent: my invoice\"", "invoices inbox rest");
    check_match(rules, &nobody, "\"subject\":\"Urgent: my invoice\",\"from\":\"a@b.org\"",
                "inbox rest");
    check_match(rules, &nobody, "\"subject\":\"hello\"", "rest");
    check_match(rules, &nobody, "\"subject\":null", "rest");
    check_match(rules, &nobody,
                "\"subject\":\"urgent\",\"inbox_id\":\"support@agentmail.to.evil.org\","
                "\"to\":\"support@agentmail.to.evil.org\"",
                "rest");
    rules_free(&rules);
}

/* The guide's routing: 'billing' in subject or 'payment' in subject. */
static void test_one_of_several_values_is_enough(void **state)
{
    (void)state;
    rules_t *rules = read_rules("rules\n"
                                "    billing\n"
                                "        subject = \"billing\"\n"
                                "        sender = \"@example.com\"\n"
                                "        subject = \"payment\"\n"
                                "    bug\n"
                                "        subject_regex = \"\\bbugs?\\b\"\n"
                                "        subject_regex = \"error\"\n"
                                "        subject = \"app\"\n");
    check_match(rules, &nobody, "\"subject\":\"A Payment\"", "billing");
    check_match(rules, &nobody, "\"subject\":\"Billing and payment\"", "billing");
    check_match(rules, &nobody, "\"subject\":\"payment\",\"from\":\"a@b.org\"", "");
    check_match(rules, &nobody, "\"subject\":\"bill\"", "");
    /* a condition and its _regex are two, and both must hold */
    check_match(rules, &nobody, "\"subject\":\"the app has an ERROR\"", "bug");
    check_match(rules, &nobody, "\"subject\":\"the app has a bug\"", "bug");
    check_match(rules, &nobody, "\"subject\":\"the app likes ladybugs\"", "");
    check_match(rules, &nobody, "\"subject\":\"error\"", "");
    rules_free(&rules);
}

static void test_body_and_header(void **state)
{
    (void)state;
    rules_t *rules = read_rules("rules\n"
                                "    body\n"
                                "        body = \"refund\"\n"
                                "    lines\n"
                                "        body_regex = \"(?m)^order: *\\d+$\"\n"
                                "    flag\n"
                                "        header = \"X-Priority: 1\"\n"
                                "    any\n"
                                "        header = \"X-Ticket:\"\n"
                                "    ticket\n"
                                "        header_regex = \"X-Ticket: ^\\d{3}$\"\n");
    check_match(rules, &nobody, "\"text\":\"I want a REFUND\"", "body");
    check_match(rules, &nobody, "\"text\":\"no\",\"html\":\"refund\"", "");
    check_match(rules, &nobody, "\"html\":\"<b>refund</b>\"", "body");
    check_match(rules, &nobody, "\"text\":\"hello\\nOrder: 17\\nbye\"", "lines");
    check_match(rules, &nobody, "\"headers\":{\"x-priority\":\"1 (Highest)\"}", "flag");
    check_match(rules, &nobody, "\"headers\":{\"X-Ticket\":\"\"}", "any");
    check_match(rules, &nobody, "\"headers\":{\"X-Ticket\":\"a\",\"x-ticket\":\"123\"}",
                "any ticket");
    check_match(rules, &nobody, "", "");
    assert_true(rules_need_body(rules));
    assert_true(rules_need_headers(rules));
    rules_free(&rules);
    rules = read_rules("rules\n    a\n        subject = \"x\"\n");
    assert_false(rules_need_body(rules));
    assert_false(rules_need_headers(rules));
    rules_free(&rules);
}

static void test_letters_beyond_ascii(void **state)
{
    (void)state;
    rules_t *rules = read_rules("rules\n    a\n        subject_regex = \"\\bÜBERWEISUNG\\b\"\n");
    check_match(rules, &nobody, "\"subject\":\"Meine überweisung\"", "a");
    check_match(rules, &nobody, "\"subject\":\"Rücküberweisung\"", "");
    rules_free(&rules);
}

static void test_a_pattern_beyond_its_bounds_does_not_match(void **state)
{
    (void)state;
    rules_t *rules = read_rules("rules\n"
                                "    evil\n"
                                "        subject_regex = \"^(a+)+$\"\n"
                                "    good\n"
                                "        subject = \"aaa\"\n");
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_buf_text(&json, "\"subject\":\"");
    for (int i = 0; i < 100; i++) {
        mailbus_buf_char(&json, 'a');
    }
    mailbus_buf_text(&json, "!\"");
    agentmail_message_t *message = mail_with(json.data);
    unsigned exhausted = 0;
    size_t at = 0;
    const rule_t *rule = rules_next(rules, message, &nobody, &at, &exhausted);
    assert_non_null(rule);
    assert_string_equal(rule_name(rule), "good");
    assert_int_equal(exhausted, 1);
    agentmail_message_free(&message);
    mailbus_buf_free(&json);
    rules_free(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_our_own_recipients_count),
        cmocka_unit_test(test_matches_come_in_order_and_all_conditions_must_hold),
        cmocka_unit_test(test_one_of_several_values_is_enough),
        cmocka_unit_test(test_body_and_header),
        cmocka_unit_test(test_letters_beyond_ascii),
        cmocka_unit_test(test_a_pattern_beyond_its_bounds_does_not_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
