/* How many events a second the journal takes: two threads submit events of 1.8 kB, ids all
 * different, with a bounded number in flight, as the HTTP threads do.
 *
 *   journal_bench sqlite|memory EVENTS [FILE]     FILE is made, and grows by about 2.2 kB an event
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal.h"

#define THREADS   2
#define BODY      1800
#define IN_FLIGHT 2048 /* for each thread; connections that wait for their answer */
#define QUEUE     16384
#define DAY_MS    86400000ll

typedef struct {
    journal_t *journal;
    uint64_t events;
    uint64_t salt;
    atomic_uint_fast64_t answered;
    atomic_uint_fast64_t failed;
    pthread_mutex_t lock;
    pthread_cond_t some_answered;
} sender_t;

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_done(void *arg, const journal_result_t *result)
{
    sender_t *sender = arg;
    if (result->outcome != JOURNAL_STORED) {
        atomic_fetch_add(&sender->failed, 1);
    }
    if (atomic_fetch_add(&sender->answered, 1) % (IN_FLIGHT / 4) == IN_FLIGHT / 4 - 1) {
        pthread_mutex_lock(&sender->lock);
        pthread_cond_signal(&sender->some_answered);
        pthread_mutex_unlock(&sender->lock);
    }
}

static event_t *make_event(uint64_t salt, uint64_t number)
{
    event_t *event = event_new();
    if (event == NULL) {
        abort();
    }
    char id[64];
    /* Random-looking, as a sender's are: nothing of the order is in them. */
    const uint64_t unique = number * THREADS + salt;
    const uint64_t mixed = (unique + 1) * 0x9e3779b97f4a7c15u;
    snprintf(id, sizeof id, "evt_%016llx%016llx", (unsigned long long)mixed,
             (unsigned long long)unique);
    event->topic = strdup(number % 3 == 0 ? "message.delivered" : "message.received");
    event->id = strdup(id);
    event->webhook_id = strdup("msg_2Lh9KRb0pzN4LePd3XiA4v12Axj");
    event->source = strdup("/agentmail/inboxes/support%40agents.example.com");
    event->subject = strdup("<CAF7x9mQnD0pRk1eYz8Wb2vGhJ3@mail.example.com>");
    event->time = strdup("2026-01-02T03:04:05.678Z");
    event->body = malloc(BODY);
    if (event->body == NULL) {
        abort();
    }
    event->body_size = BODY;
    memset(event->body, 'x', BODY);
    memcpy(event->body, id, strlen(id));
    memcpy(event->sha256, &mixed, sizeof mixed);
    return event;
}

static void *send_all(void *arg)
{
    sender_t *sender = arg;
    for (uint64_t i = 0; i < sender->events; i++) {
        if (i - atomic_load(&sender->answered) >= IN_FLIGHT) {
            pthread_mutex_lock(&sender->lock);
            while (i - atomic_load(&sender->answered) >= IN_FLIGHT) {
                pthread_cond_wait(&sender->some_answered, &sender->lock);
            }
            pthread_mutex_unlock(&sender->lock);
        }
        event_t *event = make_event(sender->salt, i);
        if (journal_submit(sender->journal, event, on_done, sender) != MAILBUS_OK) {
            atomic_fetch_add(&sender->failed, 1);
            atomic_fetch_add(&sender->answered, 1);
        }
        event_release(&event);
    }
    return NULL;
}

/* Send everything, wait for the last answer. Returns the events that failed. */
static uint64_t run(journal_t *journal, uint64_t events)
{
    sender_t senders[THREADS];
    pthread_t threads[THREADS];
    uint64_t failed = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        sender_t *sender = &senders[i];
        memset(sender, 0, sizeof *sender);
        sender->journal = journal;
        sender->events = events / THREADS;
        sender->salt = i;
        pthread_mutex_init(&sender->lock, NULL);
        pthread_cond_init(&sender->some_answered, NULL);
        if (pthread_create(&threads[i], NULL, send_all, sender) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    journal_stop(journal);
    for (unsigned i = 0; i < THREADS; i++) {
        failed += atomic_load(&senders[i].failed);
    }
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: journal_bench sqlite|memory EVENTS [FILE]\n");
        return 2;
    }
    const journal_options_t options = {
        .backend = argv[1],
        .path = argc > 3 ? argv[3] : "journal_bench.db",
        .keep_bodies_ms = 30 * DAY_MS,
        .keep_ids_ms = 35 * DAY_MS,
        .queue_events = QUEUE,
        .batch_events = 1024,
        .quarantine_events = 1000,
    };
    const uint64_t events = strtoull(argv[2], NULL, 10);
    mb_metrics_t *metrics = mb_metrics_new();
    mb_log_t *log = mb_log_new("journal_bench", 2);
    journal_t *journal = NULL;
    mailbus_error_t error = {0};
    const double opening = now_seconds();
    if (journal_open(&options, metrics, log, &journal, &error) != MAILBUS_OK ||
        journal_start(journal, &error) != MAILBUS_OK) {
        fprintf(stderr, "journal_bench: %s\n", error.text);
        return 1;
    }
    const double start = now_seconds();
    const uint64_t failed = run(journal, events);
    const double seconds = now_seconds() - start;
    const uint64_t commits =
        mb_metric_value(mb_counter(metrics, "mailbus_journal_commits_total", "", ""));
    printf("%s: opened in %.3f s; %llu events in %.2f s: %.0f events/s, %.0f a commit, "
           "%llu failed\n",
           argv[1], start - opening, (unsigned long long)events, seconds, (double)events / seconds,
           (double)events / (double)(commits > 0 ? commits : 1), (unsigned long long)failed);
    journal_close(&journal);
    mb_log_destroy(&log);
    mb_metrics_destroy(&metrics);
    return failed == 0 ? 0 : 1;
}
