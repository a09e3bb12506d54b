/* classify.h: what a bounce is, by type, sub-type and status code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "classify.h"

static classify_rules_t rules_of(const char *dead, const char *soft, const char *sender)
{
    classify_rules_t rules = {.known = CLASSIFY_KNOWN, .notices = CLASSIFY_NOTICES};
    assert_int_equal(classify_codes_parse(dead, &rules.dead, NULL), MAILBUS_OK);
    assert_int_equal(classify_codes_parse(soft, &rules.soft, NULL), MAILBUS_OK);
    assert_int_equal(classify_codes_parse(sender, &rules.sender, NULL), MAILBUS_OK);
    return rules;
}

typedef struct {
    const char *type, *sub_type, *status;
    fact_kind_t kind;
} row_t;

static void check(const classify_rules_t *rules, const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fact_kind_t kind = classify_bounce(rules, rows[i].type, rows[i].sub_type, rows[i].status);
        if (kind != rows[i].kind) {
            fail_msg("%s/%s %s is %s, not %s", rows[i].type, rows[i].sub_type, rows[i].status,
                     fact_name(kind), fact_name(rows[i].kind));
        }
    }
}

#define CHECK(rows) check(&rules, rows, sizeof(rows) / sizeof(rows)[0])

static void test_the_type_decides_where_there_is_no_code(void **state)
{
    (void)state;
    const classify_rules_t rules = rules_of(CLASSIFY_DEAD, CLASSIFY_SOFT, CLASSIFY_SENDER);
    static const row_t rows[] = {
        {"Permanent", "General", "bounced", FACT_HARD}, /* the guide's own */
        {"Permanent", "NoEmail", NULL, FACT_HARD},
        {"PERMANENT", NULL, NULL, FACT_HARD},
        {"Transient", "General", "bounced", FACT_SOFT},
        {"Transient", "MailboxFull", NULL, FACT_SOFT},
        {"Transient", "MessageTooLarge", NULL, FACT_SOFT},
        {"Transient", "ContentRejected", NULL, FACT_SOFT},
        {"Transient", "AttachmentRejected", NULL, FACT_SOFT},
        {"Undetermined", "Undetermined", NULL, FACT_SOFT},
        {NULL, NULL, NULL, FACT_SOFT}, /* nothing is known: nobody dies of it */
        {"SomethingNew", NULL, NULL, FACT_SOFT},
        {"Permanent", "General", "5.0.0", FACT_HARD}, /* codes of no list say nothing */
        {"Permanent", "General", "5.3.0", FACT_HARD},
        {"Transient", "General", "5.3.4", FACT_SOFT},
        {"Transient", "General", "5.0.0", FACT_SOFT},
    };
    CHECK(rows);
}

static void test_the_code_decides_where_it_is_in_a_list(void **state)
{
    (void)state;
    const classify_rules_t rules = rules_of(CLASSIFY_DEAD, CLASSIFY_SOFT, CLASSIFY_SENDER);
    static const row_t rows[] = {
        {"Permanent", "General", "5.1.1", FACT_HARD},
        {"Transient", "General", "5.1.1", FACT_HARD},  /* no such mailbox */
        {"Transient", "General", "5.1.2", FACT_HARD},  /* no such system */
        {"Transient", "General", "5.1.10", FACT_HARD}, /* null MX, RFC 7505 */
        {"Transient", "General", "5.2.1", FACT_HARD},  /* disabled */
        {"Transient", "General", "5.4.4", FACT_HARD},  /* no route: the domain does not exist */
        {"Permanent", "General", "5.2.2", FACT_SOFT},  /* full */
        {"Permanent", "General", "4.4.7", FACT_SOFT},  /* expired */
        {"Transient", "MailboxFull", "4.2.2", FACT_SOFT},
        {"Transient", "General", "4.7.1", FACT_SOFT}, /* greylisted: 4.x.x */
        {"Permanent", "General", "5.7.1", FACT_SENDER},
        {"Permanent", "General", "5.7.26", FACT_SENDER},
        {"Transient", "General", "5.7.0", FACT_SENDER},
        {"Undetermined", "Undetermined", "5.7.1", FACT_SENDER},
        {"Undetermined", "Undetermined", "5.1.1", FACT_SOFT}, /* never dead */
        {"SomethingNew", NULL, "5.1.1", FACT_SOFT},
        {"Permanent", "General", "smtp; 550 5.1.1 <x@y>: user unknown", FACT_HARD},
        {"Permanent", "General", "smtp; 554 5.7.1 spam", FACT_SENDER},
        {"Permanent", "General", "5.1.10 null MX", FACT_HARD},
        {"Transient", "General", "5.1.11", FACT_SOFT},  /* not 5.1.1 */
        {"Transient", "General", "15.1.1", FACT_SOFT},  /* no code at all */
        {"Transient", "General", "5.1.1.1", FACT_SOFT}, /* an address, perhaps */
        {"Transient", "General", "5.1.1000", FACT_SOFT},
        {"Transient", "General", "3.1.1", FACT_SOFT},
        {"Transient", "General", "", FACT_SOFT},
    };
    CHECK(rows);
}

static void test_what_was_not_sent_or_did_not_bounce_is_only_noted(void **state)
{
    (void)state;
    const classify_rules_t rules = rules_of(CLASSIFY_DEAD, CLASSIFY_SOFT, CLASSIFY_SENDER);
    static const row_t rows[] = {
        {"Permanent", "Suppressed", "5.1.1", FACT_KNOWN}, /* as SES really sends it */
        {"Permanent", "OnAccountSuppressionList", NULL, FACT_KNOWN},
        {"Permanent", "on-account_suppression list", NULL, FACT_KNOWN},
        {"Transient", "OutOfOffice", "4.0.0", FACT_NOTICE},
        {"Transient", "out-of-office", NULL, FACT_NOTICE},
        {"AutoReply", NULL, NULL, FACT_NOTICE},
        {"Delayed", "General", "4.4.7", FACT_NOTICE},
        {"Transient", "DeliveryDelay", NULL, FACT_NOTICE},
        {"Undetermined", "vacation", NULL, FACT_NOTICE},
        {"Permanent", "General", "2.1.5", FACT_NOTICE}, /* a success, RFC 3463 class 2 */
        {"Transient", "OutOfOfficeHours", NULL, FACT_SOFT},
        {"Permanent", "Suppress", NULL, FACT_HARD},
        {"Permanent", "", NULL, FACT_HARD},
    };
    CHECK(rows);
}

static void test_the_nearer_pattern_wins(void **state)
{
    (void)state;
    const classify_rules_t rules = rules_of("5.*", "5.2.2 4.*.*", "5.7.* 5.1.8");
    static const row_t rows[] = {
        {"Transient", NULL, "5.9.9", FACT_HARD},     {"Permanent", NULL, "5.2.2", FACT_SOFT},
        {"Transient", NULL, "5.7.509", FACT_SENDER}, {"Transient", NULL, "5.1.8", FACT_SENDER},
        {"Permanent", NULL, "4.1.8", FACT_SOFT},
    };
    CHECK(rows);
}

static void test_lists_of_codes_are_read_or_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"5",    "5.1",    "5.1.1.1",  "3.1.1",   "5.1.1x",
                                        "5..1", "*",      "5.1000.1", "5.*.*.*", "5.1.1,5.1.2",
                                        "x",    "5.1.*1", "4.* y",    "-5.1.1"};
    classify_codes_t codes = {.count = 7};
    mailbus_error_t error;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (classify_codes_parse(wrong[i], &codes, &error) != MAILBUS_EINVAL) {
            fail_msg("\"%s\" was taken", wrong[i]);
        }
        assert_int_equal(codes.count, 7); /* as it was */
    }
    assert_int_equal(classify_codes_parse("", &codes, NULL), MAILBUS_OK);
    assert_int_equal(codes.count, 0);
    assert_int_equal(classify_codes_parse("  5.1.1\t4.* 5.*.7 2.*.* ", &codes, NULL), MAILBUS_OK);
    assert_int_equal(codes.count, 4);
    char many[CLASSIFY_CODES_MAX * 6 + 7] = "";
    for (int i = 0; i <= CLASSIFY_CODES_MAX; i++) {
        strcat(many, "5.1.1 ");
    }
    assert_int_equal(classify_codes_parse(many, &codes, &error), MAILBUS_EINVAL);
}

static void test_names_of_kinds_go_both_ways(void **state)
{
    (void)state;
    for (int kind = 0; kind < FACT_KINDS; kind++) {
        assert_int_equal(fact_of(fact_name((fact_kind_t)kind)), kind);
    }
    assert_int_equal(fact_of("nothing"), FACT_KINDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_type_decides_where_there_is_no_code),
        cmocka_unit_test(test_the_code_decides_where_it_is_in_a_list),
        cmocka_unit_test(test_what_was_not_sent_or_did_not_bounce_is_only_noted),
        cmocka_unit_test(test_the_nearer_pattern_wins),
        cmocka_unit_test(test_lists_of_codes_are_read_or_refused),
        cmocka_unit_test(test_names_of_kinds_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
