/* A reader that holds its read transaction keeps checkpoints from finishing and the log from being
 * written over. Intake goes on meanwhile, and the log becomes small again afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "journal_desk.h"

#define LONG_AGO  (365 * 86400000ll)
#define BODY_SIZE 1000000
#define MIB       (1024ll * 1024)

/* journal_sqlite.c: from 128 MiB of log on it waits for readers, 200 ms each time; a log that could
 * be reset is cut to 48 MiB. */
#define FORCED_FROM (128 * MIB)
#define LOG_LIMIT   (48 * MIB)
#define EVENTS      160 /* well beyond FORCED_FROM */

typedef struct {
    char folder[128];
    char path[160];
    mb_metrics_t *metrics;
    journal_t *journal;
    journal_desk_t *desk;
    char *body;
    int submitted;
    /* The reader's thread. */
    sem_t holding;
    sem_t let_go;
    mailbus_code_t code;
    int seen;
    uint64_t head; /* of its page */
} fixture_t;

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    journal_folder_new(f->folder);
    snprintf(f->path, sizeof f->path, "%s/journal.db", f->folder);
    f->desk = journal_desk_new(NULL, NULL);
    f->body = calloc(1, BODY_SIZE);
    f->metrics = mb_metrics_new();
    assert_non_null(f->body);
    assert_int_equal(sem_init(&f->holding, 0, 0), 0);
    assert_int_equal(sem_init(&f->let_go, 0, 0), 0);
    const journal_options_t options = {
        .backend = "sqlite",
        .path = f->path,
        .keep_bodies_ms = LONG_AGO,
        .keep_ids_ms = LONG_AGO,
        .queue_events = 100,
        .batch_events = 4,
        .quarantine_events = 10,
    };
    assert_int_equal(journal_open(&options, f->metrics, NULL, &f->journal, NULL), MAILBUS_OK);
    journal_desk_listen(f->desk, f->journal);
    assert_int_equal(journal_start(f->journal, NULL), MAILBUS_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    journal_close(&f->journal);
    mb_metrics_destroy(&f->metrics);
    journal_desk_free(&f->desk);
    journal_folder_remove(f->folder);
    sem_destroy(&f->holding);
    sem_destroy(&f->let_go);
    free(f->body);
    free(f);
    return 0;
}

static int64_t log_size(const fixture_t *f)
{
    char name[200];
    struct stat status;
    snprintf(name, sizeof name, "%s-wal", f->path);
    assert_int_equal(stat(name, &status), 0);
    return status.st_size;
}

static void submit(fixture_t *f, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", ++f->submitted);
        assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", id, f->body, BODY_SIZE),
                         MAILBUS_OK);
        if (i % 4 == 3) {
            assert_true(journal_desk_wait(f->desk));
        }
    }
    assert_true(journal_desk_wait(f->desk));
}

static bool hold(void *arg, const event_t *event)
{
    fixture_t *f = arg;
    if (f->seen++ == 0) {
        sem_post(&f->holding);
        sem_wait(&f->let_go);
    }
    return event->body_size == BODY_SIZE;
}

static void *read_slowly(void *arg)
{
    fixture_t *f = arg;
    journal_reader_t *reader = NULL;
    mailbus_heads_t *heads = NULL;
    uint64_t next = 0;
    uint64_t oldest = 0;
    const mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_FETCH, .from = 1};
    f->code = journal_reader_open(f->journal, &reader, NULL);
    if (f->code == MAILBUS_OK) {
        f->code = journal_reader_fetch(reader, &fetch, hold, f, &next, &oldest, &heads, NULL);
        f->head = heads != NULL ? heads->sequence : 0;
    }
    if (f->seen == 0) {
        sem_post(&f->holding); /* it failed: whoever waits sees the code */
    }
    mailbus_heads_free(&heads);
    journal_reader_close(&reader);
    return NULL;
}

static void test_a_reader_in_the_way_stops_neither_intake_nor_the_log_for_good(void **state)
{
    fixture_t *f = *state;
    pthread_t thread;
    submit(f, 3);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, f), 0);
    sem_wait(&f->holding);
    submit(f, EVENTS);
    assert_true(log_size(f) > FORCED_FROM); /* and a checkpoint has waited in vain */
    sem_post(&f->let_go);
    pthread_join(thread, NULL);
    assert_int_equal(f->code, MAILBUS_OK);
    assert_int_equal(f->head, 3); /* its page is of the time when it began */
    assert_int_equal(f->seen, 3);
    /* The log is moved into the file, and begins anew: when exactly goes by how events fell into
     * batches. */
    for (int i = 0; i < 10 && log_size(f) > LOG_LIMIT; i++) {
        submit(f, 4);
    }
    assert_true(log_size(f) <= LOG_LIMIT);
    const journal_answer_t *answers = NULL;
    assert_int_equal(journal_desk_answers(f->desk, &answers), f->submitted);
    for (int i = 0; i < f->submitted; i++) {
        assert_int_equal(answers[i].result.outcome, JOURNAL_STORED);
        assert_int_equal(answers[i].result.sequence, i + 1);
    }
    assert_false(journal_broken(f->journal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_reader_in_the_way_stops_neither_intake_nor_the_log_for_good, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
