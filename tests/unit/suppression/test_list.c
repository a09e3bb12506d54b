/* list.h: the list in its file; removals, any order, imports, rebuild. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desk.h"

static void assert_entries(sqlite3 *db, const char *expected)
{
    char *entries = desk_entries(db);
    assert_string_equal(entries, expected);
    free(entries);
}

static void test_a_complaint_makes_an_entry_and_the_same_event_none_more(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    list_change_t change = desk_complaint(db, "Jane@Example.com", "e1", 1000);
    assert_int_equal(change.step, STEP_SUPPRESSED);
    assert_false(change.known);
    change = desk_complaint(db, "jane@example.com", "e1", 1000);
    assert_true(change.known);
    assert_int_equal(change.reason, REASON_COMPLAINT);
    assert_entries(db, "a:jane@example.com complaint 1000-1000 1 certain Jane@Example.com e1 \n");
    desk_complaint(db, "jane@EXAMPLE.com", "e2", 500);
    assert_entries(db, "a:jane@example.com complaint 500-1000 2 certain jane@EXAMPLE.com e2 \n");
    desk_event(db, SAID_BOUNCE, "jane@example.com", "e3", 2000, &desk_policy);
    assert_entries(db, "a:jane@example.com complaint 500-1000 2 certain jane@EXAMPLE.com e2 \n");
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM facts"), 3);
}

static void test_tags_are_other_mailboxes(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane+shop@example.com", "e1", 1000);
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM entries WHERE key = "
                                      "'a:jane@example.com'"),
                     0);
}

static void test_a_removal_keeps_the_history_and_an_old_event_does_not_come_back(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane@example.com", "e1", 1000);
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 5000), MAILBUS_OK);
    assert_entries(db, "");
    assert_int_equal(desk_remove(db, "jane@example.com", "again", 6000), MAILBUS_ENOTFOUND);
    list_change_t change = desk_complaint(db, "jane@example.com", "e1", 1000); /* replayed */
    assert_true(change.known);
    change = desk_complaint(db, "jane@example.com", "e2", 4000); /* late */
    assert_int_equal(change.step, STEP_OLD);
    assert_entries(db, "");
    change = desk_complaint(db, "jane@example.com", "e3", 7000);
    assert_int_equal(change.step, STEP_SUPPRESSED);
    assert_entries(db, "a:jane@example.com complaint 7000-7000 1 certain jane@example.com e3 \n");
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM facts"), 4);
    assert_int_equal(
        desk_integer(db, "SELECT count(*) FROM facts WHERE said='remove' AND note='she asked'"), 1);
}

static void test_add_and_remove_within_one_millisecond(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    for (int i = 0; i < 5; i++) {
        desk_add(db, "jane@example.com", "on", 1000);
        assert_int_equal(desk_integer(db, "SELECT count(*) FROM entries"), 1);
        assert_int_equal(desk_remove(db, "jane@example.com", "off", 1000), MAILBUS_OK);
        assert_int_equal(desk_integer(db, "SELECT count(*) FROM entries"), 0);
    }
    desk_add(db, "jane@example.com", "on for good", 10); /* the clock went back */
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM entries"), 1);
}

static void test_a_removal_covers_what_lies_in_its_future(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane@example.com", "e1", 9000); /* the gateway's clock is ahead */
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 5000), MAILBUS_OK);
    assert_entries(db, "");
}

static void test_a_manual_entry_says_why_and_a_complaint_goes_before_it(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_add(db, "*@Example.com", "competitor", 1000);
    desk_add(db, "jane@example.com", "by phone", 2000);
    assert_entries(db, "a:jane@example.com manual 2000-2000 1 certain jane@example.com  by phone\n"
                       "d:example.com manual 1000-1000 1 certain *@Example.com  competitor\n");
    desk_complaint(db, "jane@example.com", "e1", 3000);
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM entries WHERE reason='complaint'"), 1);
}

/* --- any order -----------------------------------------------------------------------------------
 */

enum { EVENTS = 30, ORDERS = 20 };

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void play(sqlite3 *db, const int order[EVENTS])
{
    assert_int_equal(mb_db_exec(db, "BEGIN", NULL), MAILBUS_OK);
    desk_add(db, "p0@example.com", "first of all", 1);
    assert_int_equal(desk_remove(db, "p0@example.com", "and off", 4000), MAILBUS_OK);
    for (int i = 0; i < EVENTS; i++) {
        char address[32];
        char id[16];
        int event = order[i];
        snprintf(address, sizeof address, "p%d@example.com", event % 4);
        snprintf(id, sizeof id, "e%d", event);
        desk_event(db, event % 3 == 0 ? SAID_BOUNCE : SAID_COMPLAINT, address, id,
                   (event * 7919) % 10 * 1000, &desk_policy);
    }
    assert_int_equal(mb_db_exec(db, "COMMIT", NULL), MAILBUS_OK);
}

static void test_events_in_any_order_give_the_same_list(void **state)
{
    (void)state;
    int order[EVENTS];
    unsigned seed = 3;
    char *expected = NULL;
    for (int i = 0; i < EVENTS; i++) {
        order[i] = i;
    }
    for (int round = 0; round < ORDERS; round++) {
        desk_t *desk = desk_open();
        play(desk->db, order);
        char *entries = desk_entries(desk->db);
        if (expected == NULL) {
            expected = entries;
            assert_non_null(strstr(expected, "a:p3@example.com complaint"));
        } else {
            assert_string_equal(entries, expected);
            free(entries);
        }
        desk_close(&desk);
        for (int i = EVENTS - 1; i > 0; i--) {
            int j = (int)(next_random(&seed) % (unsigned)(i + 1));
            int other = order[i];
            order[i] = order[j];
            order[j] = other;
        }
    }
    free(expected);
}

/* --- rebuild
 * ---------------------------------------------------------------------------------------
 */

static void carry(sqlite3 *db, sqlite3 *old, const policy_t *policy)
{
    mailbus_error_t error = {0};
    if (mb_db_exec(db, "BEGIN", NULL) != MAILBUS_OK ||
        list_note_policy(db, policy, &error) != MAILBUS_OK ||
        list_carry(db, old, 9000, &error) != MAILBUS_OK ||
        mb_db_exec(db, "COMMIT", NULL) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
}

static void fill(sqlite3 *db)
{
    desk_complaint(db, "jane@example.com", "e1", 1000);
    desk_complaint(db, "jane@example.com", "e2", 2000);
    desk_complaint(db, "joe@example.com", "e3", 2000);
    desk_event(db, SAID_BOUNCE, "gone@example.com", "e4", 3000, &desk_policy);
    assert_int_equal(desk_remove(db, "joe@example.com", "he asked", 4000), MAILBUS_OK);
    desk_complaint(db, "joe@example.com", "e5", 3500);
    desk_add(db, "*@rival.example", "no business", 5000);
    desk_complaint(db, "jim@example.com", "e6", 6000);
    assert_int_equal(desk_ask(db, "import",
                              "{\"rows\":[{\"line\":2,\"address\":\"jane@example.com\","
                              "\"reason\":\"complaint\",\"first\":\"1970-01-01T00:00:00.500Z\","
                              "\"last\":\"1970-01-01T00:00:01.500Z\",\"count\":5}]}",
                              7000, NULL, NULL),
                     MAILBUS_OK);
}

static void test_a_rebuild_gives_the_same_list(void **state)
{
    desk_t *old = *state;
    desk_t *fresh = desk_open();
    fill(old->db);
    char *expected = desk_entries(old->db);
    /* the journal still has the last three of them, and brings them in another order */
    desk_complaint(fresh->db, "jim@example.com", "e6", 6000);
    desk_complaint(fresh->db, "joe@example.com", "e5", 3500);
    desk_event(fresh->db, SAID_BOUNCE, "gone@example.com", "e4", 3000, &desk_policy);
    carry(fresh->db, old->db, &desk_policy);
    char *entries = desk_entries(fresh->db);
    assert_string_equal(entries, expected);
    assert_non_null(strstr(expected, "a:jane@example.com complaint 500-2000 6 certain"));
    assert_null(strstr(expected, "joe@"));
    assert_int_equal(desk_integer(fresh->db, "SELECT count(*) FROM facts"),
                     desk_integer(old->db, "SELECT count(*) FROM facts"));
    free(entries);
    /* and once more, from nothing but what was carried */
    desk_t *again = desk_open();
    carry(again->db, fresh->db, &desk_policy);
    entries = desk_entries(again->db);
    assert_string_equal(entries, expected);
    free(entries);
    free(expected);
    desk_close(&again);
    desk_close(&fresh);
}

static void test_a_rebuild_applies_other_settings_to_the_past(void **state)
{
    desk_t *old = *state;
    desk_t *fresh = desk_open();
    const policy_t without = {.bounces = false, .rejects = true, .candidates = true};
    fill(old->db);
    desk_event(old->db, SAID_BOUNCE, "lost@example.com", "e7", 3000, &without); /* noted, no more */
    assert_int_equal(desk_integer(old->db, "SELECT count(*) FROM entries WHERE reason='bounce'"),
                     1);
    carry(fresh->db, old->db, &without);
    assert_int_equal(desk_integer(fresh->db, "SELECT count(*) FROM entries WHERE reason='bounce'"),
                     0);
    assert_int_equal(desk_integer(fresh->db, "SELECT count(*) FROM facts WHERE why='bounces-off'"),
                     2);
    desk_t *back = desk_open();
    carry(back->db, fresh->db, &desk_policy);
    assert_int_equal(desk_integer(back->db, "SELECT count(*) FROM entries WHERE reason='bounce'"),
                     2);
    desk_close(&back);
    desk_close(&fresh);
}

static void test_a_rebuild_knows_what_the_block_list_has(void **state)
{
    desk_t *old = *state;
    desk_t *fresh = desk_open();
    const policy_t without = {.bounces = false, .rejects = true, .candidates = true};
    fill(old->db);
    assert_int_equal(mb_db_exec(old->db, "UPDATE outbox SET there = 1, due_ms = NULL", NULL),
                     MAILBUS_OK);
    desk_event(fresh->db, SAID_BOUNCE, "gone@example.com", "e4", 3000, &without);
    carry(fresh->db, old->db, &without);
    /* what is still suppressed is there, and needs nothing; what is not is to be taken off */
    assert_int_equal(desk_integer(fresh->db, "SELECT count(*) FROM outbox WHERE wanted = 1 AND "
                                             "there = 1 AND due_ms IS NULL"),
                     3);
    assert_int_equal(desk_integer(fresh->db, "SELECT count(*) FROM outbox WHERE wanted = 0 AND "
                                             "due_ms IS NOT NULL AND key = 'a:gone@example.com'"),
                     1);
    desk_close(&fresh);
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(test_a_complaint_makes_an_entry_and_the_same_event_none_more),
        DESK_TEST(test_tags_are_other_mailboxes),
        DESK_TEST(test_a_removal_keeps_the_history_and_an_old_event_does_not_come_back),
        DESK_TEST(test_add_and_remove_within_one_millisecond),
        DESK_TEST(test_a_removal_covers_what_lies_in_its_future),
        DESK_TEST(test_a_manual_entry_says_why_and_a_complaint_goes_before_it),
        cmocka_unit_test(test_events_in_any_order_give_the_same_list),
        DESK_TEST(test_a_rebuild_gives_the_same_list),
        DESK_TEST(test_a_rebuild_applies_other_settings_to_the_past),
        DESK_TEST(test_a_rebuild_knows_what_the_block_list_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
