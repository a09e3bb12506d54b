/* The subscriber's own SQLite file: events that wait, dead letters, the cursor. SQL and nothing
 * else: no locks, no threads. One connection; it belongs to whoever holds it (inbox.h).
 *
 * Tables, next to the subscriber's own: mailbus_inbox, mailbus_dead, mailbus_state. */
#ifndef RUNTIME_STORE_H
#define RUNTIME_STORE_H

#include "db.h"
#include "mailbus/event.h"

typedef struct store store_t;

/* One row of the inbox. Strings and the event are the row's own (store_row_free). */
typedef struct {
    int64_t number;         /* its own number: sequences may repeat in another stream */
    mailbus_event_t *event; /* NULL where the stored frames can't be read any more */
    unsigned attempts;      /* tries that failed */
    unsigned crashes;       /* times the program died with it in hand */
    int64_t first_ms;       /* when it was taken in */
    size_t size;            /* bytes of its frames */
} store_row_t;

typedef struct {
    int64_t rows;       /* in the inbox */
    int64_t fresh;      /* of them, not tried yet */
    int64_t bytes;      /* of their frames */
    int64_t dead;       /* dead letters */
    int64_t last;       /* the highest row number */
    int64_t min_due_ms; /* the next try; INT64_MAX: none waits */
} store_counts_t;

/* Open under the file's lock (EEXIST: another process has it), bring the tables up to date, run
 * `schema` (may be NULL). *ret_unclean: the last process that had it did not stop in order. */
MAILBUS_MUST_USE mailbus_code_t store_open(const char *path, const char *schema, store_t **ret_self,
                                           bool *ret_unclean, const char **ret_warning,
                                           mailbus_error_t *error);
/* `clean`: note that everything is in order. */
void store_close(store_t **self_p, bool clean);
/* The same, and the file stays locked, for mb_db_unlock. NULL for NULL. */
mb_db_lock_t *store_close_locked(store_t **self_p, bool clean);
sqlite3 *store_db(store_t *self);

MAILBUS_MUST_USE mailbus_code_t store_begin(store_t *self, mailbus_error_t *error);
/* EINVAL: a deferred constraint of the subscriber's tables does not hold. */
MAILBUS_MUST_USE mailbus_code_t store_commit(store_t *self, mailbus_error_t *error);
void store_rollback(store_t *self); /* takes a transaction that SQLite ended already */
bool store_is_open(store_t *self);  /* a transaction is open */
/* One event's part of a transaction. The end is EINVAL where a deferred constraint does not hold,
 * and EAGAIN where a statement is still running or the part is gone; what is there is still open.
 * Undoing it takes the whole transaction along where it can't be undone alone: see store_is_open.
 */
MAILBUS_MUST_USE mailbus_code_t store_part_begin(store_t *self, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t store_part_end(store_t *self, mailbus_error_t *error);
void store_part_undo(store_t *self);
/* Whether a row is there. */
MAILBUS_MUST_USE mailbus_code_t store_has(store_t *self, int64_t number, bool *ret_has,
                                          mailbus_error_t *error);

/* --- inbox; in a transaction of the caller's ----------------------------------------------------
 */
MAILBUS_MUST_USE mailbus_code_t store_insert(store_t *self, int64_t number,
                                             const mailbus_event_t *event, const void *header,
                                             size_t header_size, int64_t now_ms,
                                             mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t store_remove(store_t *self, int64_t number, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t store_retry(store_t *self, int64_t number, unsigned attempts,
                                            int64_t due_ms, const char *reason,
                                            mailbus_error_t *error);
/* Into the dead letters, out of the inbox. */
MAILBUS_MUST_USE mailbus_code_t store_bury(store_t *self, int64_t number, unsigned attempts,
                                           const char *reason, int64_t now_ms,
                                           mailbus_error_t *error);
/* Throw away the oldest dead letters beyond `most` of them; *ret_dropped: how many. */
MAILBUS_MUST_USE mailbus_code_t store_trim_dead(store_t *self, int64_t most, int64_t *ret_dropped,
                                                mailbus_error_t *error);
/* Note that a handler has it in hand; store_recover counts what a crash left so. */
MAILBUS_MUST_USE mailbus_code_t store_mark(store_t *self, int64_t number, mailbus_error_t *error);
/* After an unclean end: events that were in hand have one crash more; those with `max_crashes` (0:
 * no limit) go to the dead letters. *ret_buried: how many. A transaction of its own. */
MAILBUS_MUST_USE mailbus_code_t store_recover(store_t *self, int64_t max_crashes, int64_t now_ms,
                                              int64_t *ret_buried, mailbus_error_t *error);

/* The numbers of at most `limit` rows: untried ones above `after`, in order; or those whose next
 * try is due, the earliest first (`after` is not looked at). */
MAILBUS_MUST_USE mailbus_code_t store_fresh(store_t *self, int64_t after, size_t limit,
                                            int64_t *ret_numbers, size_t *ret_count,
                                            mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t store_due(store_t *self, size_t limit, int64_t *ret_numbers,
                                          int64_t *ret_due_ms, size_t *ret_count,
                                          mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t store_load(store_t *self, int64_t number, store_row_t *ret_row,
                                           mailbus_error_t *error);
void store_row_free(store_row_t *row);
MAILBUS_MUST_USE mailbus_code_t store_counts(store_t *self, store_counts_t *ret_counts,
                                             mailbus_error_t *error);

/* --- notes: the cursor, the shard, … ------------------------------------------------------------
 */
/* The value, to be freed; NULL where there is none. */
MAILBUS_MUST_USE mailbus_code_t store_get(store_t *self, const char *key, char **ret_value,
                                          mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t store_set(store_t *self, const char *key, const char *value,
                                          mailbus_error_t *error);

#endif
