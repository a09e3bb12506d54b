/* What only the SQLite store promises: that a restart changes nothing, and whose file it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal_desk.h"

#define LONG_AGO (365 * 86400000ll)

typedef struct {
    char folder[128];
    char path[160];
    journal_options_t options;
    mb_metrics_t *metrics;
    journal_t *journal;
    journal_desk_t *desk;
    size_t told;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    journal_folder_new(f->folder);
    snprintf(f->path, sizeof f->path, "%s/journal.db", f->folder);
    f->options = (journal_options_t){
        .backend = "sqlite",
        .path = f->path,
        .keep_bodies_ms = LONG_AGO,
        .keep_ids_ms = LONG_AGO,
        .queue_events = 8192,
        .batch_events = 1024,
        .quarantine_events = 10,
    };
    f->desk = journal_desk_new(NULL, NULL);
    *state = f;
    return 0;
}

static void stop(fixture_t *f)
{
    if (f->journal != NULL) {
        journal_close(&f->journal);
    }
    mb_metrics_destroy(&f->metrics);
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    stop(f);
    journal_desk_free(&f->desk);
    journal_folder_remove(f->folder);
    free(f);
    return 0;
}

static mailbus_code_t try_open(fixture_t *f, mailbus_error_t *error)
{
    f->metrics = mb_metrics_new();
    return journal_open(&f->options, f->metrics, NULL, &f->journal, error);
}

static void start(fixture_t *f)
{
    mailbus_error_t error = {0};
    if (try_open(f, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    journal_desk_listen(f->desk, f->journal);
    assert_int_equal(journal_start(f->journal, NULL), MAILBUS_OK);
}

static void submit(fixture_t *f, const char *topic, const char *id)
{
    while (journal_desk_submit(f->desk, f->journal, topic, id, NULL, 0) == MAILBUS_EFULL) {
        assert_true(journal_desk_wait(f->desk));
    }
}

static void submit_range(fixture_t *f, int first, int last)
{
    for (int i = first; i <= last; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        submit(f, i % 2 == 0 ? "even" : "odd", id);
    }
    assert_true(journal_desk_wait(f->desk));
}

/* The next answers, as many as there are, have this outcome and sequences from `sequence` on. */
static void expect(fixture_t *f, journal_outcome_t outcome, uint64_t sequence)
{
    const journal_answer_t *answers = NULL;
    assert_true(journal_desk_wait(f->desk));
    const size_t count = journal_desk_answers(f->desk, &answers);
    assert_true(f->told < count);
    for (; f->told < count; f->told++) {
        assert_int_equal(answers[f->told].times, 1);
        assert_int_equal(answers[f->told].result.outcome, outcome);
        assert_int_equal(answers[f->told].result.sequence, sequence++);
    }
}

/* Run SQL on the closed file. */
static void sql(fixture_t *f, const char *text)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static int64_t number_of(fixture_t *f, const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const int64_t number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return number;
}

static void expect_refusal(fixture_t *f, mailbus_code_t code, const char *words)
{
    mailbus_error_t error = {0};
    assert_int_equal(try_open(f, &error), code);
    if (strstr(error.text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
    }
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void test_a_restart_keeps_stream_numbers_and_ids(void **state)
{
    fixture_t *f = *state;
    char stream[MAILBUS_UUID_SIZE];
    start(f);
    snprintf(stream, sizeof stream, "%s", journal_stream(f->journal));
    assert_int_equal(strlen(stream), 36);
    submit_range(f, 1, 50);
    expect(f, JOURNAL_STORED, 1);
    stop(f);
    start(f);
    assert_string_equal(journal_stream(f->journal), stream);
    mailbus_heads_t *heads = NULL;
    assert_int_equal(journal_heads(f->journal, &heads), MAILBUS_OK);
    assert_int_equal(heads->sequence, 50);
    assert_int_equal(mailbus_heads_find(heads, "odd"), 49);
    mailbus_heads_free(&heads);
    submit_range(f, 1, 50);
    expect(f, JOURNAL_DUPLICATE, 1);
    submit_range(f, 51, 60);
    expect(f, JOURNAL_STORED, 51);
}

static void test_numbers_stay_used_when_all_events_are_pruned_and_it_restarts(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_range(f, 1, 50);
    journal_set_retention(f->journal, 0, 0, 0);
    assert_true(journal_metric_reaches(
        mb_counter(f->metrics, "mailbus_journal_pruned_ids_total", "", ""), 50));
    stop(f);
    assert_int_equal(number_of(f, "SELECT count(*) FROM events"), 0);
    start(f);
    f->told = 50;
    submit_range(f, 51, 52);
    expect(f, JOURNAL_STORED, 51);
    const journal_published_t *published = NULL;
    const size_t count = journal_desk_published(f->desk, &published);
    assert_int_equal(published[count - 1].previous, 50);
    assert_int_equal(published[count - 2].previous, 49);
}

/* Enough that ids move from memory to the table and their events are the only trace in between. */
static void test_ids_are_known_wherever_they_are_kept(void **state)
{
    fixture_t *f = *state;
    const int all = 210000;
    start(f);
    submit_range(f, 1, all);
    expect(f, JOURNAL_STORED, 1);
    stop(f);
    const int64_t settled = number_of(f, "SELECT value FROM meta WHERE name = 'ids_settled'");
    assert_true(settled >= 131072 && settled < all);
    assert_int_equal(number_of(f, "SELECT count(*) FROM ids"), settled);
    start(f);
    submit_range(f, 1, 300);
    expect(f, JOURNAL_DUPLICATE, 1);
    submit_range(f, (int)settled - 300, (int)settled + 300);
    expect(f, JOURNAL_DUPLICATE, (uint64_t)settled - 300);
    submit_range(f, all - 300, all);
    expect(f, JOURNAL_DUPLICATE, (uint64_t)all - 300);
    /* Forgotten ids are taken out of the table in the end, and are new again at once. */
    journal_set_retention(f->journal, 0, 0, 0);
    assert_true(journal_metric_reaches(
        mb_counter(f->metrics, "mailbus_journal_pruned_ids_total", "", ""), (uint64_t)all));
    journal_set_retention(f->journal, LONG_AGO, LONG_AGO, 0);
    submit_range(f, 1, 1);
    expect(f, JOURNAL_STORED, (uint64_t)all + 1);
    stop(f);
    assert_int_equal(number_of(f, "SELECT count(*) FROM events"), 1);
    assert_true(number_of(f, "SELECT count(*) FROM ids") <
                3000); /* a pass for less is not worth it */
}

/* ---- whose file it is ------------------------------------------------------------------------ */

static void test_a_second_process_is_kept_out(void **state)
{
    fixture_t *f = *state;
    start(f);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        journal_t *second = NULL;
        const mailbus_code_t code = journal_open(&f->options, NULL, NULL, &second, NULL);
        _exit(code == MAILBUS_EEXIST ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    submit_range(f, 1, 5);
    expect(f, JOURNAL_STORED, 1);
}

static void test_only_its_owner_can_read_the_file(void **state)
{
    fixture_t *f = *state;
    struct stat info;
    start(f);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_a_file_of_another_kind_is_refused(void **state)
{
    fixture_t *f = *state;
    sql(f, "CREATE TABLE inbox(id INTEGER PRIMARY KEY); PRAGMA user_version = 1");
    expect_refusal(f, MAILBUS_EINVAL, "another kind");
}

static void test_a_file_of_another_kind_without_a_version_is_refused(void **state)
{
    fixture_t *f = *state;
    sql(f, "CREATE TABLE inbox(id INTEGER PRIMARY KEY)");
    expect_refusal(f, MAILBUS_EINVAL, "another kind");
}

static void test_a_newer_file_is_refused(void **state)
{
    fixture_t *f = *state;
    start(f);
    stop(f);
    sql(f, "PRAGMA user_version = 1000");
    expect_refusal(f, MAILBUS_EINVAL, "newer");
}

static void test_a_file_that_is_no_database_is_refused(void **state)
{
    fixture_t *f = *state;
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++) {
        fputs("this is a mail, not a database\n", file);
    }
    fclose(file);
    expect_refusal(f, MAILBUS_EINVAL, "damaged");
}

static void test_an_unknown_backend_is_refused(void **state)
{
    fixture_t *f = *state;
    f->options.backend = "postgres";
    expect_refusal(f, MAILBUS_EINVAL, "sqlite");
}

/* ---- the check after an unclean stop --------------------------------------------------------- */

static void fill_and_stop(fixture_t *f)
{
    start(f);
    submit_range(f, 1, 20);
    stop(f);
    assert_int_equal(number_of(f, "SELECT value FROM meta WHERE name = 'clean'"), 1);
}

static void test_an_unclean_stop_is_checked_and_survived(void **state)
{
    fixture_t *f = *state;
    fill_and_stop(f);
    f->told = 20;
    sql(f, "UPDATE meta SET value = 0 WHERE name = 'clean'");
    start(f);
    submit_range(f, 21, 21);
    expect(f, JOURNAL_STORED, 21);
}

static void test_a_body_that_the_disk_changed_is_found_after_an_unclean_stop(void **state)
{
    fixture_t *f = *state;
    fill_and_stop(f);
    sql(f, "UPDATE meta SET value = 0 WHERE name = 'clean';"
           "UPDATE bodies SET body = x'00' WHERE sequence = 15");
    expect_refusal(f, MAILBUS_EINVAL, "damaged");
}

static void test_a_missing_event_is_found_after_an_unclean_stop(void **state)
{
    fixture_t *f = *state;
    fill_and_stop(f);
    sql(f, "UPDATE meta SET value = 0 WHERE name = 'clean';"
           "DELETE FROM events WHERE sequence = 20");
    expect_refusal(f, MAILBUS_EINVAL, "damaged");
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void test_the_quarantine_keeps_the_newest(void **state)
{
    fixture_t *f = *state;
    start(f);
    for (int i = 1; i <= 25; i++) {
        char reason[32];
        snprintf(reason, sizeof reason, "reason %d", i);
        journal_quarantine(f->journal, reason, i % 2 == 0 ? "msg" : NULL, "{\0}", 3);
    }
    assert_true(journal_metric_reaches(
        mb_counter(f->metrics, "mailbus_journal_quarantined_total", "", ""), 25));
    stop(f);
    assert_int_equal(number_of(f, "SELECT count(*) FROM quarantine"), 10);
    assert_int_equal(number_of(f, "SELECT count(*) FROM quarantine WHERE reason = 'reason 25'"
                                  " AND body = x'7b007d' AND webhook_id IS NULL"),
                     1);
    assert_int_equal(number_of(f, "SELECT count(*) FROM quarantine WHERE reason = 'reason 15'"), 0);
}

static void test_the_file_stays_near_its_wanted_size(void **state)
{
    fixture_t *f = *state;
    const int64_t limit = 12ll * 1024 * 1024;
    char *body = calloc(1, 20000);
    assert_non_null(body);
    f->options.max_size = limit;
    start(f);
    for (int i = 0; i < 4000; i++) { /* 80 MB */
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        while (journal_desk_submit(f->desk, f->journal, "t", id, body, 20000) == MAILBUS_EFULL) {
            assert_true(journal_desk_wait(f->desk));
        }
        if (i % 100 == 0) {
            assert_true(journal_desk_wait(f->desk));
        }
    }
    free(body);
    assert_true(journal_desk_wait(f->desk));
    expect(f, JOURNAL_STORED, 1);
    /* A thousand events stay whatever the size: 3000 bodies can go, and their pages come back. */
    assert_true(journal_metric_reaches(
        mb_counter(f->metrics, "mailbus_journal_pruned_bodies_total", "", ""), 3000));
    /* That is not small enough, so ids go as well, the oldest first. */
    assert_true(journal_metric_reaches(
        mb_counter(f->metrics, "mailbus_journal_pruned_ids_total", "", ""), 1));
    submit(f, "t", "e0");
    expect(f, JOURNAL_STORED, 4001);
    stop(f);
    assert_true(number_of(f, "SELECT count(*) FROM bodies") <= 1001);
    assert_int_equal(number_of(f, "SELECT max(sequence) FROM bodies"), 4001);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_restart_keeps_stream_numbers_and_ids),
        TEST(test_numbers_stay_used_when_all_events_are_pruned_and_it_restarts),
        TEST(test_ids_are_known_wherever_they_are_kept),
        TEST(test_a_second_process_is_kept_out),
        TEST(test_only_its_owner_can_read_the_file),
        TEST(test_a_file_of_another_kind_is_refused),
        TEST(test_a_file_of_another_kind_without_a_version_is_refused),
        TEST(test_a_newer_file_is_refused),
        TEST(test_a_file_that_is_no_database_is_refused),
        TEST(test_an_unknown_backend_is_refused),
        TEST(test_an_unclean_stop_is_checked_and_survived),
        TEST(test_a_body_that_the_disk_changed_is_found_after_an_unclean_stop),
        TEST(test_a_missing_event_is_found_after_an_unclean_stop),
        TEST(test_the_quarantine_keeps_the_newest),
        TEST(test_the_file_stays_near_its_wanted_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
