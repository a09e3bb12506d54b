/* What AgentMail's block list should hold and does not yet: one row a key, written in the
 * transaction that changes the entry, whether the write-through is on or not; so nothing is
 * forgotten that was added while it was off, or by the command line while the program was stopped.
 *
 * A call is noted before it is made ("may be there"), and its end behind it. A crash in between
 * makes the same call again; both calls may be made twice. Only what was put there by us is taken
 * off again. */
#ifndef SUPPRESSION_OUTBOX_H
#define SUPPRESSION_OUTBOX_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "agentmail/client.h"

/* In a transaction of the caller's: from now on the key should be on the block list, or not. */
MAILBUS_MUST_USE mailbus_code_t outbox_want(sqlite3 *db, const char *key, const char *address,
                                            bool wanted, mailbus_error_t *error);

/* One thing to do. */
typedef struct {
    char *key;
    char *entry;      /* as the block list writes it; NULL: it has no such thing */
    char *reason;     /* for people who look there */
    bool wanted;      /* create, else delete */
    int64_t attempts; /* so far */
    int64_t turn;     /* which wish: a later one makes the result of this one stale */
} outbox_task_t;

/* The next row that is due at `now_ms`; on a reader too. *ret_due_ms: when to look again
 * (INT64_MAX: nothing waits); then ret_task->key is NULL. */
MAILBUS_MUST_USE mailbus_code_t outbox_next(sqlite3 *db, int64_t now_ms, outbox_task_t *ret_task,
                                            int64_t *ret_due_ms, mailbus_error_t *error);
void outbox_task_free(outbox_task_t *task);
/* In a transaction: it is about to be done. *ret_go is false where it is not wanted any more. */
MAILBUS_MUST_USE mailbus_code_t outbox_begin(sqlite3 *db, const outbox_task_t *task, bool *ret_go,
                                             mailbus_error_t *error);

typedef enum { OUTBOX_DONE, OUTBOX_REFUSED, OUTBOX_LATER } outbox_end_t;

/* In a transaction: how it went. LATER: again at `due_ms`; REFUSED: never again by itself. `note`
 * says why, "" with DONE. A wish that came meanwhile stays as it is. */
MAILBUS_MUST_USE mailbus_code_t outbox_end(sqlite3 *db, const outbox_task_t *task, outbox_end_t end,
                                           int64_t due_ms, const char *note,
                                           mailbus_error_t *error);

/* What a call's result means. Already there, or not there any more, is done. */
outbox_end_t outbox_judge(bool wanted, const agentmail_result_t *result);

#endif
