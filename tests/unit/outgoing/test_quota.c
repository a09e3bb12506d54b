/* outgoing/quota.h: limits as functions of counts and the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "outgoing/quota.h"

enum { NOW = 1000000 };

static const quota_t limits = {
    .again_after_ms = 7 * QUOTA_DAY_MS, .per_sender_day = 20, .per_minute = 60};

static void check(quota_counts_t counts, quota_verdict_t expected, const char *expected_reason,
                  int64_t expected_wait)
{
    const char *reason = NULL;
    int64_t wait = 0;
    assert_int_equal(quota_decide(&limits, &counts, NOW, &reason, &wait), expected);
    if (expected_reason != NULL) {
        assert_string_equal(reason, expected_reason);
    }
    assert_int_equal(wait, expected_wait);
}

static void test_one_answer_per_sender_and_rule(void **state)
{
    (void)state;
    check((quota_counts_t){.same_rule = 0}, QUOTA_GO, NULL, 0);
    check((quota_counts_t){.same_rule = 1}, QUOTA_SILENT, "answered-before", 0);
}

static void test_twenty_a_day_per_sender(void **state)
{
    (void)state;
    check((quota_counts_t){.sender_day = 19}, QUOTA_GO, NULL, 0);
    check((quota_counts_t){.sender_day = 20}, QUOTA_SILENT, "too-many-for-sender", 0);
}

static void test_the_minute_opens_again_by_itself(void **state)
{
    (void)state;
    check((quota_counts_t){.minute = 59}, QUOTA_GO, NULL, 0);
    check((quota_counts_t){.minute = 60, .minute_oldest = NOW - 20000}, QUOTA_LATER, "too-fast",
          40000);
    check((quota_counts_t){.minute = 60, .minute_oldest = NOW - 90000}, QUOTA_LATER, "too-fast", 1);
    check((quota_counts_t){.minute = 60, .minute_oldest = NOW + 90000}, QUOTA_LATER, "too-fast",
          60000); /* the clock went back */
}

static void test_age(void **state)
{
    (void)state;
    const int64_t now = 1791797464000; /* 2026-10-12T09:31:04Z */
    assert_int_equal(quota_age_ms("2026-10-12T09:31:04Z", now), 0);
    assert_int_equal(quota_age_ms("2026-10-12T09:30:04.000Z", now), 60000);
    assert_int_equal(quota_age_ms("2026-10-11T09:31:04.500Z", now), QUOTA_DAY_MS - 500);
    assert_int_equal(quota_age_ms("2026-10-11T11:31:04+02:00", now), QUOTA_DAY_MS);
    assert_int_equal(quota_age_ms("2026-10-13T09:31:04Z", now), 0);
    assert_int_equal(quota_age_ms("yesterday", now), 0);
    assert_int_equal(quota_age_ms("", now), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_answer_per_sender_and_rule),
        cmocka_unit_test(test_twenty_a_day_per_sender),
        cmocka_unit_test(test_the_minute_opens_again_by_itself),
        cmocka_unit_test(test_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
