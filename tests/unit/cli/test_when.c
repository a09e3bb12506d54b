#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "when.h"

static const int64_t NOW = 1791797464000; /* 2026-10-12T09:31:04Z */

static when_t parse(const char *text)
{
    when_t when = {.is_time = false};
    mailbus_error_t error;
    if (when_parse(text, NOW, &when, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", text, error.text);
    }
    return when;
}

static void test_digits_are_a_sequence(void **state)
{
    (void)state;
    assert_false(parse("0").is_time);
    assert_int_equal(parse("18446744073709551615").sequence, UINT64_MAX);
}

static void test_times_are_absolute_or_ago(void **state)
{
    (void)state;
    assert_true(parse("2026-10-12T09:31:04Z").is_time);
    assert_int_equal(parse("2026-10-12T09:31:04Z").ms, NOW);
    assert_int_equal(parse("2026-10-12T11:31:04+02:00").ms, NOW);
    assert_int_equal(parse("2026-10-12").ms, NOW - ((9 * 60 + 31) * 60 + 4) * 1000);
    assert_int_equal(parse("90s").ms, NOW - 90000);
    assert_int_equal(parse("15m").ms, NOW - 900000);
    assert_int_equal(parse("2h").ms, NOW - 7200000);
    assert_int_equal(parse("3d").ms, NOW - 3LL * 86400000);
    assert_int_equal(parse("999999999d").ms, 0); /* before all time */
}

static void test_everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-1",
                                      "h",
                                      "1w",
                                      "01",
                                      "1.5h",
                                      "1 h",
                                      "yesterday",
                                      "2026-13-01",
                                      "2026-10-12T",
                                      "99999999999d",
                                      "18446744073709551616",
                                      "2026-10-1200",
                                      "1h "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        when_t when = {.sequence = 77};
        mailbus_error_t error;
        if (when_parse(bad[i], NOW, &when, &error) == MAILBUS_OK) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_int_equal(when.sequence, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits_are_a_sequence),
        cmocka_unit_test(test_times_are_absolute_or_ago),
        cmocka_unit_test(test_everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
