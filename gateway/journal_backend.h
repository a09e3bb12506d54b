/* What stage 4 asks of a store: journal_sqlite.c, journal_memory.c, later PostgreSQL.
 *
 * All but the reader's functions are called by the journal's thread alone (by the opener before it
 * runs, by the closer after it ended). A transaction is begin, any of find/append/quarantine/prune,
 * then commit or rollback. Nothing of it is there before commit returned OK, and all of it
 * survives a power cut after that. The numbers are given out by the caller, inside the transaction:
 * a store with several writers takes its lock in begin and brings the heads up to date there.
 *
 * Codes: EFULL (no room), ENOMEM and EAGAIN (locked) fail the transaction and no more. Anything
 * else means that the store can't be trusted any longer. */
#ifndef GATEWAY_JOURNAL_BACKEND_H
#define GATEWAY_JOURNAL_BACKEND_H

#include "journal.h"
#include "journal_heads.h"

/* Most rows that one page of a FETCH looks at, wanted or not: a reader of a rare topic holds its
 * read transaction for some ten milliseconds, not for a whole journal. */
#define JOURNAL_READ_ROWS 20000
/* Events that max_size leaves alone, whatever it says: a limit set too low must not take away what
 * subscribers are just fetching. */
#define JOURNAL_KEEP_LEAST 1000

/* What opening finds beside the heads. */
typedef struct {
    char stream[MAILBUS_UUID_SIZE];
    int64_t recorded_ms; /* of the newest event that is kept; 0: none */
} journal_found_t;

/* An earlier copy of an event. */
typedef struct {
    uint64_t sequence; /* 0: there is none */
    bool body_differs;
} journal_copy_t;

/* A verified but unreadable request. Lent. */
typedef struct {
    const char *reason;
    const char *webhook_id; /* NULL: none */
    const void *body;
    size_t size;
    int64_t recorded_ms;
    int64_t keep; /* requests kept, this one included */
} journal_reject_t;

/* One slice of retention. */
typedef struct {
    int64_t bodies_before_ms; /* bodies recorded before this go */
    int64_t ids_before_ms;    /* ids (and with them dedup) as well */
    int64_t max_size;         /* bytes; 0: no limit */
    size_t rows;              /* most events to touch in this slice */
} journal_prune_t;

typedef struct {
    size_t bodies;
    size_t ids;
    bool more; /* there is more to do: call again soon */
} journal_pruned_t;

typedef struct {
    uint64_t oldest;    /* oldest sequence whose body is here; head + 1: none */
    int64_t size;       /* bytes of the store, free pages within it included */
    int64_t free_bytes; /* on its file system; INT64_MAX where that means nothing */
} journal_figures_t;

typedef struct {
    const char *name;
    /* Fills the empty `heads` with every topic that ever was. */
    mailbus_code_t (*open)(const journal_options_t *options, mb_log_t *log, journal_heads_t *heads,
                           journal_found_t *ret_found, void **ret_self, mailbus_error_t *error);
    /* trusted: false after a failure; the store must not write any more. */
    void (*close)(void **self_p, bool trusted);
    mailbus_code_t (*begin)(void *self, journal_heads_t *heads, mailbus_error_t *error);
    /* Look for the event's id, in this transaction too. */
    mailbus_code_t (*find)(void *self, const event_t *event, journal_copy_t *ret_copy,
                           mailbus_error_t *error);
    /* Add a numbered event. `topic` is its index in the heads. */
    mailbus_code_t (*append)(void *self, event_t *event, size_t topic, mailbus_error_t *error);
    mailbus_code_t (*quarantine)(void *self, const journal_reject_t *reject,
                                 mailbus_error_t *error);
    mailbus_code_t (*prune)(void *self, const journal_prune_t *prune, journal_pruned_t *ret_pruned,
                            mailbus_error_t *error);
    mailbus_code_t (*commit)(void *self, const journal_heads_t *heads, mailbus_error_t *error);
    /* Also after a commit that failed, and where the store undid the transaction by itself. */
    void (*rollback)(void *self);
    /* After the waiting were told: what may take longer (SQLite's checkpoint). */
    mailbus_code_t (*tidy)(void *self, mailbus_error_t *error);
    mailbus_code_t (*figures)(void *self, journal_figures_t *ret_figures, mailbus_error_t *error);

    /* The reader belongs to the thread that opens it; journal.h says what it promises. */
    mailbus_code_t (*reader_open)(void *self, void **ret_reader, mailbus_error_t *error);
    void (*reader_close)(void **reader_p);
    mailbus_code_t (*reader_fetch)(void *reader, const mailbus_fetch_t *fetch,
                                   journal_visit_fn *visit, void *arg, uint64_t *ret_next,
                                   uint64_t *ret_oldest, mailbus_heads_t **ret_heads,
                                   mailbus_error_t *error);
    mailbus_code_t (*reader_since)(void *reader, int64_t since_ms, uint64_t *ret_sequence,
                                   mailbus_error_t *error);
} journal_backend_t;

const journal_backend_t *journal_sqlite(void);
const journal_backend_t *journal_memory(void);

#endif
