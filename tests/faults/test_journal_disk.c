/* Disks that fail under the journal: what is answered, what is published, and what comes after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk.h"
#include "ledger.h"

#define VFS      "failing"
#define LONG_AGO (365 * 86400000ll)

typedef struct {
    char folder[128];
    char path[160];
    disk_t *disk;
    journal_desk_t *desk;
    mb_metrics_t *metrics;
    journal_t *journal;
    size_t told; /* answers that were looked at */
} fixture_t;

static void open_journal(fixture_t *f)
{
    const journal_options_t options = {
        .backend = "sqlite",
        .path = f->path,
        .keep_bodies_ms = LONG_AGO,
        .keep_ids_ms = LONG_AGO,
        .queue_events = 100,
        .batch_events = 20,
        .quarantine_events = 10,
        .vfs = VFS,
    };
    mailbus_error_t error = {0};
    f->metrics = mb_metrics_new();
    if (journal_open(&options, f->metrics, NULL, &f->journal, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    journal_desk_listen(f->desk, f->journal);
}

static void close_journal(fixture_t *f)
{
    journal_close(&f->journal);
    mb_metrics_destroy(&f->metrics);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    journal_folder_new(f->folder);
    snprintf(f->path, sizeof f->path, "%s/journal.db", f->folder);
    f->disk = disk_new(VFS);
    f->desk = journal_desk_new(NULL, NULL);
    open_journal(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    close_journal(f);
    disk_destroy(&f->disk);
    journal_desk_free(&f->desk);
    journal_folder_remove(f->folder);
    free(f);
    return 0;
}

/* Queue `count` events before or while the thread runs. */
static void queue(fixture_t *f, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        assert_int_equal(
            journal_desk_submit(f->desk, f->journal, i % 2 == 0 ? "even" : "odd", id, NULL, 0),
            MAILBUS_OK);
    }
}

static void start(fixture_t *f)
{
    assert_int_equal(journal_start(f->journal, NULL), MAILBUS_OK);
}

/* How many of the answers since the last call have this outcome; all of them came once. */
static size_t outcomes(fixture_t *f, journal_outcome_t outcome)
{
    const journal_answer_t *answers = NULL;
    assert_true(journal_desk_wait(f->desk));
    const size_t count = journal_desk_answers(f->desk, &answers);
    size_t found = 0;
    for (; f->told < count; f->told++) {
        assert_int_equal(answers[f->told].times, 1);
        found += answers[f->told].result.outcome == outcome;
    }
    return found;
}

static size_t published(fixture_t *f)
{
    const journal_published_t *all = NULL;
    return journal_desk_published(f->desk, &all);
}

static void expect_balance(fixture_t *f)
{
    ledger_t ledger;
    close_journal(f);
    ledger_check(f->path, VFS, f->desk, &ledger);
    if (!ledger_balanced(&ledger)) {
        fail_msg("%s", ledger.first);
    }
    open_journal(f);
}

/* Until the journal takes events again by itself. */
static void wait_writable(fixture_t *f)
{
    char reason[200] = "";
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 4000 && !journal_writable(f->journal, reason, sizeof reason); i++) {
        nanosleep(&pause, NULL);
    }
    assert_true(journal_writable(f->journal, reason, sizeof reason));
}

static void test_failed_commit_answers_every_event_of_the_batch_with_failure(void **state)
{
    fixture_t *f = *state;
    queue(f, 0, 9);
    /* A duplicate of one of the batch: its first copy is not on disk, so it fails as well. */
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "even", "e0", NULL, 0), MAILBUS_OK);
    disk_fail(f->disk, DISK_WRITE, "-wal", 1, SQLITE_FULL, false);
    start(f);
    assert_int_equal(outcomes(f, JOURNAL_FAILED), 10);
    assert_true(disk_has_failed(f->disk));
    assert_int_equal(published(f), 0);
    assert_int_equal(
        mb_metric_value(mb_counter(f->metrics, "mailbus_journal_commit_failures_total", "", "")),
        1);
    mailbus_heads_t *heads = NULL;
    assert_int_equal(journal_heads(f->journal, &heads), MAILBUS_OK);
    assert_int_equal(heads->sequence, 0);
    assert_int_equal(heads->count, 0);
    mailbus_heads_free(&heads);
    /* The sender tries again: stored, with the numbers that were given back. */
    wait_writable(f);
    queue(f, 0, 9);
    assert_int_equal(outcomes(f, JOURNAL_STORED), 9);
    const journal_published_t *all = NULL;
    assert_int_equal(journal_desk_published(f->desk, &all), 9);
    assert_int_equal(all[0].sequence, 1);
    expect_balance(f);
}

static void test_a_full_disk_is_waited_out(void **state)
{
    fixture_t *f = *state;
    start(f);
    queue(f, 0, 5);
    assert_int_equal(outcomes(f, JOURNAL_STORED), 5);
    disk_fail(f->disk, DISK_WRITE, "-wal", 1, SQLITE_FULL, true);
    queue(f, 5, 1);
    assert_int_equal(outcomes(f, JOURNAL_FAILED), 1);
    char reason[200] = "";
    assert_false(journal_writable(f->journal, reason, sizeof reason));
    assert_non_null(strstr(reason, "full"));
    assert_false(journal_broken(f->journal));
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "late", NULL, 0), MAILBUS_EFULL);
    disk_heal(f->disk);
    wait_writable(f);
    queue(f, 5, 5);
    assert_int_equal(outcomes(f, JOURNAL_STORED), 5);
    expect_balance(f);
}

static void expect_broken(fixture_t *f)
{
    char reason[256] = "";
    assert_true(journal_broken(f->journal));
    assert_false(journal_writable(f->journal, reason, sizeof reason));
    assert_non_null(strstr(reason, "must be opened again"));
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "late", NULL, 0),
                     MAILBUS_ESTOPPED);
}

static void test_after_a_failed_sync_nothing_is_accepted_any_more(void **state)
{
    fixture_t *f = *state;
    start(f);
    queue(f, 0, 5);
    assert_int_equal(outcomes(f, JOURNAL_STORED), 5);
    disk_fail(f->disk, DISK_SYNC, "-wal", 1, SQLITE_IOERR_FSYNC, false);
    queue(f, 5, 3);
    assert_int_equal(outcomes(f, JOURNAL_FAILED), 3);
    assert_int_equal(published(f), 5);
    expect_broken(f);
    disk_heal(f->disk);
    expect_broken(f);
    /* A new process: the three may be in the log or not, but nobody was told; what was is there. */
    close_journal(f);
    open_journal(f);
    start(f);
    queue(f, 0, 8);
    assert_int_equal(outcomes(f, JOURNAL_FAILED), 0);
    expect_balance(f);
}

/* The log's events go into the file; a sync of the file that fails must not pass unseen, because
 * the log is written over afterwards. */
static void test_a_failed_sync_of_a_checkpoint_breaks_the_journal(void **state)
{
    fixture_t *f = *state;
    const size_t size = 1000000;
    char *body = calloc(1, size);
    assert_non_null(body);
    start(f);
    disk_fail(f->disk, DISK_SYNC, "journal.db", 1, SQLITE_IOERR_FSYNC, false);
    for (int i = 0; i < 60 && !journal_broken(f->journal); i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        (void)!journal_desk_submit(f->desk, f->journal, "t", id, body, size);
        assert_true(journal_desk_wait(f->desk));
    }
    free(body);
    assert_true(disk_has_failed(f->disk));
    expect_broken(f);
    disk_heal(f->disk);
    expect_balance(f);
}

/* Every single write of a batch fails once. */
static void test_wherever_a_write_fails_the_batch_fails_whole_and_leaves_nothing(void **state)
{
    fixture_t *f = *state;
    start(f);
    queue(f, 0, 1);
    assert_int_equal(outcomes(f, JOURNAL_STORED), 1);
    int nth = 1;
    for (bool failed = true; failed && nth < 100; nth++) {
        const size_t before = published(f);
        disk_fail(f->disk, DISK_WRITE, "", nth, SQLITE_FULL, false);
        queue(f, nth * 1000, 1);
        const size_t failures = outcomes(f, JOURNAL_FAILED);
        failed = disk_has_failed(f->disk);
        assert_int_equal(failures, failed ? 1 : 0);
        assert_int_equal(published(f), before + (failed ? 0 : 1));
        disk_heal(f->disk);
        wait_writable(f);
    }
    assert_true(nth > 4);
    expect_balance(f);
}

static void test_a_disk_below_its_reserve_refuses_before_it_is_full(void **state)
{
    fixture_t *f = *state;
    const journal_options_t options = {
        .backend = "sqlite",
        .path = f->path,
        .reserve = INT64_MAX,
        .queue_events = 10,
        .batch_events = 10,
    };
    char reason[200] = "";
    close_journal(f);
    f->metrics = mb_metrics_new();
    assert_int_equal(journal_open(&options, f->metrics, NULL, &f->journal, NULL), MAILBUS_OK);
    journal_desk_listen(f->desk, f->journal);
    start(f);
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 4000 && journal_writable(f->journal, reason, sizeof reason); i++) {
        nanosleep(&pause, NULL);
    }
    assert_non_null(strstr(reason, "must stay free"));
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "e", NULL, 0), MAILBUS_EFULL);
    assert_false(journal_broken(f->journal));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_failed_commit_answers_every_event_of_the_batch_with_failure),
        TEST(test_a_full_disk_is_waited_out),
        TEST(test_after_a_failed_sync_nothing_is_accepted_any_more),
        TEST(test_a_failed_sync_of_a_checkpoint_breaks_the_journal),
        TEST(test_wherever_a_write_fails_the_batch_fails_whole_and_leaves_nothing),
        TEST(test_a_disk_below_its_reserve_refuses_before_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
