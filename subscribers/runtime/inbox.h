/* The durable inbox: between the bus thread, which takes events in, and the workers, which handle
 * them.
 *
 * Two locks, in this order. "The store": whoever holds it owns the one connection of the file, and
 * so the transaction. "The window": the events that are in memory, a bounded part of the file.
 * Finished events are noted in memory and written in the next transaction, so that a handler which
 * never touches the store costs no sync of its own. A crash before that hands the event out again.
 */
#ifndef RUNTIME_INBOX_H
#define RUNTIME_INBOX_H

#include "log.h"
#include "metrics.h"
#include "store.h"

typedef struct inbox inbox_t;

typedef struct {
    const char *path;
    const char *schema;   /* the subscriber's tables; may be NULL */
    int64_t max_events;   /* rows: at this many the bus thread pauses */
    int64_t max_bytes;    /* of their frames: as above */
    int64_t max_crashes;  /* see store_recover; 0: no limit */
    int64_t max_dead;     /* dead letters; beyond it the oldest are dropped; 0: no limit */
    size_t window_events; /* most untried events in memory; 0: 1024 */
    size_t window_bytes;  /* and bytes of their frames; 0: 32 MiB */
} inbox_options_t;

/* One event on its way from the bus into the file. */
typedef struct {
    mailbus_event_t *event; /* the inbox's after a successful take-in, then NULL */
    char *header;           /* its header frame as it came; stays the caller's */
    size_t header_size;
} inbox_arrival_t;

/* One event out of the inbox, in one worker's hands until inbox_finish. */
typedef struct inbox_item {
    struct inbox_item *next;
    store_row_t row;
    bool tried; /* comes from the schedule of retries */
} inbox_item_t;

typedef enum { INBOX_DONE, INBOX_AGAIN, INBOX_DEAD } inbox_end_t;

/* Open the file and recover. What is noteworthy is logged. */
MAILBUS_MUST_USE mailbus_code_t inbox_open(const inbox_options_t *options, mb_metrics_t *metrics,
                                           mb_log_t *log, int64_t now_ms, inbox_t **ret_self,
                                           mailbus_error_t *error);
/* After all workers and the bus thread are gone. `clean`: everything is in order. */
void inbox_close(inbox_t **self_p, bool clean);

/* --- the bus thread ----------------------------------------------------------------------------
 */

/* One transaction: the arrivals, the note `gap` (may be NULL) and everything that was finished.
 * With nothing at all to write it does nothing. On failure nothing is kept. */
MAILBUS_MUST_USE mailbus_code_t inbox_take_in(inbox_t *self, inbox_arrival_t *arrivals,
                                              size_t count, const char *gap, int64_t now_ms,
                                              mailbus_error_t *error);
/* True where no more should be taken in; false again when it is down to nine tenths. */
bool inbox_full(inbox_t *self);
/* True where finished events wait to be written. */
bool inbox_unwritten(inbox_t *self);
/* Called, from any thread and with the window locked, when the first finished event waits to be
 * written: it may only wake somebody. */
void inbox_on_finished(inbox_t *self, void (*fn)(void *arg), void *arg);

/* --- workers ------------------------------------------------------------------------------------
 */

/* The next event that is due; waits for one. NULL: the inbox was stopped. */
inbox_item_t *inbox_next(inbox_t *self);
/* No more events are handed out; wakes everybody who waits. */
void inbox_stop(inbox_t *self);
/* Write down that a handler is about to get it, if the last crash makes that necessary. */
MAILBUS_MUST_USE mailbus_code_t inbox_mark(inbox_t *self, const inbox_item_t *item,
                                           mailbus_error_t *error);
/* How it ended. Takes the item. `attempts`: failed tries, this one included. `due_ms` for AGAIN,
 * `reason` (copied) for AGAIN and DEAD. */
void inbox_finish(inbox_t *self, inbox_item_t **item_p, inbox_end_t end, unsigned attempts,
                  int64_t due_ms, const char *reason, int64_t now_ms);

/* The store in a handler's hands: lock, and begin this handler's part of a transaction. */
MAILBUS_MUST_USE mailbus_code_t inbox_store_begin(inbox_t *self, sqlite3 **ret_db,
                                                  mailbus_error_t *error);
/* Commit and unlock; with `item` (may be NULL) its removal commits too. On disk when it returns OK;
 * the sync may be shared with other handlers that come meanwhile. On failure it is rolled back, and
 * unlocked all the same. EINVAL: a foreign key of the handler's leads nowhere; EAGAIN: the
 * transaction was ended by the handler, or by SQLite after an error there. */
MAILBUS_MUST_USE mailbus_code_t inbox_store_commit(inbox_t *self, const inbox_item_t *item,
                                                   mailbus_error_t *error);
void inbox_store_rollback(inbox_t *self); /* this handler's part alone */
/* After inbox_store_commit with the item: it is gone from the file. Takes the item. */
void inbox_gone(inbox_t *self, inbox_item_t **item_p);

/* --- anybody ------------------------------------------------------------------------------------
 */

/* Run `fn` with the store locked, in a transaction that commits where fn returns OK. */
MAILBUS_MUST_USE mailbus_code_t inbox_with_store(inbox_t *self,
                                                 mailbus_code_t (*fn)(store_t *store, void *arg,
                                                                      mailbus_error_t *error),
                                                 void *arg, mailbus_error_t *error);
/* Put a dead letter back; ENOTFOUND. And throw one away. */
MAILBUS_MUST_USE mailbus_code_t inbox_dead_retry(inbox_t *self, int64_t number, int64_t now_ms,
                                                 mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t inbox_dead_drop(inbox_t *self, int64_t number,
                                                mailbus_error_t *error);
/* Write everything that was finished, waiting at most `timeout_ms` for the store (ETIMEOUT). */
MAILBUS_MUST_USE mailbus_code_t inbox_flush(inbox_t *self, int64_t timeout_ms, int64_t now_ms,
                                            mailbus_error_t *error);
int64_t inbox_rows(inbox_t *self);
/* The disk failed in a way after which nothing that was read can be trusted: nothing is written any
 * more, and the program must end. */
bool inbox_broken(inbox_t *self);
/* The last write failed (text), and none succeeded since. */
bool inbox_writable(inbox_t *self, char *reason, size_t size);

#endif
