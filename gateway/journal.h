/* Stage 4: the journal. What was committed here may be answered with 200, and nothing else may.
 *
 * One thread owns the writing connection. It takes everything that waits, gives out sequence and
 * previous, and commits it as one transaction while the next batch gathers. The publisher and every
 * waiting connection are told after the commit, in the order of the sequences.
 * Storage is behind journal_backend.h: SQLite (journal_sqlite.c) or memory (journal_memory.c). */
#ifndef GATEWAY_JOURNAL_H
#define GATEWAY_JOURNAL_H

#include "event.h"
#include "log.h"
#include "mailbus/heads.h"
#include "mailbus/replay.h"
#include "metrics.h"

/* Bytes of bodies that wait for a batch, whatever journal.queue says: twice the usual body budget.
 * A body leaves that budget when its sender is answered, and while the disk hangs senders are
 * answered 503 and send again: without a bound here each round would leave another budget's worth
 * behind. One event always fits. */
#define JOURNAL_QUEUE_BYTES ((size_t)128 * 1024 * 1024)

typedef struct journal journal_t;
typedef struct journal_reader journal_reader_t;

typedef struct {
    const char *backend; /* "sqlite" or "memory" */
    const char *path;    /* of the SQLite file */
    int64_t keep_bodies_ms;
    int64_t keep_ids_ms; /* at least keep_bodies_ms */
    int64_t max_size;    /* bytes of the file; older bodies go first; 0: no limit */
    int64_t
        reserve; /* bytes that must stay free on the file system: below it submit answers EFULL */
    size_t queue_events;       /* most events that wait for a batch */
    size_t batch_events;       /* most events in one transaction */
    int64_t quarantine_events; /* most requests kept in the quarantine; older ones go */
    const char *vfs;           /* tests only; NULL */
    bool synchronous_off;      /* the control of the fault tests only */
    bool acknowledge_early;    /* the control of the fault tests only: told before the commit */
} journal_options_t;

typedef enum {
    JOURNAL_STORED,    /* on disk: sequence is set */
    JOURNAL_DUPLICATE, /* on disk since earlier: sequence is the first copy's */
    JOURNAL_FAILED,    /* not stored: answer 503; the sender will try again */
} journal_outcome_t;

typedef struct {
    journal_outcome_t outcome;
    uint64_t sequence;
    bool body_differs; /* DUPLICATE: the first copy had another body */
} journal_result_t;

/* Called on the journal's thread, exactly once for each accepted submit, after the commit. Must not
 * block. */
typedef void(journal_done_fn)(void *arg, const journal_result_t *result);
/* Called on the journal's thread after each commit with the new events in order; the callee holds
 * what it keeps. Must not block. heads: the heads after this commit, lent for the call. */
typedef void(journal_committed_fn)(void *arg, event_t *const *events, size_t count,
                                   const mailbus_heads_t *heads);

/* Open, recover, make or read the stream id. Listening to commits starts before the thread does.
 * EEXIST: another process has the file; EINVAL: the file is damaged or newer; text says what to do.
 */
MAILBUS_MUST_USE mailbus_code_t journal_open(const journal_options_t *options,
                                             mb_metrics_t *metrics, mb_log_t *log,
                                             journal_t **ret_self, mailbus_error_t *error);
void journal_on_commit(journal_t *self, journal_committed_fn *fn, void *arg);
MAILBUS_MUST_USE mailbus_code_t journal_start(journal_t *self, mailbus_error_t *error);
/* Commit what waits, tell everybody, stop the thread. Later submits get ESTOPPED. */
void journal_stop(journal_t *self);
void journal_close(journal_t **self_p);

/* Hand an event over (holds a reference of its own). OK: `done` will be called. EFULL: queue or
 * disk are full; ESTOPPED: stopping or failed for good: `done` will not be called, answer 503. */
MAILBUS_MUST_USE mailbus_code_t journal_submit(journal_t *self, event_t *event,
                                               journal_done_fn *done, void *arg);
/* Keep a verified but unreadable request, with the reason. Best effort, bounded, never blocks. */
void journal_quarantine(journal_t *self, const char *reason, const char *webhook_id,
                        const void *body, size_t size);
const char *journal_stream(const journal_t *self);
/* A copy of the heads, freed by the caller. Any thread. */
MAILBUS_MUST_USE mailbus_code_t journal_heads(journal_t *self, mailbus_heads_t **ret_heads);
/* True while commits work; else `reason` says why not. Any thread. */
bool journal_writable(journal_t *self, char *reason, size_t size);
/* New retention limits, from a reload. Any thread. */
void journal_set_retention(journal_t *self, int64_t keep_bodies_ms, int64_t keep_ids_ms,
                           int64_t max_size);
/* True once after a failure that must end the process (a failed sync: the page cache can't be
 * trusted). */
bool journal_broken(const journal_t *self);

/* Reading, for replay: a read-only connection that belongs to the thread that opened it. */
MAILBUS_MUST_USE mailbus_code_t journal_reader_open(journal_t *self, journal_reader_t **ret_reader,
                                                    mailbus_error_t *error);
void journal_reader_close(journal_reader_t **reader_p);
/* Called for each event of a page, in order; the event is lent for the call. false: stop, not
 * counted as sent. */
typedef bool(journal_visit_fn)(void *arg, const event_t *event);
/* One page of a FETCH in one short read transaction: events with sequence >= from that match, until
 * limit or bytes are reached (one event always goes) or a bounded number of rows was looked at.
 * ret_next: where the next page begins; ret_heads: as of this transaction, freed by the caller;
 * ret_oldest: the oldest sequence whose body is still here (head + 1 where there is none). */
MAILBUS_MUST_USE mailbus_code_t journal_reader_fetch(
    journal_reader_t *reader, const mailbus_fetch_t *fetch, journal_visit_fn *visit, void *arg,
    uint64_t *ret_next, uint64_t *ret_oldest, mailbus_heads_t **ret_heads, mailbus_error_t *error);
/* The first sequence recorded at or after `since_ms`; head + 1 where there is none. */
MAILBUS_MUST_USE mailbus_code_t journal_reader_since(journal_reader_t *reader, int64_t since_ms,
                                                     uint64_t *ret_sequence,
                                                     mailbus_error_t *error);

#endif
