/* carry.h: what a rebuild takes over from the old file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

#include "carry.h"

typedef struct {
    sqlite3 *old, *fresh;
} fixture_t;

static int set_up(void **state)
{
    void *old = NULL;
    void *fresh = NULL;
    fixture_t *self = calloc(1, sizeof *self);
    if (self == NULL || events_open(&old) != 0 || events_open(&fresh) != 0) {
        return -1;
    }
    self->old = old;
    self->fresh = fresh;
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    void *old = self->old;
    void *fresh = self->fresh;
    free(self);
    return events_close(&old) == 0 && events_close(&fresh) == 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void carry(fixture_t *self)
{
    mailbus_error_t error = {0};
    if (carry_over(self->fresh, self->old, MONDAY + 200 * DAY, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
}

/* Everything that can happen to an address, and more soft bounces than are kept. */
static void live(sqlite3 *db)
{
    char id[32];
    for (int i = 0; i < LEDGER_ROWS + 30; i++) {
        snprintf(id, sizeof id, "soft%04d", i);
        events_bounce(db, id, "full@x.example", "Transient", "4.2.2", MONDAY + i * HOUR);
    }
    events_sent(db, "s1", "Jane@x.example", MONDAY);
    events_delivered(db, "d1", "jane@x.example", MONDAY + 1);
    events_bounce(db, "h1", "gone@x.example", "Permanent", "5.1.1", MONDAY + 2);
    events_bounce(db, "t1", "jane@x.example", "Permanent", "5.7.1", MONDAY + 3);
    events_add(db, &(events_t){.id = "r1",
                               .body_key = "reject",
                               .inbox = "help@agentmail.to",
                               .recipients = "[\"jane@x.example\"]",
                               .time_ms = MONDAY + 4});
}

static void test_a_journal_that_has_everything_is_the_whole_truth(void **state)
{
    fixture_t *self = *state;
    live(self->old);
    live(self->fresh);
    char *before = events_dump(self->fresh);
    carry(self);
    char *after = events_dump(self->fresh);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void test_an_empty_journal_leaves_all_as_it_was(void **state)
{
    fixture_t *self = *state;
    live(self->old);
    events_number(self->old, "SELECT 1");
    /* sums of bounces beyond the kept lines can't be told from lines */
    assert_int_equal(
        sqlite3_exec(self->old, "UPDATE addresses SET soft = min(soft, 100)", NULL, NULL, NULL),
        SQLITE_OK);
    char *before = events_dump(self->old);
    carry(self);
    char *after = events_dump(self->fresh);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void test_what_the_journal_no_longer_keeps_is_not_forgotten(void **state)
{
    fixture_t *self = *state;
    events_bounce(self->old, "old", "gone@x.example", "Permanent", "5.1.1", MONDAY - 60 * DAY);
    events_sent(self->old, "s0", "jane@x.example", MONDAY - 60 * DAY);
    events_sent(self->old, "s1", "jane@x.example", MONDAY);
    events_delivered(self->old, "d0", "joe@x.example", MONDAY - 60 * DAY);
    events_sent(self->fresh, "s1", "jane@x.example", MONDAY);
    carry(self);
    assert_int_equal(events_judge(self->fresh, "gone@x.example", MONDAY).state, MACHINE_DEAD);
    assert_int_equal(
        events_number(self->fresh, "SELECT sent FROM addresses WHERE key LIKE 'jane%'"), 2);
    assert_int_equal(
        events_number(self->fresh, "SELECT first_ms FROM addresses WHERE key LIKE 'jane%'"),
        MONDAY - 60 * DAY);
    assert_int_equal(
        events_number(self->fresh, "SELECT delivered_ms FROM addresses WHERE key LIKE 'joe%'"),
        MONDAY - 60 * DAY);
    assert_int_equal(events_number(self->fresh, "SELECT sum(sent) FROM rates"), 2);
}

static void test_a_persons_clearing_survives(void **state)
{
    fixture_t *self = *state;
    events_bounce(self->old, "h1", "gone@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(ledger_clear(self->old, "gone@x.example", "is back", MONDAY + DAY, NULL),
                     MAILBUS_OK);
    events_bounce(self->fresh, "h1", "gone@x.example", "Permanent", "5.1.1", MONDAY);
    assert_int_equal(events_judge(self->fresh, "gone@x.example", MONDAY + DAY).state, MACHINE_DEAD);
    carry(self);
    assert_int_equal(events_judge(self->fresh, "gone@x.example", MONDAY + DAY).state, MACHINE_OK);
    assert_int_equal(events_number(self->fresh, "SELECT count(*) FROM history WHERE"
                                                " kind = 'cleared' AND reason = 'is back'"),
                     1);
    assert_int_equal(events_number(self->fresh, "SELECT hard FROM addresses"), 1);
}

static void test_old_lines_are_sorted_by_the_present_settings(void **state)
{
    fixture_t *self = *state;
    events_bounce(self->old, "h1", "gone@x.example", "Permanent", "5.1.6", MONDAY);
    assert_int_equal(
        sqlite3_exec(self->fresh,
                     "INSERT INTO settings VALUES('bounces.soft_codes','4.* 5.2.2 5.1.6')", NULL,
                     NULL, NULL),
        SQLITE_OK);
    carry(self);
    assert_int_equal(events_judge(self->fresh, "gone@x.example", MONDAY).state, MACHINE_OK);
    assert_int_equal(events_judge(self->fresh, "gone@x.example", MONDAY).soft, 1);
    assert_int_equal(events_number(self->fresh, "SELECT soft FROM addresses"), 1);
    assert_int_equal(events_number(self->fresh, "SELECT hard FROM addresses"), 0);
}

static void test_lines_that_made_room_in_the_new_file_are_not_counted_twice(void **state)
{
    fixture_t *self = *state;
    char id[32];
    for (int i = 0; i < LEDGER_ROWS + 30; i++) {
        snprintf(id, sizeof id, "soft%04d", i);
        if (i < LEDGER_ROWS) { /* the old program stopped here */
            events_bounce(self->old, id, "full@x.example", "Transient", "4.2.2", MONDAY + i);
        }
        events_bounce(self->fresh, id, "full@x.example", "Transient", "4.2.2", MONDAY + i);
    }
    carry(self);
    assert_int_equal(events_number(self->fresh, "SELECT soft FROM addresses"), LEDGER_ROWS + 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_journal_that_has_everything_is_the_whole_truth),
        TEST(test_an_empty_journal_leaves_all_as_it_was),
        TEST(test_what_the_journal_no_longer_keeps_is_not_forgotten),
        TEST(test_a_persons_clearing_survives),
        TEST(test_old_lines_are_sorted_by_the_present_settings),
        TEST(test_lines_that_made_room_in_the_new_file_are_not_counted_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
