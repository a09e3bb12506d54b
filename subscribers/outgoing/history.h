/* What was done with each mail, for people: the command "history" of every program that sends. */
#ifndef OUTGOING_HISTORY_H
#define OUTGOING_HISTORY_H

#include "mailbus/subscriber.h"

#define HISTORY_ROWS_MAX 1000 /* rows of one answer: it is built in memory */

/* Request: {"address"?, "action"?, "since_ms"?, "after"?, "limit"?}. `address` is the sender's or
 * the one the mail went to, in any case; `action` as in outgoing_result_t. Newest first. Rows: time
 * (RFC 3339), action, reason, sender, recipient, subject, inbox, message_id, event_id, part; null
 * where not known. */
mailbus_code_t history_run(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error);

/* A row of mailbus_subscriber_t.commands, and of the command line's. */
#define OUTGOING_HISTORY                                                                           \
    {                                                                                              \
        "history", history_run                                                                     \
    }

#endif
