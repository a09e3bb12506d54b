/* The journal's promises, for both stores by the same tests. What only a file can show is in
 * test_journal_sqlite.c, failing disks are in tests/faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "journal_desk.h"

#define DAY_MS   86400000ll
#define LONG_AGO (365 * DAY_MS)
#define QUEUE    4096
#define BATCH    64

typedef struct {
    char folder[128];
    char path[160];
    journal_options_t options;
    mb_metrics_t *metrics;
    journal_t *journal;
    journal_desk_t *desk;
} fixture_t;

static void open_journal(fixture_t *f)
{
    mailbus_error_t error = {0};
    f->metrics = mb_metrics_new();
    if (journal_open(&f->options, f->metrics, NULL, &f->journal, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    journal_desk_listen(f->desk, f->journal);
}

static void start(fixture_t *f)
{
    assert_int_equal(journal_start(f->journal, NULL), MAILBUS_OK);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    journal_folder_new(f->folder);
    snprintf(f->path, sizeof f->path, "%s/journal.db", f->folder);
    f->options = (journal_options_t){
        .backend = *state,
        .path = f->path,
        .keep_bodies_ms = LONG_AGO,
        .keep_ids_ms = LONG_AGO,
        .queue_events = QUEUE,
        .batch_events = BATCH,
        .quarantine_events = 10,
    };
    f->desk = journal_desk_new(NULL, NULL);
    open_journal(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    journal_close(&f->journal);
    journal_desk_free(&f->desk);
    mb_metrics_destroy(&f->metrics);
    journal_folder_remove(f->folder);
    free(f);
    return 0;
}

static uint64_t metric(fixture_t *f, const char *name)
{
    return mb_metric_value(mb_counter(f->metrics, name, "", ""));
}

static void submit(fixture_t *f, const char *topic, const char *id)
{
    assert_int_equal(journal_desk_submit(f->desk, f->journal, topic, id, NULL, 0), MAILBUS_OK);
}

static void submit_many(fixture_t *f, const char *topic, const char *prefix, int count)
{
    for (int i = 1; i <= count; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s%d", prefix, i);
        submit(f, topic, id);
    }
    assert_true(journal_desk_wait(f->desk));
}

static const journal_answer_t *answer(fixture_t *f, size_t place)
{
    const journal_answer_t *answers = NULL;
    assert_true(journal_desk_wait(f->desk));
    assert_true(place < journal_desk_answers(f->desk, &answers));
    assert_int_equal(answers[place].times, 1);
    return &answers[place];
}

static void expect(fixture_t *f, size_t place, journal_outcome_t outcome, uint64_t sequence)
{
    assert_int_equal(answer(f, place)->result.outcome, outcome);
    assert_int_equal(answer(f, place)->result.sequence, sequence);
}

/* ---- numbers and answers --------------------------------------------------------------------- */

static void test_sequences_are_dense_and_previous_names_the_one_before_on_the_topic(void **state)
{
    fixture_t *f = *state;
    const char *const topics[] = {"a", "b", "a.a", "a", "a", "b"};
    const uint64_t previous[] = {0, 0, 0, 1, 4, 2};
    for (int i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        submit(f, topics[i], id);
    }
    start(f);
    assert_true(journal_desk_wait(f->desk));
    const journal_published_t *published = NULL;
    assert_int_equal(journal_desk_published(f->desk, &published), 6);
    for (size_t i = 0; i < 6; i++) {
        expect(f, i, JOURNAL_STORED, i + 1);
        assert_int_equal(published[i].sequence, i + 1);
        assert_int_equal(published[i].previous, previous[i]);
        assert_string_equal(published[i].topic, topics[i]);
    }
    assert_int_equal(journal_desk_head(f->desk), 6);
}

static void test_the_publisher_is_told_before_the_sender(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_many(f, "t", "e", 300);
    for (size_t i = 0; i < 300; i++) {
        assert_true(answer(f, i)->published_before >= answer(f, i)->result.sequence);
    }
}

static void test_a_batch_holds_no_more_than_it_may(void **state)
{
    fixture_t *f = *state;
    for (int i = 0; i < 3 * BATCH; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        submit(f, "t", id);
    }
    start(f);
    assert_true(journal_desk_wait(f->desk));
    assert_int_equal(metric(f, "mailbus_journal_commits_total"), 3);
    assert_int_equal(metric(f, "mailbus_journal_events_total"), 3 * BATCH);
}

static void test_a_duplicate_in_the_batch_of_its_first_copy_gets_its_sequence(void **state)
{
    fixture_t *f = *state;
    submit(f, "t", "one");
    submit(f, "t", "two");
    submit(f, "t", "one");
    start(f);
    expect(f, 0, JOURNAL_STORED, 1);
    expect(f, 1, JOURNAL_STORED, 2);
    expect(f, 2, JOURNAL_DUPLICATE, 1);
    assert_false(answer(f, 2)->result.body_differs);
    const journal_published_t *published = NULL;
    assert_int_equal(journal_desk_published(f->desk, &published), 2);
    assert_int_equal(metric(f, "mailbus_journal_commits_total"), 1);
    /* Answered after the commit that both were in. */
    assert_int_equal(answer(f, 2)->published_before, 2);
}

static void test_a_later_duplicate_is_answered_and_not_published(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_many(f, "t", "e", 100);
    submit_many(f, "t", "e", 100);
    for (size_t i = 0; i < 100; i++) {
        expect(f, 100 + i, JOURNAL_DUPLICATE, i + 1);
    }
    const journal_published_t *published = NULL;
    assert_int_equal(journal_desk_published(f->desk, &published), 100);
    assert_int_equal(metric(f, "mailbus_journal_duplicates_total"), 100);
    assert_int_equal(metric(f, "mailbus_journal_body_conflicts_total"), 0);
}

static void test_a_duplicate_with_another_body_is_told(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit(f, "t", "one");
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "one", "other", 5), MAILBUS_OK);
    expect(f, 1, JOURNAL_DUPLICATE, 1);
    assert_true(answer(f, 1)->result.body_differs);
    assert_int_equal(metric(f, "mailbus_journal_body_conflicts_total"), 1);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void test_a_full_queue_refuses_and_takes_again_later(void **state)
{
    fixture_t *f = *state;
    for (int i = 0; i < QUEUE; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        submit(f, "t", id);
    }
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "more", NULL, 0), MAILBUS_EFULL);
    assert_int_equal(metric(f, "mailbus_journal_refused_total"), 1);
    start(f);
    assert_true(journal_desk_wait(f->desk));
    submit(f, "t", "more");
    expect(f, QUEUE, JOURNAL_STORED, QUEUE + 1);
}

/* With a disk that hangs, senders are answered 503 after a while and send again: what waits must
 * not grow by another load of large bodies each time. */
static void test_large_bodies_fill_the_queue_before_their_number_does(void **state)
{
    fixture_t *f = *state;
    const size_t size = (size_t)8 * 1024 * 1024;
    char *body = calloc(1, size);
    assert_non_null(body);
    mailbus_code_t code = MAILBUS_OK;
    size_t accepted = 0;
    while (code == MAILBUS_OK && accepted < 100) {
        char id[16];
        snprintf(id, sizeof id, "e%zu", accepted);
        code = journal_desk_submit(f->desk, f->journal, "t", id, body, size);
        accepted += code == MAILBUS_OK;
    }
    assert_int_equal(code, MAILBUS_EFULL);
    assert_int_equal(accepted, JOURNAL_QUEUE_BYTES / size);
    start(f);
    for (size_t i = 0; i < accepted; i++) {
        expect(f, i, JOURNAL_STORED, i + 1);
    }
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "more", body, size), MAILBUS_OK);
    expect(f, accepted, JOURNAL_STORED, accepted + 1);
    free(body);
}

static void test_stopping_commits_what_waits_and_refuses_what_comes(void **state)
{
    fixture_t *f = *state;
    char reason[128] = "";
    assert_false(journal_writable(f->journal, reason, sizeof reason));
    assert_string_not_equal(reason, "");
    start(f);
    assert_true(journal_writable(f->journal, reason, sizeof reason));
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        submit(f, "t", id);
    }
    journal_stop(f->journal);
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "late", NULL, 0),
                     MAILBUS_ESTOPPED);
    for (size_t i = 0; i < 1000; i++) {
        expect(f, i, JOURNAL_STORED, i + 1);
    }
    assert_false(journal_writable(f->journal, reason, sizeof reason));
    assert_non_null(strstr(reason, "stopped"));
}

static void test_a_journal_that_never_ran_answers_with_failure(void **state)
{
    fixture_t *f = *state;
    submit(f, "t", "one");
    journal_stop(f->journal);
    expect(f, 0, JOURNAL_FAILED, 0);
}

static void test_a_topic_too_many_fails_alone(void **state)
{
    fixture_t *f = *state;
    start(f);
    for (int i = 0; i <= MAILBUS_HEADS_MAX_TOPICS; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t%d", i);
        submit(f, topic, topic);
        if (i % 1000 == 0) {
            assert_true(journal_desk_wait(f->desk));
        }
    }
    submit(f, "t0", "known");
    expect(f, MAILBUS_HEADS_MAX_TOPICS - 1, JOURNAL_STORED, MAILBUS_HEADS_MAX_TOPICS);
    expect(f, MAILBUS_HEADS_MAX_TOPICS, JOURNAL_FAILED, 0);
    expect(f, MAILBUS_HEADS_MAX_TOPICS + 1, JOURNAL_STORED, MAILBUS_HEADS_MAX_TOPICS + 1);
    assert_int_equal(metric(f, "mailbus_journal_failed_total"), 1);
    assert_false(journal_broken(f->journal));
    mailbus_heads_t *heads = NULL;
    assert_int_equal(journal_heads(f->journal, &heads), MAILBUS_OK);
    assert_int_equal(heads->count, MAILBUS_HEADS_MAX_TOPICS);
    assert_int_equal(mailbus_heads_find(heads, "t0"), MAILBUS_HEADS_MAX_TOPICS + 1);
    mailbus_heads_free(&heads);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct {
    uint64_t sequences[2000];
    size_t count;
    size_t refuse_at; /* this visit is not taken; 0: all are */
    size_t body_bytes;
    char last_header[1024];
    char last_body[64];
} visited_t;

static bool visit(void *arg, const event_t *event)
{
    visited_t *visited = arg;
    if (visited->refuse_at == visited->count + 1) {
        return false;
    }
    visited->sequences[visited->count++] = event->sequence;
    visited->body_bytes += event->body_size;
    snprintf(visited->last_body, sizeof visited->last_body, "%.*s", (int)event->body_size,
             event->body);
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(event_header(event, "123e4567-e89b-42d3-a456-426614174000", &header, NULL),
                     MAILBUS_OK);
    snprintf(visited->last_header, sizeof visited->last_header, "%s", header.data);
    mailbus_buf_free(&header);
    return true;
}

typedef struct {
    visited_t visited;
    uint64_t next;
    uint64_t oldest;
    uint64_t head;
} page_t;

static void fetch(fixture_t *f, const mailbus_fetch_t *request, page_t *page)
{
    journal_reader_t *reader = NULL;
    mailbus_heads_t *heads = NULL;
    mailbus_error_t error = {0};
    assert_int_equal(journal_reader_open(f->journal, &reader, &error), MAILBUS_OK);
    if (journal_reader_fetch(reader, request, visit, &page->visited, &page->next, &page->oldest,
                             &heads, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    page->head = heads->sequence;
    assert_string_equal(heads->stream, journal_stream(f->journal));
    mailbus_heads_free(&heads);
    journal_reader_close(&reader);
}

static void test_an_empty_journal_has_an_empty_page(void **state)
{
    fixture_t *f = *state;
    page_t page = {0};
    start(f);
    fetch(f, &(mailbus_fetch_t){.from = 0}, &page);
    assert_int_equal(page.visited.count, 0);
    assert_int_equal(page.next, 1);
    assert_int_equal(page.oldest, 1);
    assert_int_equal(page.head, 0);
}

static void test_pages_follow_each_other_without_gap_or_overlap(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_many(f, "t", "e", 500);
    uint64_t next = 0;
    uint64_t seen = 0;
    for (int i = 0; i < 100 && next <= 500; i++) {
        page_t page = {0};
        fetch(f, &(mailbus_fetch_t){.from = next, .limit = 7}, &page);
        for (size_t k = 0; k < page.visited.count; k++) {
            assert_int_equal(page.visited.sequences[k], ++seen);
        }
        assert_true(page.visited.count <= 7);
        assert_true(page.next > next);
        assert_int_equal(page.head, 500);
        next = page.next;
    }
    assert_int_equal(seen, 500);
    assert_int_equal(next, 501);
}

static void test_topics_are_equal_and_prefixes_are_prefixes(void **state)
{
    fixture_t *f = *state;
    start(f);
    const char *const topics[] = {"message.received", "message.received.spam", "message.sent",
                                  "domain.verified"};
    for (int i = 0; i < 4; i++) {
        submit(f, topics[i], topics[i]);
    }
    assert_true(journal_desk_wait(f->desk));
    char received[] = "message.received";
    char message[] = "message.";
    page_t page = {0};
    fetch(f, &(mailbus_fetch_t){.topics = (char *[]){received}, .topic_count = 1}, &page);
    assert_int_equal(page.visited.count, 1);
    assert_int_equal(page.visited.sequences[0], 1);
    assert_int_equal(page.next, 5);
    page = (page_t){0};
    fetch(f, &(mailbus_fetch_t){.prefixes = (char *[]){message}, .prefix_count = 1}, &page);
    assert_int_equal(page.visited.count, 3);
}

static void test_a_page_is_bounded_in_bytes_but_holds_one_event(void **state)
{
    fixture_t *f = *state;
    char body[1000];
    memset(body, 'b', sizeof body);
    start(f);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", id, body, sizeof body),
                         MAILBUS_OK);
    }
    assert_true(journal_desk_wait(f->desk));
    page_t page = {0};
    fetch(f, &(mailbus_fetch_t){.bytes = 2500}, &page);
    assert_int_equal(page.visited.count, 2);
    assert_int_equal(page.next, 3);
    page = (page_t){0};
    fetch(f, &(mailbus_fetch_t){.from = 3, .bytes = 10}, &page);
    assert_int_equal(page.visited.count, 1);
    assert_int_equal(page.next, 4);
}

static void test_what_the_visitor_does_not_take_comes_again(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_many(f, "t", "e", 10);
    page_t page = {.visited = {.refuse_at = 4}};
    fetch(f, &(mailbus_fetch_t){0}, &page);
    assert_int_equal(page.visited.count, 3);
    assert_int_equal(page.next, 4);
}

static void test_a_rare_topic_is_found_over_several_bounded_pages(void **state)
{
    fixture_t *f = *state;
    start(f);
    for (int i = 0; i < 45; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "c%d-", i);
        submit_many(f, "common", prefix, 1000);
    }
    submit(f, "rare", "rare");
    assert_true(journal_desk_wait(f->desk));
    char rare[] = "rare";
    uint64_t next = 0;
    int pages = 0;
    size_t found = 0;
    while (next <= 45001 && pages < 10) {
        page_t page = {0};
        fetch(f, &(mailbus_fetch_t){.from = next, .topics = (char *[]){rare}, .topic_count = 1},
              &page);
        found += page.visited.count;
        next = page.next;
        pages++;
    }
    assert_int_equal(found, 1);
    assert_int_equal(pages, 3); /* 20 000 rows each */
}

static void test_an_event_is_read_as_it_was_published(void **state)
{
    fixture_t *f = *state;
    start(f);
    event_t *event = journal_desk_event("message.received", "id-1", "{\"a\":\"\xc3\xa9\"}", 10);
    submit(f, "message.received", "first");
    assert_true(journal_desk_wait(f->desk));
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "message.received", "id-1",
                                         event->body, event->body_size),
                     MAILBUS_OK);
    assert_true(journal_desk_wait(f->desk));
    page_t page = {0};
    fetch(f, &(mailbus_fetch_t){.from = 2}, &page);
    assert_int_equal(page.visited.count, 1);
    assert_string_equal(page.visited.last_body, "{\"a\":\"\xc3\xa9\"}");
    assert_non_null(strstr(page.visited.last_header, "\"id\":\"id-1\""));
    assert_non_null(strstr(page.visited.last_header, "\"sequence\":\"2\""));
    assert_non_null(strstr(page.visited.last_header, "\"previous\":\"1\""));
    assert_non_null(strstr(page.visited.last_header, "\"subject\":\"<1@example.com>\""));
    assert_non_null(strstr(page.visited.last_header, "\"webhookid\":\"msg_1\""));
    event_release(&event);
}

static void test_an_empty_body_is_kept_as_one(void **state)
{
    fixture_t *f = *state;
    start(f);
    assert_int_equal(journal_desk_submit(f->desk, f->journal, "t", "empty", "", 0), MAILBUS_OK);
    assert_true(journal_desk_wait(f->desk));
    page_t page = {0};
    fetch(f, &(mailbus_fetch_t){0}, &page);
    assert_int_equal(page.visited.count, 1);
    assert_int_equal(page.visited.body_bytes, 0);
}

static void test_since_names_the_first_event_recorded_then_or_later(void **state)
{
    fixture_t *f = *state;
    start(f);
    const int64_t before = mb_clock_wall_ms();
    submit_many(f, "t", "e", 50);
    int64_t middle = mb_clock_wall_ms() + 1;
    while (mb_clock_wall_ms() < middle) {
        submit(f, "t", "e1"); /* until the next millisecond; a duplicate takes no number */
        assert_true(journal_desk_wait(f->desk));
    }
    middle = mb_clock_wall_ms();
    submit_many(f, "t", "f", 50);
    journal_reader_t *reader = NULL;
    uint64_t sequence = 0;
    assert_int_equal(journal_reader_open(f->journal, &reader, NULL), MAILBUS_OK);
    assert_int_equal(journal_reader_since(reader, before, &sequence, NULL), MAILBUS_OK);
    assert_int_equal(sequence, 1);
    assert_int_equal(journal_reader_since(reader, middle, &sequence, NULL), MAILBUS_OK);
    assert_int_equal(sequence, 51);
    assert_int_equal(journal_reader_since(reader, mb_clock_wall_ms() + DAY_MS, &sequence, NULL),
                     MAILBUS_OK);
    assert_int_equal(sequence, 101);
    assert_int_equal(journal_reader_since(reader, 0, &sequence, NULL), MAILBUS_OK);
    assert_int_equal(sequence, 1);
    journal_reader_close(&reader);
}

/* ---- retention ------------------------------------------------------------------------------- */

static bool pruned(fixture_t *f, const char *what, uint64_t count)
{
    return journal_metric_reaches(mb_counter(f->metrics, what, "", ""), count);
}

static void test_ids_outlive_bodies(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_many(f, "t", "e", 3000);
    journal_set_retention(f->journal, 0, LONG_AGO, 0);
    assert_true(pruned(f, "mailbus_journal_pruned_bodies_total", 3000));
    page_t page = {0};
    fetch(f, &(mailbus_fetch_t){.from = 5}, &page);
    assert_int_equal(page.visited.count, 0);
    assert_int_equal(page.oldest, 3001);
    assert_int_equal(page.next, 3001);
    submit(f, "t", "e1");
    submit(f, "t", "e3000");
    expect(f, 3000, JOURNAL_DUPLICATE, 1);
    expect(f, 3001, JOURNAL_DUPLICATE, 3000);
    assert_int_equal(metric(f, "mailbus_journal_pruned_ids_total"), 0);
}

static void test_pruned_numbers_are_never_used_again(void **state)
{
    fixture_t *f = *state;
    start(f);
    submit_many(f, "t", "e", 100);
    submit(f, "quiet", "q");
    assert_true(journal_desk_wait(f->desk));
    journal_set_retention(f->journal, 0, 0, 0);
    assert_true(pruned(f, "mailbus_journal_pruned_ids_total", 101));
    journal_set_retention(f->journal, LONG_AGO, LONG_AGO, 0);
    submit(f, "t", "e1"); /* forgotten: a new event now */
    expect(f, 101, JOURNAL_STORED, 102);
    submit(f, "quiet", "q2");
    expect(f, 102, JOURNAL_STORED, 103);
    const journal_published_t *published = NULL;
    assert_int_equal(journal_desk_published(f->desk, &published), 103);
    assert_int_equal(published[101].previous, 100);
    assert_int_equal(published[102].previous, 101);
    page_t page = {0};
    fetch(f, &(mailbus_fetch_t){.from = 1}, &page);
    assert_int_equal(page.oldest, 102);
    assert_int_equal(page.visited.count, 2);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS     4
#define EACH        1500
#define SHARED_EACH 100

typedef struct {
    fixture_t *f;
    int number;
    atomic_int *running;
} crowd_t;

/* Own ids, and some that every thread sends. */
static void *send_some(void *arg)
{
    crowd_t *crowd = arg;
    for (int i = 0; i < EACH; i++) {
        char id[32];
        if (i < SHARED_EACH) {
            snprintf(id, sizeof id, "shared-%d", i);
        } else {
            snprintf(id, sizeof id, "own-%d-%d", crowd->number, i);
        }
        const char *topic = i % 2 == 0 ? "even" : "odd";
        while (journal_desk_submit(crowd->f->desk, crowd->f->journal, topic, id, NULL, 0) ==
               MAILBUS_EFULL) {
            assert_true(journal_desk_wait(crowd->f->desk));
        }
        if (i % 100 == 0) {
            journal_quarantine(crowd->f->journal, "unreadable", "msg", "body", 4);
        }
    }
    atomic_fetch_sub(crowd->running, 1);
    return NULL;
}

static void test_many_senders_and_a_reader_see_one_order(void **state)
{
    fixture_t *f = *state;
    pthread_t threads[THREADS];
    crowd_t crowds[THREADS];
    atomic_int running = THREADS;
    start(f);
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (crowd_t){.f = f, .number = i, .running = &running};
        assert_int_equal(pthread_create(&threads[i], NULL, send_some, &crowds[i]), 0);
    }
    uint64_t next = 1;
    uint64_t seen = 0;
    const uint64_t all = SHARED_EACH + THREADS * (EACH - SHARED_EACH);
    const int64_t deadline = mb_clock_monotonic_ms() + 60000;
    while ((atomic_load(&running) > 0 || seen < all) && mb_clock_monotonic_ms() < deadline) {
        page_t page = {0};
        fetch(f, &(mailbus_fetch_t){.from = next, .limit = 1000}, &page);
        for (size_t i = 0; i < page.visited.count; i++) {
            assert_int_equal(page.visited.sequences[i], ++seen);
        }
        mailbus_heads_t *heads = NULL;
        assert_int_equal(journal_heads(f->journal, &heads), MAILBUS_OK);
        mailbus_heads_free(&heads);
        next = page.next;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(journal_desk_wait(f->desk));
    assert_int_equal(seen, all);
    const journal_answer_t *answers = NULL;
    const size_t count = journal_desk_answers(f->desk, &answers);
    size_t stored = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(answers[i].times, 1);
        assert_int_not_equal(answers[i].result.outcome, JOURNAL_FAILED);
        stored += answers[i].result.outcome == JOURNAL_STORED;
    }
    assert_int_equal(stored, all);
}

#define FOR(store, test)                                                                           \
    {                                                                                              \
#test " (" store ")", test, set_up, tear_down, store                                       \
    }
#define BOTH(test) FOR("sqlite", test), FOR("memory", test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_sequences_are_dense_and_previous_names_the_one_before_on_the_topic),
        BOTH(test_the_publisher_is_told_before_the_sender),
        BOTH(test_a_batch_holds_no_more_than_it_may),
        BOTH(test_a_duplicate_in_the_batch_of_its_first_copy_gets_its_sequence),
        BOTH(test_a_later_duplicate_is_answered_and_not_published),
        BOTH(test_a_duplicate_with_another_body_is_told),
        BOTH(test_a_full_queue_refuses_and_takes_again_later),
        BOTH(test_large_bodies_fill_the_queue_before_their_number_does),
        BOTH(test_stopping_commits_what_waits_and_refuses_what_comes),
        BOTH(test_a_journal_that_never_ran_answers_with_failure),
        BOTH(test_a_topic_too_many_fails_alone),
        BOTH(test_an_empty_journal_has_an_empty_page),
        BOTH(test_pages_follow_each_other_without_gap_or_overlap),
        BOTH(test_topics_are_equal_and_prefixes_are_prefixes),
        BOTH(test_a_page_is_bounded_in_bytes_but_holds_one_event),
        BOTH(test_what_the_visitor_does_not_take_comes_again),
        BOTH(test_a_rare_topic_is_found_over_several_bounded_pages),
        BOTH(test_an_event_is_read_as_it_was_published),
        BOTH(test_an_empty_body_is_kept_as_one),
        BOTH(test_since_names_the_first_event_recorded_then_or_later),
        BOTH(test_ids_outlive_bodies),
        BOTH(test_pruned_numbers_are_never_used_again),
        BOTH(test_many_senders_and_a_reader_see_one_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
