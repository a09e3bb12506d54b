/* The durable inbox on a real file: what is kept together, what is handed out when, what survives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrivals.h"
#include "clock.h"
#include "dead.h"
#include "inbox.h"

#define SCHEMA "CREATE TABLE IF NOT EXISTS notes(id TEXT NOT NULL) STRICT"

typedef struct {
    char folder[64];
    char path[96];
    inbox_options_t options;
    mb_metrics_t *metrics;
    mb_log_t *log;
    inbox_t *inbox;
} world_t;

static void world_open(world_t *world)
{
    mailbus_error_t error = {0};
    world->metrics = mb_metrics_new();
    if (inbox_open(&world->options, world->metrics, world->log, mb_clock_wall_ms(), &world->inbox,
                   &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
}

static void world_close(world_t *world, bool clean)
{
    inbox_close(&world->inbox, clean);
    mb_metrics_destroy(&world->metrics);
}

static int setup(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/mailbus-inbox-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/state.db", world->folder);
    world->options = (inbox_options_t){.path = world->path,
                                       .schema = SCHEMA,
                                       .max_events = 1000000,
                                       .max_bytes = INT64_MAX,
                                       .max_crashes = 3};
    world->log = mb_log_new("test", STDERR_FILENO);
    mb_log_configure(world->log, MB_ERROR, MB_LOG_TEXT);
    world_open(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_t *world = *state;
    static const char *const files[] = {"", "-wal", "-shm", ".lock"};
    world_close(world, true);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", world->path, files[i]);
        unlink(name);
    }
    rmdir(world->folder);
    mb_log_destroy(&world->log);
    free(world);
    return 0;
}

static mailbus_code_t take_in(world_t *world, uint64_t sequence, size_t body_size, const char *gap)
{
    return arrival_take_in(world->inbox, sequence, body_size, gap);
}

static void take_in_many(world_t *world, uint64_t from, uint64_t to)
{
    for (uint64_t s = from; s <= to; s++) {
        assert_int_equal(take_in(world, s, 10, NULL), MAILBUS_OK);
    }
}

static void finish(world_t *world, inbox_item_t *item, inbox_end_t end, int64_t due_ms)
{
    unsigned attempts = item->row.attempts + (end != INBOX_DONE);
    inbox_finish(world->inbox, &item, end, attempts, due_ms, "a reason", mb_clock_wall_ms());
}

static void flush(world_t *world)
{
    assert_int_equal(inbox_flush(world->inbox, 1000, mb_clock_wall_ms(), NULL), MAILBUS_OK);
}

static uint64_t commits(world_t *world)
{
    return mb_metric_value(mb_counter(world->metrics, "mailbus_subscriber_commits_total", "",
                                      "Transactions written to the state file"));
}

static mailbus_code_t get_gap(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_get(store, "gap", arg, error);
}

static mailbus_code_t count_notes(store_t *store, void *arg, mailbus_error_t *error)
{
    return mb_db_integer(store_db(store), "SELECT count(*) FROM notes", arg, error);
}

static int64_t notes(world_t *world)
{
    int64_t count = -1;
    assert_int_equal(inbox_with_store(world->inbox, count_notes, &count, NULL), MAILBUS_OK);
    return count;
}

static mailbus_code_t count_marked(store_t *store, void *arg, mailbus_error_t *error)
{
    return mb_db_integer(store_db(store), "SELECT count(*) FROM mailbus_inbox WHERE in_hand>0", arg,
                         error);
}

static int64_t marked(world_t *world)
{
    int64_t count = -1;
    assert_int_equal(inbox_with_store(world->inbox, count_marked, &count, NULL), MAILBUS_OK);
    return count;
}

static mailbus_code_t limit_pages(store_t *store, void *arg, mailbus_error_t *error)
{
    char sql[64];
    int64_t pages = 0;
    mailbus_code_t code = mb_db_integer(store_db(store), "PRAGMA page_count", &pages, error);
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld",
             (long long)(pages + *(const int64_t *)arg));
    return code != MAILBUS_OK ? code : mb_db_integer(store_db(store), sql, &pages, error);
}

static void test_events_come_out_in_order_through_a_small_window(void **state)
{
    world_t *world = *state;
    world_close(world, true);
    world->options.window_events = 4;
    world_open(world);
    take_in_many(world, 1, 50);
    for (uint64_t s = 1; s <= 100; s++) {
        inbox_item_t *item = inbox_next(world->inbox);
        assert_int_equal(item->row.event->sequence, s);
        finish(world, item, INBOX_DONE, 0);
        if (s == 2) {
            take_in_many(world, 51,
                         60); /* there is room in memory, but older ones are in the file */
        } else if (s == 20) {
            take_in_many(world, 61, 100);
        }
    }
    flush(world);
    assert_int_equal(inbox_rows(world->inbox), 0);
}

static void test_a_full_disk_keeps_neither_event_nor_cursor(void **state)
{
    world_t *world = *state;
    assert_int_equal(take_in(world, 1, 10, "before"), MAILBUS_OK);
    int64_t few = 2;
    assert_int_equal(inbox_with_store(world->inbox, limit_pages, &few, NULL), MAILBUS_OK);
    assert_int_equal(take_in(world, 2, 1000000, "after"), MAILBUS_EFULL);
    char reason[256] = "";
    assert_false(inbox_writable(world->inbox, reason, sizeof reason));
    assert_string_not_equal(reason, "");
    assert_false(inbox_broken(world->inbox));
    char *gap = NULL;
    assert_int_equal(inbox_with_store(world->inbox, get_gap, &gap, NULL), MAILBUS_OK);
    assert_string_equal(gap, "before");
    free(gap);
    assert_int_equal(inbox_rows(world->inbox), 1);
    int64_t many = 100000;
    assert_int_equal(inbox_with_store(world->inbox, limit_pages, &many, NULL), MAILBUS_OK);
    assert_int_equal(take_in(world, 2, 1000000, "after"), MAILBUS_OK);
    assert_true(inbox_writable(world->inbox, reason, sizeof reason));
    assert_int_equal(inbox_rows(world->inbox), 2);
}

static void test_what_was_finished_is_written_even_if_the_first_try_fails(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 3);
    for (int i = 0; i < 3; i++) {
        finish(world, inbox_next(world->inbox), INBOX_DONE, 0);
    }
    int64_t few = 1;
    assert_int_equal(inbox_with_store(world->inbox, limit_pages, &few, NULL), MAILBUS_OK);
    assert_int_equal(take_in(world, 4, 1000000, NULL), MAILBUS_EFULL);
    assert_true(inbox_unwritten(world->inbox));
    flush(world);
    assert_int_equal(inbox_rows(world->inbox), 0);
}

static void test_finished_events_share_a_transaction(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 100);
    uint64_t before = commits(world);
    for (int i = 0; i < 100; i++) {
        finish(world, inbox_next(world->inbox), INBOX_DONE, 0);
    }
    assert_int_equal(commits(world), before);
    flush(world);
    assert_int_equal(commits(world), before + 1);
    assert_int_equal(inbox_rows(world->inbox), 0);
}

static void test_without_that_write_a_restart_hands_them_out_again(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 5);
    for (int i = 0; i < 5; i++) {
        finish(world, inbox_next(world->inbox), INBOX_DONE, 0);
    }
    world_close(world, false);
    world_open(world);
    for (uint64_t s = 1; s <= 5; s++) {
        inbox_item_t *item = inbox_next(world->inbox);
        assert_int_equal(item->row.event->sequence, s);
        finish(world, item, INBOX_DONE, 0);
    }
}

static void test_effects_and_removal_commit_together(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 2);
    sqlite3 *db = NULL;
    inbox_item_t *item = inbox_next(world->inbox);
    assert_int_equal(inbox_store_begin(world->inbox, &db, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(db, "INSERT INTO notes VALUES('one')", NULL), MAILBUS_OK);
    assert_int_equal(inbox_store_commit(world->inbox, item, NULL), MAILBUS_OK);
    inbox_gone(world->inbox, &item);
    item = inbox_next(world->inbox);
    assert_int_equal(inbox_store_begin(world->inbox, &db, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(db, "INSERT INTO notes VALUES('two')", NULL), MAILBUS_OK);
    inbox_store_rollback(world->inbox);
    finish(world, item, INBOX_AGAIN, mb_clock_wall_ms() + 3600000);
    world_close(world, false);
    world_open(world);
    assert_int_equal(notes(world), 1);
    assert_int_equal(inbox_rows(world->inbox), 1);
    finish(world, inbox_next(world->inbox), INBOX_DONE, 0);
}

static void test_a_handler_that_ends_the_transaction_itself_is_not_believed(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 1);
    sqlite3 *db = NULL;
    inbox_item_t *item = inbox_next(world->inbox);
    assert_int_equal(inbox_store_begin(world->inbox, &db, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(db, "ROLLBACK", NULL), MAILBUS_OK);
    assert_int_not_equal(inbox_store_commit(world->inbox, item, NULL), MAILBUS_OK);
    assert_int_equal(inbox_rows(world->inbox), 1);
    finish(world, item, INBOX_DONE, 0);
}

static void test_retries_come_when_due_also_after_a_restart(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 3);
    int64_t now_ms = mb_clock_wall_ms();
    finish(world, inbox_next(world->inbox), INBOX_AGAIN, now_ms + 3600000);
    finish(world, inbox_next(world->inbox), INBOX_AGAIN, now_ms + 30);
    finish(world, inbox_next(world->inbox), INBOX_AGAIN, now_ms + 10);
    flush(world);
    world_close(world, true);
    world_open(world);
    inbox_item_t *first = inbox_next(world->inbox);
    assert_int_equal(first->row.event->sequence, 3);
    assert_int_equal(first->row.attempts, 1);
    assert_true(mb_clock_wall_ms() >= now_ms + 10);
    inbox_item_t *second = inbox_next(world->inbox);
    assert_int_equal(second->row.event->sequence, 2);
    finish(world, first, INBOX_DONE, 0);
    finish(world, second, INBOX_DONE, 0);
    flush(world);
    assert_int_equal(inbox_rows(world->inbox), 1);
}

static void test_many_retries_at_once_are_each_handed_out_once(void **state)
{
    world_t *world = *state;
    enum { COUNT = 700 }; /* more than are held at once */
    unsigned seen[COUNT + 1] = {0};
    take_in_many(world, 1, COUNT);
    int64_t due_ms = mb_clock_wall_ms() + 1;
    for (int i = 0; i < COUNT; i++) {
        finish(world, inbox_next(world->inbox), INBOX_AGAIN, due_ms);
    }
    flush(world);
    for (int i = 0; i < COUNT; i++) {
        inbox_item_t *item = inbox_next(world->inbox);
        seen[item->row.event->sequence]++;
        finish(world, item, INBOX_DONE, 0);
        if (i % 50 == 0) {
            flush(world);
        }
    }
    flush(world);
    for (int i = 1; i <= COUNT; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_int_equal(inbox_rows(world->inbox), 0);
}

static void test_a_dead_letter_can_come_back_and_be_dropped(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 2);
    finish(world, inbox_next(world->inbox), INBOX_DEAD, 0);
    finish(world, inbox_next(world->inbox), INBOX_DEAD, 0);
    flush(world);
    assert_int_equal(inbox_rows(world->inbox), 0);
    int64_t now_ms = mb_clock_wall_ms();
    assert_int_equal(inbox_dead_retry(world->inbox, 3, now_ms, NULL), MAILBUS_ENOTFOUND);
    assert_int_equal(inbox_dead_retry(world->inbox, 1, now_ms, NULL), MAILBUS_OK);
    assert_int_equal(inbox_dead_retry(world->inbox, 1, now_ms, NULL), MAILBUS_ENOTFOUND);
    inbox_item_t *item = inbox_next(world->inbox);
    assert_int_equal(item->row.event->sequence, 1);
    assert_int_equal(item->row.attempts, 0);
    finish(world, item, INBOX_DONE, 0);
    assert_int_equal(inbox_dead_drop(world->inbox, 2, NULL), MAILBUS_OK);
    assert_int_equal(inbox_dead_drop(world->inbox, 2, NULL), MAILBUS_ENOTFOUND);
    flush(world);
    assert_int_equal(inbox_rows(world->inbox), 0);
}

static mailbus_code_t read_dead(store_t *store, void *arg, mailbus_error_t *error)
{
    int64_t *found = arg;
    mailbus_code_t code = mb_db_integer(
        store_db(store), "SELECT coalesce(min(sequence),0) FROM mailbus_dead", &found[0], error);
    return code != MAILBUS_OK ? code
                              : mb_db_integer(store_db(store), "SELECT count(*) FROM mailbus_dead",
                                              &found[1], error);
}

static void expect_dead(world_t *world, int64_t first, int64_t count, uint64_t dropped)
{
    int64_t found[2] = {-1, -1};
    assert_int_equal(inbox_with_store(world->inbox, read_dead, found, NULL), MAILBUS_OK);
    assert_int_equal(found[0], first);
    assert_int_equal(found[1], count);
    assert_int_equal(mb_metric_value(mb_counter(
                         world->metrics, "mailbus_subscriber_dead_letters_dropped_total", "", "")),
                     dropped);
    assert_int_equal(
        mb_metric_value(mb_gauge(world->metrics, "mailbus_subscriber_dead_letters", "", "")),
        count);
}

static void test_of_too_many_dead_letters_the_oldest_go(void **state)
{
    world_t *world = *state;
    world_close(world, true);
    world->options.max_dead = 5;
    world_open(world);
    take_in_many(world, 1, 12);
    for (int i = 0; i < 5; i++) {
        finish(world, inbox_next(world->inbox), INBOX_DEAD, 0);
    }
    flush(world);
    expect_dead(world, 1, 5, 0);
    for (int i = 0; i < 3; i++) {
        finish(world, inbox_next(world->inbox), INBOX_DEAD, 0);
    }
    flush(world);
    expect_dead(world, 4, 5, 3);
    assert_int_equal(inbox_dead_drop(world->inbox, 6, NULL), MAILBUS_OK);
    finish(world, inbox_next(world->inbox), INBOX_DEAD, 0);
    flush(world);
    expect_dead(world, 4, 5, 3);
    world_close(world, true);
    world->options.max_dead = 2; /* a lower limit counts from the start */
    world_open(world);
    expect_dead(world, 8, 2, 3);
    world_close(world, true);
    world->options.max_dead = 0;
    world_open(world);
    for (int i = 0; i < 3; i++) {
        finish(world, inbox_next(world->inbox), INBOX_DEAD, 0);
    }
    flush(world);
    expect_dead(world, 8, 5, 0);
}

static void test_an_event_in_hand_at_every_crash_ends_as_a_dead_letter(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 2);
    world_close(world, false); /* the first crash: nobody knows yet what was in hand */
    for (unsigned crashes = 0; crashes < 3; crashes++) {
        world_open(world);
        inbox_item_t *item = inbox_next(world->inbox);
        assert_int_equal(item->row.event->sequence, 1);
        assert_int_equal(item->row.crashes, crashes);
        assert_int_equal(inbox_mark(world->inbox, item, NULL), MAILBUS_OK);
        assert_int_equal(marked(world), 1);
        store_row_free(&item->row);
        free(item);
        world_close(world, false);
    }
    world_open(world);
    assert_int_equal(inbox_rows(world->inbox), 1);
    inbox_item_t *item = inbox_next(world->inbox);
    assert_int_equal(item->row.event->sequence, 2);
    finish(world, item, INBOX_DONE, 0);
}

static void test_after_an_orderly_stop_nothing_is_marked(void **state)
{
    world_t *world = *state;
    take_in_many(world, 1, 1);
    world_close(world, true);
    world_open(world);
    inbox_item_t *item = inbox_next(world->inbox);
    assert_int_equal(inbox_mark(world->inbox, item, NULL), MAILBUS_OK);
    assert_int_equal(marked(world), 0);
    finish(world, item, INBOX_DONE, 0);
}

static void test_full_is_full_until_a_tenth_is_free(void **state)
{
    world_t *world = *state;
    world_close(world, true);
    world->options.max_events = 20;
    world_open(world);
    take_in_many(world, 1, 19);
    assert_false(inbox_full(world->inbox));
    take_in_many(world, 20, 20);
    assert_true(inbox_full(world->inbox));
    finish(world, inbox_next(world->inbox), INBOX_DONE, 0);
    flush(world);
    assert_true(inbox_full(world->inbox));
    finish(world, inbox_next(world->inbox), INBOX_DONE, 0);
    flush(world);
    assert_false(inbox_full(world->inbox));
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_events_come_out_in_order_through_a_small_window),
        WITH_WORLD(test_a_full_disk_keeps_neither_event_nor_cursor),
        WITH_WORLD(test_what_was_finished_is_written_even_if_the_first_try_fails),
        WITH_WORLD(test_finished_events_share_a_transaction),
        WITH_WORLD(test_without_that_write_a_restart_hands_them_out_again),
        WITH_WORLD(test_effects_and_removal_commit_together),
        WITH_WORLD(test_a_handler_that_ends_the_transaction_itself_is_not_believed),
        WITH_WORLD(test_retries_come_when_due_also_after_a_restart),
        WITH_WORLD(test_many_retries_at_once_are_each_handed_out_once),
        WITH_WORLD(test_a_dead_letter_can_come_back_and_be_dropped),
        WITH_WORLD(test_of_too_many_dead_letters_the_oldest_go),
        WITH_WORLD(test_an_event_in_hand_at_every_crash_ends_as_a_dead_letter),
        WITH_WORLD(test_after_an_orderly_stop_nothing_is_marked),
        WITH_WORLD(test_full_is_full_until_a_tenth_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
