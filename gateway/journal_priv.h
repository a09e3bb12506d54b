/* What journal.c (the queue and everybody's thread) and journal_writer.c (the journal's own thread)
 * share. Nobody else includes this. */
#ifndef GATEWAY_JOURNAL_PRIV_H
#define GATEWAY_JOURNAL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "journal_backend.h"
#include "journal_metrics.h"

/* Unreadable requests that wait for the journal's thread. They are rare; a flood of them is cut
 * here and counted, it never holds memory that events need. */
#define JOURNAL_REJECTS_WAITING       256
#define JOURNAL_REJECTS_WAITING_BYTES ((size_t)16 * 1024 * 1024)

/* An event between submit and its answer. */
typedef struct {
    event_t *event; /* a reference of its own */
    journal_done_fn *done;
    void *arg;
} journal_entry_t;

/* An unreadable request between the HTTP thread and the quarantine; text and body lie behind it. */
typedef struct journal_waiting {
    struct journal_waiting *next;
    const char *reason;
    const char *webhook_id; /* NULL: none */
    const void *body;
    size_t size;
} journal_waiting_t;

typedef enum {
    JOURNAL_OPENED,   /* takes events, nobody commits them yet */
    JOURNAL_RUNNING,  /* the thread commits */
    JOURNAL_STOPPING, /* takes nothing; the thread commits what waits */
    JOURNAL_STOPPED,
} journal_phase_t;

struct journal {
    const journal_backend_t *backend;
    void *store; /* the backend's; journal's thread */
    journal_options_t options;
    char *path; /* options.path is this copy */
    journal_heads_t *heads;
    char stream[MAILBUS_UUID_SIZE];
    mb_log_t *log;
    journal_metrics_t metrics;
    journal_committed_fn *committed;
    void *committed_arg;
    pthread_t thread;
    atomic_bool broken;

    pthread_mutex_t lock; /* guards from here … */
    pthread_cond_t wake;  /* the journal's thread waits here */
    journal_phase_t phase;
    bool asleep;            /* the thread waits: wake it */
    mailbus_code_t refuse;  /* OK, or what submit answers because of the disk */
    char reason[256];       /* why, in words */
    journal_entry_t *queue; /* a ring of options.queue_events */
    size_t first;
    size_t count;
    size_t bytes;               /* of the bodies in it */
    journal_waiting_t *rejects; /* oldest first */
    journal_waiting_t **rejects_end;
    size_t rejects_count;
    size_t rejects_bytes;
    int64_t keep_bodies_ms;
    int64_t keep_ids_ms;
    int64_t max_size; /* … to here */

    /* The journal's thread alone. */
    journal_entry_t *batch;    /* options.batch_events of each */
    journal_result_t *results; /* of batch[i] */
    event_t **stored;          /* the new events of the batch, in order */
    size_t batch_count;
    size_t stored_count;
    journal_waiting_t *batch_rejects;
    int64_t recorded_ms;      /* of the newest event: never goes back */
    int64_t committed_ms;     /* the same, of the newest that is committed */
    int64_t keep_house_at_ms; /* monotonic: when retention is looked at next */
    int64_t full_until_ms;    /* monotonic: the disk was full; not before this is it tried again */
    int64_t topics_logged_ms; /* monotonic: when "too many topics" was last said */
    bool clock_logged;        /* the clock was told to be behind the journal */
};

/* journal_writer.c: the thread's function, arg is the journal. */
void *journal_writer_run(void *arg);
/* Answer what waits with FAILED: for a journal that never ran. */
void journal_writer_refuse_all(journal_t *self);

#endif
