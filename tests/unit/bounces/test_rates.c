/* rates.h: bounce rates per inbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

#include "db.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, events_open, events_close)

static const rates_limits_t limits = {
    .window_ms = 7 * DAY, .healthy_percent = 2, .limit_percent = 4, .least_sent = 50};

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        int64_t sent, bounced;
        rates_level_t level;
        int64_t points;
    } rows[] = {
        {0, 0, RATES_FEW, -1},
        {0, 3, RATES_FEW, -1},
        {49, 49, RATES_FEW, 10000},
        {50, 0, RATES_HEALTHY, 0},
        {100, 1, RATES_HEALTHY, 100},
        {100, 2, RATES_HIGH, 200},
        {1000, 19, RATES_HEALTHY, 190},
        {1000, 20, RATES_HIGH, 200},
        {1000, 39, RATES_HIGH, 390},
        {1000, 40, RATES_OVER, 400},
        {30000, 599, RATES_HEALTHY, 200}, /* 1.9967: rounded up, judged as it is */
        {100, 150, RATES_OVER, 15000},    /* bounces of mails sent before the window */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const rates_counts_t counts = {.sent = rows[i].sent, .bounced = rows[i].bounced};
        assert_int_equal(rates_judge(&counts, &limits), rows[i].level);
        assert_int_equal(rates_basis_points(&counts), rows[i].points);
    }
}

/* A rates_visit_fn. */
static mailbus_code_t write_row(void *arg, const rates_row_t *row, mailbus_error_t *error)
{
    (void)error;
    mailbus_buf_printf(arg, "[%s %lld %lld %lld %lld %lld]", row->inbox,
                       (long long)row->counts.sent, (long long)row->counts.delivered,
                       (long long)row->counts.bounced, (long long)row->counts.hard,
                       (long long)row->counts.rejected);
    return MAILBUS_OK;
}

static void check(sqlite3 *db, int64_t now, const char *after, int64_t limit, const char *expected)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_text(&text, "");
    assert_int_equal(rates_list(db, limits.window_ms, now, after, limit, write_row, &text, NULL),
                     MAILBUS_OK);
    assert_string_equal(text.data, expected);
    mailbus_buf_free(&text);
}

static void test_recipients_are_summed_within_the_window(void **state)
{
    sqlite3 *db = *state;
    events_add(db, &(events_t){.id = "s1",
                               .body_key = "send",
                               .inbox = "A@agentmail.to",
                               .recipients = "[\"a@x.example\",\"b@x.example\",\"c@x.example\"]",
                               .time_ms = MONDAY});
    events_add(db, &(events_t){.id = "b1",
                               .inbox = "a@agentmail.to",
                               .type = "Permanent",
                               .recipients = "[{\"address\":\"a@x.example\",\"status\":\"5.1.1\"},"
                                             "{\"address\":\"b@x.example\",\"status\":\"5.7.1\"},"
                                             "{\"address\":\"c@x.example\",\"status\":\"2.0.0\"}]",
                               .time_ms = MONDAY + HOUR});
    events_add(db, &(events_t){.id = "d1",
                               .body_key = "delivery",
                               .inbox = "b@agentmail.to",
                               .recipients = "[\"a@x.example\"]",
                               .time_ms = MONDAY + 5 * DAY});
    events_add(db, &(events_t){.id = "r1",
                               .body_key = "reject", /* names no recipient: one mail */
                               .inbox = "b@agentmail.to",
                               .time_ms = MONDAY + 5 * DAY});
    check(db, MONDAY + 6 * DAY, NULL, 10, "[a@agentmail.to 3 0 2 1 0][b@agentmail.to 0 1 0 0 1]");
    check(db, MONDAY + 6 * DAY, "a@agentmail.to", 10, "[b@agentmail.to 0 1 0 0 1]");
    check(db, MONDAY + 6 * DAY, NULL, 1, "[a@agentmail.to 3 0 2 1 0]");
    check(db, MONDAY + 7 * DAY, NULL, 10, "[a@agentmail.to 0 0 2 1 0][b@agentmail.to 0 1 0 0 1]");
    check(db, MONDAY + 13 * DAY, NULL, 10, "");
}

static void test_old_sums_are_dropped(void **state)
{
    sqlite3 *db = *state;
    const rates_counts_t one = {.sent = 1};
    assert_int_equal(rates_add(db, "a", MONDAY, &one, MONDAY, NULL), MAILBUS_OK);
    assert_int_equal(rates_add(db, "a", MONDAY + 89 * DAY, &one, MONDAY + 89 * DAY, NULL),
                     MAILBUS_OK);
    assert_int_equal(events_number(db, "SELECT count(*) FROM rates"), 2);
    assert_int_equal(rates_add(db, "a", MONDAY + 91 * DAY, &one, MONDAY + 91 * DAY, NULL),
                     MAILBUS_OK);
    assert_int_equal(events_number(db, "SELECT count(*) FROM rates"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        TEST(test_recipients_are_summed_within_the_window),
        TEST(test_old_sums_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
