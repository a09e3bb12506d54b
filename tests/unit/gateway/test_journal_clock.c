/* The journal when somebody sets the clock back. The clock itself is the machine's: instead, the
 * newest event is moved into the future while the file is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "journal_desk.h"

#define HOUR_MS     3600000ll
#define LONG_AGO    (365 * 24 * HOUR_MS)
#define PATIENCE_MS 30000

typedef struct {
    char folder[128];
    char path[160];
    mb_metrics_t *metrics;
    mb_log_t *log;
    int log_ends[2];
    journal_t *journal;
    journal_desk_t *desk;
    int submitted;
} fixture_t;

static void start(fixture_t *f)
{
    const journal_options_t options = {
        .backend = "sqlite",
        .path = f->path,
        .keep_bodies_ms = LONG_AGO,
        .keep_ids_ms = LONG_AGO,
        .queue_events = 100,
        .batch_events = 10,
        .quarantine_events = 10,
    };
    mailbus_error_t error = {0};
    f->metrics = mb_metrics_new();
    if (journal_open(&options, f->metrics, f->log, &f->journal, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    journal_desk_listen(f->desk, f->journal);
    assert_int_equal(journal_start(f->journal, NULL), MAILBUS_OK);
}

static void stop(fixture_t *f)
{
    if (f->journal != NULL) {
        journal_close(&f->journal);
    }
    mb_metrics_destroy(&f->metrics);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    journal_folder_new(f->folder);
    snprintf(f->path, sizeof f->path, "%s/journal.db", f->folder);
    f->desk = journal_desk_new(NULL, NULL);
    assert_int_equal(pipe2(f->log_ends, O_CLOEXEC | O_NONBLOCK), 0);
    f->log = mb_log_new("test", f->log_ends[1]);
    assert_non_null(f->log);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    stop(f);
    journal_desk_free(&f->desk);
    mb_log_destroy(&f->log);
    close(f->log_ends[0]);
    close(f->log_ends[1]);
    journal_folder_remove(f->folder);
    free(f);
    return 0;
}

static void submit(fixture_t *f)
{
    char id[16];
    snprintf(id, sizeof id, "e%d", ++f->submitted);
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", id, NULL, 0), MAILBUS_OK);
    assert_true(journal_desk_wait(f->desk));
}

/* The one integer of a query on the file; 0 where it has no row. The journal may be open: this only
 * reads. */
static int64_t number_of(fixture_t *f, const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    const int64_t number = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

/* Three events, the last of which was recorded `ahead_ms` from now; the journal is running again.
 */
static int64_t start_behind(fixture_t *f, int64_t ahead_ms)
{
    char text[100];
    const int64_t future_ms = mb_clock_wall_ms() + ahead_ms;
    start(f);
    submit(f);
    submit(f);
    submit(f);
    stop(f);
    snprintf(text, sizeof text, "UPDATE events SET recorded = %lld WHERE sequence = 3",
             (long long)future_ms);
    assert_int_equal(number_of(f, text), 0);
    start(f);
    return future_ms;
}

/* How often the log says that the clock is behind. */
static int warnings(fixture_t *f)
{
    static char text[65536];
    int count = 0;
    const ssize_t size = read(f->log_ends[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    for (const char *at = text; (at = strstr(at, "the clock is behind")) != NULL; at++) {
        count++;
    }
    return count;
}

static uint64_t since(fixture_t *f, int64_t since_ms)
{
    journal_reader_t *reader = NULL;
    uint64_t sequence = 0;
    assert_int_equal(journal_reader_open(f->journal, &reader, NULL), MAILBUS_OK);
    assert_int_equal(journal_reader_since(reader, since_ms, &sequence, NULL), MAILBUS_OK);
    journal_reader_close(&reader);
    return sequence;
}

static void expect_no_step_back(fixture_t *f)
{
    assert_int_equal(number_of(f, "SELECT count(*) FROM events AS a JOIN events AS b"
                                  " ON b.sequence = a.sequence + 1 WHERE b.recorded < a.recorded"),
                     0);
}

static void test_recorded_times_stand_still_while_the_clock_is_behind(void **state)
{
    fixture_t *f = *state;
    const int64_t future_ms = start_behind(f, HOUR_MS);
    submit(f);
    submit(f);
    /* One answer to "since", and nothing that was recorded later lies before it. */
    assert_int_equal(since(f, future_ms), 3);
    assert_int_equal(since(f, future_ms + 1), 6);
    assert_int_equal(number_of(f, "SELECT count(*) FROM events WHERE sequence > 3 AND recorded ="
                                  " (SELECT recorded FROM events WHERE sequence = 3)"),
                     2);
    expect_no_step_back(f);
    assert_int_equal(warnings(f), 1);
    /* Still so after a restart, which tells it again. */
    stop(f);
    start(f);
    submit(f);
    assert_int_equal(since(f, future_ms + 1), 7);
    expect_no_step_back(f);
    assert_int_equal(warnings(f), 1);
}

static void test_recorded_times_go_on_when_the_clock_has_caught_up(void **state)
{
    fixture_t *f = *state;
    const int64_t future_ms = start_behind(f, 700);
    submit(f);
    assert_int_equal(since(f, future_ms), 3);
    const int64_t deadline_ms = mb_clock_monotonic_ms() + PATIENCE_MS;
    while (since(f, future_ms + 1) > (uint64_t)f->submitted &&
           mb_clock_monotonic_ms() < deadline_ms) {
        submit(f);
    }
    assert_int_equal(since(f, future_ms + 1), f->submitted);
    expect_no_step_back(f);
    assert_int_equal(warnings(f), 0); /* a second is no news */
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_recorded_times_stand_still_while_the_clock_is_behind),
        TEST(test_recorded_times_go_on_when_the_clock_has_caught_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
