/* The SQLite store, shared by its own files only.
 *
 *   journal_sqlite.c           opening, closing, transactions, adding
 *   journal_sqlite_schema.c    tables, statements
 *   journal_sqlite_check.c     is the file sound after an unclean stop?
 *   journal_sqlite_ids.c       which ids were there before
 *   journal_sqlite_prune.c     retention, quarantine
 *   journal_sqlite_read.c      the read-only connection of replay
 *
 * The journal's thread owns the one connection that writes and checkpoints. */
#ifndef GATEWAY_JOURNAL_SQLITE_H
#define GATEWAY_JOURNAL_SQLITE_H

#include "db.h"
#include "journal_backend.h"
#include "journal_ids.h"

#define JOURNAL_PAGE_SIZE 16384 /* measured: half as many syncs' worth of pages as with 4096 */

typedef enum {
    JS_BEGIN,
    JS_COMMIT,
    JS_ROLLBACK,
    JS_EVENT_ADD,
    JS_BODY_ADD,
    JS_TOPIC_SET,
    JS_META_SET,
    JS_ID_FIND,
    JS_ID_SET,
    JS_COPY_FIND,
    JS_OLDEST_BODY,
    JS_OLDEST_EVENT,
    JS_PRUNE_LOOK,
    JS_BODIES_DELETE,
    JS_EVENTS_DELETE,
    JS_SWEEP_LOOK,
    JS_SWEEP_DELETE,
    JS_VACUUM,
    JS_PAGES,
    JS_PAGES_FREE,
    JS_REJECT_ADD,
    JS_REJECT_LOOK,
    JS_REJECT_DELETE,
    JS_COUNT
} journal_statement_t;

typedef struct {
    sqlite3 *db;
    mb_db_lock_t *lock;
    char *path;
    char *vfs; /* NULL: the default */
    mb_log_t *log;
    sqlite3_stmt *statements[JS_COUNT];
    uint64_t head; /* committed */
    /* topics.head as the file has it, by index. */
    uint64_t *written_heads;
    size_t written_count;
    size_t written_capacity;
    /* Ids: see journal_sqlite_ids.c. */
    uint8_t salt[JOURNAL_SALT_SIZE];
    journal_ids_t *fresh;    /* newest, in memory and in `events` */
    journal_ids_t *settling; /* on their way to `ids`; NULL: none */
    journal_id_t *sorted;    /* of settling, by key */
    size_t sorted_count;
    size_t settled; /* of sorted, in this transaction */
    size_t settled_committed;
    uint64_t settling_to;  /* newest sequence of settling */
    journal_id_t *pending; /* of the open transaction */
    size_t pending_count;
    size_t pending_capacity;
    const event_t *keyed; /* the event that was looked for last, and its key: it is added next */
    uint64_t key;
    /* Retention. */
    uint64_t oldest_event; /* ids below are forgotten; head + 1: none is kept */
    bool sweeping;         /* taking forgotten ids out of `ids` */
    int64_t sweep_from;    /* next key */
    uint64_t swept_to;     /* oldest_event of the last sweep */
    int64_t last_reject;   /* id of the newest in quarantine */
    /* The write-ahead log. */
    int wal_pages;
    int checkpoint_at; /* pages */
} journal_sqlite_t;

/* schema */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_migrate(sqlite3 *db, const char *path,
                                                       mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_prepare(journal_sqlite_t *self,
                                                       mailbus_error_t *error);
/* Translate a failure of this connection. Where the file of the shared memory could not grow, the
 * disk is full and the data as sound as before; a sync that failed is EIO, even for want of space.
 */
mailbus_code_t journal_sqlite_fail(journal_sqlite_t *self, mailbus_error_t *error,
                                   const char *doing);
/* EINVAL in words that say what to do with a damaged file. */
mailbus_code_t journal_sqlite_damaged(const journal_sqlite_t *self, const char *what,
                                      mailbus_error_t *error);
/* Step a statement without rows, reset it. Its bindings stay until they are bound anew. */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_run(journal_sqlite_t *self,
                                                   journal_statement_t statement, const char *doing,
                                                   mailbus_error_t *error);
/* The first column of a statement's one row; `none` where it has no row or the value is NULL. */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_integer(journal_sqlite_t *self,
                                                       journal_statement_t statement, int64_t none,
                                                       int64_t *ret_value, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_meta_set(journal_sqlite_t *self, const char *name,
                                                        int64_t value, mailbus_error_t *error);

/* check */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_check(journal_sqlite_t *self,
                                                     mailbus_error_t *error);

/* ids */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_ids_open(journal_sqlite_t *self,
                                                        mailbus_error_t *error);
void journal_sqlite_ids_close(journal_sqlite_t *self);
void journal_sqlite_ids_begin(journal_sqlite_t *self);
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_ids_find(journal_sqlite_t *self, uint64_t key,
                                                        uint64_t *ret_sequence,
                                                        mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_ids_add(journal_sqlite_t *self, uint64_t key,
                                                       uint64_t sequence, mailbus_error_t *error);
/* Before the COMMIT: move some of the settling ids. */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_ids_settle(journal_sqlite_t *self,
                                                          mailbus_error_t *error);
void journal_sqlite_ids_committed(journal_sqlite_t *self);
void journal_sqlite_ids_rolled_back(journal_sqlite_t *self);
/* Take up to `rows` forgotten ids out of `ids`, where it is worth a pass. */
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_ids_sweep(journal_sqlite_t *self, bool *ret_more,
                                                         mailbus_error_t *error);

/* prune: ops of the backend */
mailbus_code_t journal_sqlite_prune(void *self, const journal_prune_t *prune,
                                    journal_pruned_t *ret_pruned, mailbus_error_t *error);
mailbus_code_t journal_sqlite_quarantine(void *self, const journal_reject_t *reject,
                                         mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t journal_sqlite_oldest_event(journal_sqlite_t *self,
                                                            mailbus_error_t *error);

/* read: ops of the backend */
mailbus_code_t journal_sqlite_reader_open(void *self, void **ret_reader, mailbus_error_t *error);
void journal_sqlite_reader_close(void **reader_p);
mailbus_code_t journal_sqlite_reader_fetch(void *reader, const mailbus_fetch_t *fetch,
                                           journal_visit_fn *visit, void *arg, uint64_t *ret_next,
                                           uint64_t *ret_oldest, mailbus_heads_t **ret_heads,
                                           mailbus_error_t *error);
mailbus_code_t journal_sqlite_reader_since(void *reader, int64_t since_ms, uint64_t *ret_sequence,
                                           mailbus_error_t *error);

#endif
