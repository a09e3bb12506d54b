#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "mailbus/replay.h"

static void assert_time(const char *text, int64_t ms)
{
    int64_t found = 0;
    if (mailbus_time_parse(text, &found) != MAILBUS_OK) {
        fail_msg("%s is refused", text);
    }
    assert_int_equal(found, ms);
}

static void test_times_are_read_in_every_form_of_rfc_3339(void **state)
{
    (void)state;
    assert_time("1970-01-01T00:00:00Z", 0);
    assert_time("1970-01-01t00:00:00z", 0);
    assert_time("1970-01-01T00:00:00+00:00", 0);
    assert_time("1970-01-01T00:00:00-00:00", 0);
    assert_time("1970-01-01T00:59:59+01:00", -1000);
    assert_time("1969-12-31T23:59:59.999Z", -1);
    assert_time("1969-12-31T00:01:00-23:59", 0);
    assert_time("2026-10-12T09:31:04.5Z", 1791797464500);
    assert_time("2026-10-12T09:31:04.4999999999999999999999Z", 1791797464499);
    assert_time("2016-12-31T23:59:60Z", 1483228800000);
    assert_time("2000-02-29T12:00:00Z", 951825600000);
    assert_time("0000-01-01T00:00:00Z", -62167219200000);
    assert_time("9999-12-31T23:59:59.999Z", 253402300799999);
}

static void test_what_is_no_time_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "2026",
        "2026-10-12",
        "2026-10-12T09:31:04",
        "2026-10-12T09:31Z",
        "2026-10-12 09:31:04Z",
        "2026-10-12T09:31:04z ",
        " 2026-10-12T09:31:04Z",
        "2026-00-12T09:31:04Z",
        "2026-13-12T09:31:04Z",
        "2026-10-00T09:31:04Z",
        "2026-10-32T09:31:04Z",
        "2026-04-31T09:31:04Z",
        "2026-02-29T09:31:04Z",
        "1900-02-29T09:31:04Z",
        "2026-10-12T24:00:00Z",
        "2026-10-12T09:60:04Z",
        "2026-10-12T09:31:61Z",
        "2026-10-12T09:31:04.Z",
        "2026-10-12T09:31:04,5Z",
        "2026-10-12T09:31:04+0200",
        "2026-10-12T09:31:04+02",
        "2026-10-12T09:31:04+24:00",
        "2026-10-12T09:31:04+02:60",
        "2026-10-12T09:31:04+-2:00",
        "2026-10-12T-9:31:04Z",
        "+026-10-12T09:31:04Z",
        "12026-10-12T09:31:04Z",
        "2026/10/12T09:31:04Z",
        "2026-10-12T09:31:04ZZ",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 77;
        if (mailbus_time_parse(bad[i], &ms) != MAILBUS_EINVAL) {
            fail_msg("taken: \"%s\"", bad[i]);
        }
        assert_int_equal(ms, 77);
    }
    const char *whole = "2026-10-12T09:31:04.250+02:00";
    for (size_t size = 0; size < strlen(whole); size++) {
        char text[40];
        int64_t ms;
        memcpy(text, whole, size);
        text[size] = '\0';
        assert_int_equal(mailbus_time_parse(text, &ms), MAILBUS_EINVAL);
    }
}

static void test_times_agree_with_the_c_library_on_every_day(void **state)
{
    (void)state;
    /* Each day from the year 0 to 9999, at another time of day. */
    for (int64_t day = -719528; day <= 2932896; day++) {
        const int64_t ms = day * 86400000 + (day * 7919 % 86400000 + 86400000) % 86400000;
        char text[MAILBUS_TIME_SIZE];
        mailbus_time_format(ms, text);
        int64_t back;
        assert_int_equal(mailbus_time_parse(text, &back), MAILBUS_OK);
        assert_int_equal(back, ms);
        if (day % 97 == 0) {
            const int64_t rest = (ms % 1000 + 1000) % 1000;
            const time_t seconds = (time_t)((ms - rest) / 1000);
            struct tm tm;
            assert_non_null(gmtime_r(&seconds, &tm));
            char wanted[80];
            snprintf(wanted, sizeof wanted, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     (int)rest);
            assert_string_equal(text, wanted);
        }
    }
}

static void test_times_beyond_four_digits_of_year_are_cut(void **state)
{
    (void)state;
    char text[MAILBUS_TIME_SIZE];
    mailbus_time_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    mailbus_time_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
    mailbus_time_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_read_in_every_form_of_rfc_3339),
        cmocka_unit_test(test_what_is_no_time_is_refused),
        cmocka_unit_test(test_times_agree_with_the_c_library_on_every_day),
        cmocka_unit_test(test_times_beyond_four_digits_of_year_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
