/* What was sent and why not, in the subscriber's own database.
 *
 * Every function works in a transaction that the caller began (mailbus_task_store). A mail is
 * written down before it is sent: `planned` with the request as it will be sent, byte for byte, so
 * that a try after a crash sends the same under the same idempotency key. `unsure` is the time from
 * which on a request under this key may have reached the service; the service forgets keys, so an
 * old unsure mail is never sent again. */
#ifndef OUTGOING_RECORDS_H
#define OUTGOING_RECORDS_H

#include <sqlite3.h>

#include "outgoing/outgoing.h"

/* Rows older than this are dropped: far beyond the longest limit, near enough to keep the file
 * small. */
#define RECORDS_KEEP_MS (90 * QUOTA_DAY_MS)

typedef enum {
    RECORD_NONE,
    RECORD_PLANNED, /* about to be sent, or sent and not noted yet */
    RECORD_SENT,
    RECORD_REFUSED, /* the service does not take it, or a check says no; nothing went out */
} record_state_t;

typedef struct {
    record_state_t state;
    outgoing_kind_t kind;
    char *rule, *recipient, *request; /* NULL with RECORD_NONE */
    int64_t unsure_ms;                /* 0: the service can't have got it */
} record_t;

void record_free(record_t *record);

/* One effect of one event. */
typedef struct {
    const char *event_id, *part;
} records_key_t;

/* What the records say before anything is decided. */
typedef struct {
    record_t record;    /* of this event and part */
    bool from_is_inbox; /* a sender is an inbox that mail came through before: ours */
    bool to_is_inbox;   /* the one that the mail would go to is */
    bool answers_ours;  /* the mail answers a mail of ours, by In-Reply-To or References */
} records_look_t;

/* Look at the records, and remember the mail's inbox as ours. `to` may be NULL. */
MAILBUS_MUST_USE mailbus_code_t records_look(sqlite3 *db, records_key_t key,
                                             const agentmail_message_t *message, const char *to,
                                             records_look_t *ret_look, mailbus_error_t *error);

/* The note "about to send". `sender` ("" where there is none) and `recipient` are folded
 * (agentmail_address_fold). */
typedef struct {
    records_key_t key;
    outgoing_kind_t kind;
    const char *inbox, *message_id;
    const char *rule, *sender, *recipient;
    const char *request;
    int64_t now_ms;
} records_plan_t;

/* Another event brought the same mail, and this part of it was sent (or is about to be). */
MAILBUS_MUST_USE mailbus_code_t records_have_mail(sqlite3 *db, const records_plan_t *plan,
                                                  bool *ret_have, mailbus_error_t *error);
/* Forwards count for the ceiling per minute only. */
MAILBUS_MUST_USE mailbus_code_t records_count(sqlite3 *db, const records_plan_t *plan,
                                              const quota_t *limits, quota_counts_t *ret_counts,
                                              mailbus_error_t *error);
/* Write the note, unsure from now on. A record of this event and part that was refused before is
 * replaced. */
MAILBUS_MUST_USE mailbus_code_t records_plan(sqlite3 *db, const records_plan_t *plan,
                                             mailbus_error_t *error);
/* From `unsure_ms` on the service may have got it; 0: it certainly has not. */
MAILBUS_MUST_USE mailbus_code_t records_unsure(sqlite3 *db, records_key_t key, int64_t unsure_ms,
                                               mailbus_error_t *error);
/* `sent_id` is the sent mail's own message id; NULL in a dry run. */
MAILBUS_MUST_USE mailbus_code_t records_sent(sqlite3 *db, records_key_t key, const char *sent_id,
                                             int64_t now_ms, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t records_refused(sqlite3 *db, records_key_t key,
                                                mailbus_error_t *error);

/* One line of the history: what was done with a mail, and which rule or guard decided. */
typedef struct {
    records_key_t key;
    const char *inbox, *message_id, *sender, *recipient, *subject; /* NULL: not known */
    const char *action;                                            /* "answered", "silent", … */
    const char *reason;                                            /* rule or guard, with details */
    int64_t now_ms;
} records_history_t;

/* Also drops rows beyond RECORDS_KEEP_MS. */
MAILBUS_MUST_USE mailbus_code_t records_note(sqlite3 *db, const records_history_t *line,
                                             mailbus_error_t *error);

#endif
