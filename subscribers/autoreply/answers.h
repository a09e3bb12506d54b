/* What was answered and why not, in the subscriber's own database.
 *
 * Every function works in a transaction that the caller began (mailbus_task_store). An answer is
 * written down before it is sent: `planned` with the request as it will be sent, byte for byte, so
 * that a try after a crash sends the same under the same idempotency key. `unsure` is the time from
 * which on a request under this key may have reached the service; the service forgets keys, so an
 * old unsure answer is never sent again. */
#ifndef AUTOREPLY_ANSWERS_H
#define AUTOREPLY_ANSWERS_H

#include <sqlite3.h>

#include "agentmail/message.h"
#include "quota.h"

/* Rows older than this are dropped: far beyond the longest limit, near enough to keep the file
 * small. */
#define ANSWERS_KEEP_MS (90 * QUOTA_DAY_MS)

extern const char answers_schema[]; /* for mailbus_subscriber_t.schema */

typedef enum {
    ANSWER_NONE,
    ANSWER_PLANNED, /* about to be sent, or sent and not noted yet */
    ANSWER_SENT,
    ANSWER_REFUSED, /* the service does not take it; nothing went out */
} answer_state_t;

typedef struct {
    answer_state_t state;
    char *rule, *recipient, *request; /* NULL with ANSWER_NONE */
    int64_t unsure_ms;                /* 0: the service can't have got it */
} answer_t;

void answer_free(answer_t *answer);

/* What a mail's own limits and records say before anything is decided. */
typedef struct {
    answer_t answer;      /* of this event */
    bool sender_is_inbox; /* a sender, or whom the answer goes to, is an inbox of ours */
    bool answers_ours;    /* the mail answers an answer of ours */
} answers_look_t;

/* Look at the records, and remember the mail's inbox as ours. */
MAILBUS_MUST_USE mailbus_code_t answers_look(sqlite3 *db, const char *event_id,
                                             const agentmail_message_t *message,
                                             answers_look_t *ret_look, mailbus_error_t *error);

/* The note "about to send". `sender` and `recipient` are folded (agentmail_address_fold). */
typedef struct {
    const char *event_id, *inbox, *message_id;
    const char *rule, *sender, *recipient;
    const char *request;
    int64_t now_ms;
} answers_plan_t;

/* Another event brought the same mail, and it was answered (or is about to be). */
MAILBUS_MUST_USE mailbus_code_t answers_have_mail(sqlite3 *db, const answers_plan_t *plan,
                                                  bool *ret_have, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t answers_count(sqlite3 *db, const answers_plan_t *plan,
                                              const quota_t *limits, quota_counts_t *ret_counts,
                                              mailbus_error_t *error);
/* Write the note, unsure from now on. An answer of this event that was refused before is replaced.
 */
MAILBUS_MUST_USE mailbus_code_t answers_plan(sqlite3 *db, const answers_plan_t *plan,
                                             mailbus_error_t *error);
/* From `unsure_ms` on the service may have got it; 0: it certainly has not. */
MAILBUS_MUST_USE mailbus_code_t answers_unsure(sqlite3 *db, const char *event_id, int64_t unsure_ms,
                                               mailbus_error_t *error);
/* `reply_id` is the answer's own message id. */
MAILBUS_MUST_USE mailbus_code_t answers_sent(sqlite3 *db, const char *event_id,
                                             const char *reply_id, int64_t now_ms,
                                             mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t answers_refused(sqlite3 *db, const char *event_id,
                                                mailbus_error_t *error);

/* One line of the history: what was done with a mail, and which rule or guard decided. */
typedef struct {
    const char *event_id, *inbox, *message_id, *sender, *subject; /* NULL: not known */
    const char *action;                                           /* "answered", "silent", … */
    const char *reason;                                           /* rule or guard, with details */
    int64_t now_ms;
} answers_history_t;

/* Also drops rows beyond ANSWERS_KEEP_MS. */
MAILBUS_MUST_USE mailbus_code_t answers_note(sqlite3 *db, const answers_history_t *line,
                                             mailbus_error_t *error);

#endif
