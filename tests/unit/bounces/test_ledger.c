/* ledger.h: what is kept of each address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, events_open, events_close)

static int64_t count(sqlite3 *db, const char *column, const char *key)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s FROM addresses WHERE key = '%s'", column, key);
    return events_number(db, sql);
}

static void test_each_kind_is_counted_and_the_ends_are_kept(void **state)
{
    sqlite3 *db = *state;
    events_sent(db, "s", "Jane@x.example", MONDAY);
    events_bounce(db, "b1", "jane@x.example", "Transient", "4.2.2", MONDAY + HOUR);
    events_bounce(db, "b2", "jane@x.example", "Transient", "4.2.2", MONDAY - HOUR);
    events_bounce(db, "b3", "jane@x.example", "Permanent", "5.7.1", MONDAY);
    events_bounce(db, "b4", "jane@x.example", "Permanent", "5.1.1", MONDAY);
    events_add(db, &(events_t){.id = "b5",
                               .type = "Permanent",
                               .sub_type = "Suppressed",
                               .recipients = "[\"jane@x.example\"]",
                               .time_ms = MONDAY});
    events_add(db, &(events_t){.id = "b6",
                               .type = "Transient",
                               .sub_type = "OutOfOffice",
                               .recipients = "[\"jane@x.example\"]",
                               .time_ms = MONDAY});
    events_add(db, &(events_t){.id = "r1",
                               .body_key = "reject",
                               .reason = "Bad content",
                               .recipients = "[\"jane@x.example\"]",
                               .time_ms = MONDAY});
    events_delivered(db, "d", "JANE@x.example", MONDAY + 2 * HOUR);
    static const char *const columns[] = {"sent",  "delivered", "hard",    "sender",
                                          "known", "notice",    "rejected"};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(count(db, columns[i], "jane@x.example"), 1);
    }
    assert_int_equal(count(db, "soft", "jane@x.example"), 2);
    assert_int_equal(count(db, "first_ms", "jane@x.example"), MONDAY - HOUR);
    assert_int_equal(count(db, "last_ms", "jane@x.example"), MONDAY + 2 * HOUR);
    assert_int_equal(count(db, "delivered_ms", "jane@x.example"), MONDAY + 2 * HOUR);
    assert_int_equal(events_number(db, "SELECT count(*) FROM history"), 7);
    /* shown as the latest spelled it */
    assert_int_equal(count(db, "shown = 'JANE@x.example'", "jane@x.example"), 1);
}

static void test_every_recipient_is_counted_and_each_for_itself(void **state)
{
    sqlite3 *db = *state;
    events_add(db, &(events_t){.id = "b",
                               .type = "Transient",
                               .recipients = "[{\"address\":\"a@x.example\",\"status\":\"5.1.1\"},"
                                             "{\"address\":\"b@x.example\",\"status\":\"4.2.2\"},"
                                             "{\"address\":\"c@x.example\",\"status\":\"5.7.1\"}]",
                               .time_ms = MONDAY});
    assert_int_equal(events_judge(db, "a@x.example", MONDAY).state, MACHINE_DEAD);
    assert_int_equal(events_judge(db, "b@x.example", MONDAY).state, MACHINE_OK);
    assert_int_equal(events_judge(db, "b@x.example", MONDAY).soft, 1);
    assert_int_equal(events_judge(db, "c@x.example", MONDAY).state, MACHINE_OK);
    assert_int_equal(events_judge(db, "c@x.example", MONDAY).soft, 0);
    assert_int_equal(events_judge(db, "nobody@x.example", MONDAY).state, MACHINE_OK);
}

static void test_tags_are_addresses_of_their_own(void **state)
{
    sqlite3 *db = *state;
    events_bounce(db, "b", "jane+a@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(events_judge(db, "jane+a@x.example", MONDAY).state, MACHINE_DEAD);
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY).state, MACHINE_OK);
}

static void test_the_same_event_again_changes_nothing(void **state)
{
    sqlite3 *db = *state;
    events_bounce(db, "b", "jane@x.example", "Transient", "4.2.2", MONDAY);
    char *before = events_dump(db);
    events_bounce(db, "b", "jane@x.example", "Transient", "4.2.2", MONDAY);
    char *after = events_dump(db);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void test_history_is_bounded_per_kind_and_counts_go_on(void **state)
{
    sqlite3 *db = *state;
    char id[32];
    for (int i = 0; i < LEDGER_ROWS + 50; i++) {
        snprintf(id, sizeof id, "soft%04d", i);
        events_bounce(db, id, "jane@x.example", "Transient", "4.2.2", MONDAY + i);
        snprintf(id, sizeof id, "sender%04d", i);
        events_bounce(db, id, "jane@x.example", "Permanent", "5.7.1", MONDAY + i);
    }
    events_bounce(db, "hard", "jane@x.example", "Permanent", "5.1.1", MONDAY - DAY);
    assert_int_equal(count(db, "soft", "jane@x.example"), LEDGER_ROWS + 50);
    assert_int_equal(events_number(db, "SELECT count(*) FROM history WHERE kind = 'soft'"),
                     LEDGER_ROWS);
    assert_int_equal(events_number(db, "SELECT min(time_ms) FROM history WHERE kind = 'soft'"),
                     MONDAY + 50);
    assert_int_equal(events_number(db, "SELECT count(*) FROM history WHERE kind = 'hard'"), 1);
    /* many others push no hard bounce out, however old it is */
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY).state, MACHINE_DEAD);
}

static void test_a_person_clears_with_a_reason_and_it_is_kept(void **state)
{
    sqlite3 *db = *state;
    mailbus_error_t error = {0};
    events_bounce(db, "b", "jane@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY).state, MACHINE_DEAD);
    assert_int_equal(ledger_clear(db, "jane@x.example", "she wrote to us", MONDAY + HOUR, &error),
                     MAILBUS_OK);
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY + HOUR).state, MACHINE_OK);
    assert_int_equal(events_number(db, "SELECT count(*) FROM history WHERE kind = 'cleared' AND"
                                       " reason = 'she wrote to us'"),
                     1);
    assert_int_equal(count(db, "hard", "jane@x.example"), 1); /* counts tell what happened */
    /* what happened before, but is told now, does not undo it; what happens later does */
    events_bounce(db, "late", "jane@x.example", "Permanent", "5.1.1", MONDAY + HOUR - 1);
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY + HOUR).state, MACHINE_OK);
    events_bounce(db, "new", "jane@x.example", "Permanent", "5.1.1", MONDAY + HOUR + 1);
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY + 2 * HOUR).state, MACHINE_DEAD);
    assert_int_equal(ledger_clear(db, "joe@x.example", "x", MONDAY, &error), MAILBUS_ENOTFOUND);
}

static void test_a_clearing_holds_though_this_clock_is_behind(void **state)
{
    sqlite3 *db = *state;
    events_bounce(db, "b", "jane@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(ledger_clear(db, "jane@x.example", "x", MONDAY - DAY, NULL), MAILBUS_OK);
    assert_int_equal(events_judge(db, "jane@x.example", MONDAY).state, MACHINE_OK);
}

static void test_the_reason_is_the_newest_of_the_kind(void **state)
{
    sqlite3 *db = *state;
    ledger_lookup_t *lookup = NULL;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    events_bounce(db, "b2", "jane@x.example", "Permanent", "5.1.2", MONDAY + 1);
    events_bounce(db, "b1", "jane@x.example", "Permanent", "5.1.1", MONDAY);
    events_bounce(db, "b3", "jane@x.example", "Permanent", "5.7.1", MONDAY + 2);
    assert_int_equal(ledger_lookup_new(db, &lookup, NULL), MAILBUS_OK);
    assert_int_equal(ledger_reason(lookup, "jane@x.example", FACT_HARD, &text, NULL), MAILBUS_OK);
    assert_string_equal(text.data, "5.1.2 Permanent/General");
    mailbus_buf_clear(&text);
    assert_int_equal(ledger_reason(lookup, "jane@x.example", FACT_KINDS, &text, NULL), MAILBUS_OK);
    assert_string_equal(text.data, "5.7.1 Permanent/General");
    mailbus_buf_clear(&text);
    assert_int_equal(ledger_reason(lookup, "joe@x.example", FACT_KINDS, &text, NULL), MAILBUS_OK);
    assert_int_equal(text.size, 0);
    mailbus_buf_free(&text);
    ledger_lookup_destroy(&lookup);
}

static void test_limits_are_kept_and_read_back(void **state)
{
    sqlite3 *db = *state;
    limits_t limits = LIMITS_INIT;
    limits_t again = LIMITS_INIT;
    assert_int_equal(limits_load(db, &limits, NULL), MAILBUS_OK);
    assert_int_equal(limits.machine.soft_count, 3);
    assert_int_equal(limits.machine.later_pause_ms, 30 * DAY);
    limits.machine.soft_count = 5;
    free(limits.dead_codes);
    limits.dead_codes = strdup("5.1.1");
    assert_int_equal(limits_save(db, &limits, NULL), MAILBUS_OK);
    assert_int_equal(limits_load(db, &again, NULL), MAILBUS_OK);
    assert_int_equal(again.machine.soft_count, 5);
    assert_string_equal(again.dead_codes, "5.1.1");
    assert_int_equal(again.rules.dead.count, 1);
    limits_free(&limits);
    limits_free(&again);
}

static void test_limits_out_of_bounds_are_refused_by_name(void **state)
{
    sqlite3 *db = *state;
    static const struct {
        const char *key, *value, *says;
    } rows[] = {
        {"bounces.soft_count", "0", "bounces.soft_count"},
        {"bounces.soft_count", "101", "bounces.soft_count"},
        {"bounces.soft_window", "5", "bounces.soft_window"},
        {"bounces.first_pause", "0", "bounces.first_pause"},
        {"bounces.later_pause", "0", "bounces.later_pause"},
        {"rates.window", "1000", "rates.window"},
        {"rates.limit", "1", "rates.limit"},
        {"rates.least_sent", "0", "rates.least_sent"},
        {"bounces.dead_codes", "5.1.1 no", "bounces.dead_codes: \"no\""},
        {"bounces.soft_codes", "4", "bounces.soft_codes"},
        {"bounces.sender_codes", "5.7", "bounces.sender_codes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char sql[300];
        limits_t limits = LIMITS_INIT;
        mailbus_error_t error = {0};
        snprintf(sql, sizeof sql, "DELETE FROM settings; INSERT INTO settings VALUES('%s','%s')",
                 rows[i].key, rows[i].value);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(limits_load(db, &limits, &error), MAILBUS_EINVAL);
        if (strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s=%s: %s", rows[i].key, rows[i].value, error.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_kind_is_counted_and_the_ends_are_kept),
        TEST(test_every_recipient_is_counted_and_each_for_itself),
        TEST(test_tags_are_addresses_of_their_own),
        TEST(test_the_same_event_again_changes_nothing),
        TEST(test_history_is_bounded_per_kind_and_counts_go_on),
        TEST(test_a_person_clears_with_a_reason_and_it_is_kept),
        TEST(test_a_clearing_holds_though_this_clock_is_behind),
        TEST(test_the_reason_is_the_newest_of_the_kind),
        TEST(test_limits_are_kept_and_read_back),
        TEST(test_limits_out_of_bounds_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
