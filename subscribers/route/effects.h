/* What is to be done with each mail, what was done, and how sure that is: in the subscriber's own
 * database. One row an event and rule, written before anything is sent.
 *
 * Every function works in a transaction that the caller began (mailbus_task_store). */
#ifndef ROUTE_EFFECTS_H
#define ROUTE_EFFECTS_H

#include <sqlite3.h>

#include "agentmail/message.h"
#include "route/pace.h"

#define EFFECTS_KEEP_MS (90 * 86400000LL) /* rows older than this are dropped */

extern const char effects_schema[]; /* for mailbus_subscriber_t.schema */

typedef enum {
    EFFECT_PLANNED,  /* not done, or done and not noted yet */
    EFFECT_DONE,     /* noted */
    EFFECT_REJECTED, /* given up; see `unsure_ms` whether it may have happened */
} effect_state_t;

typedef struct {
    char *rule, *target, *mark; /* `mark`: "<key>:<random>", what it is looked for by */
    effect_state_t state;
    int64_t due_ms;          /* no try before; 0: none was set */
    bool has_slot;           /* due_ms is a moment that the pace gave it */
    int64_t first_unsure_ms; /* since when it may have happened; 0: it certainly has not */
    int64_t last_unsure_ms;  /* the last try of that kind */
    int64_t place, inode;    /* a file: its size before the line, and which file; -1: not noted */
    char *reason;            /* of the last failure; may be NULL */
} effect_t;

typedef struct {
    effect_t *items;
    size_t count;
} effects_t;

void effects_free(effects_t *effects); /* takes a zeroed one */

/* All rows of an event, in the order in which they were planned. */
MAILBUS_MUST_USE mailbus_code_t effects_load(sqlite3 *db, const char *event_id,
                                             effects_t *ret_effects, mailbus_error_t *error);
/* Another event brought the same mail, and `rule` was (or is being) applied to it. */
MAILBUS_MUST_USE mailbus_code_t effects_have_mail(sqlite3 *db, const char *event_id,
                                                  const agentmail_message_t *message,
                                                  const char *rule, bool *ret_have,
                                                  mailbus_error_t *error);
/* Write a new one down, unless the event has one of that rule. */
MAILBUS_MUST_USE mailbus_code_t effects_plan(sqlite3 *db, const char *event_id,
                                             const agentmail_message_t *message, const char *rule,
                                             const char *target, const char *mark, int64_t now_ms,
                                             mailbus_error_t *error);
/* Save what changed in `effect` (all but rule, target and mark). */
MAILBUS_MUST_USE mailbus_code_t effects_save(sqlite3 *db, const char *event_id,
                                             const effect_t *effect, mailbus_error_t *error);
/* A person retries a dead letter: what was given up and certainly never happened is forgotten, to
 * be decided anew. */
MAILBUS_MUST_USE mailbus_code_t effects_forget_rejected(sqlite3 *db, const char *event_id,
                                                        bool *ret_any, mailbus_error_t *error);

/* --- paces and channels -------------------------------------------------------------------------
 */

/* All zero where nothing is noted. */
MAILBUS_MUST_USE mailbus_code_t effects_pace(sqlite3 *db, const char *name, pace_t *ret_pace,
                                             mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t effects_save_pace(sqlite3 *db, const char *name, const pace_t *pace,
                                                  mailbus_error_t *error);
/* The id of a Slack channel, learned from an answer; *ret_id NULL: not known. The caller's. */
MAILBUS_MUST_USE mailbus_code_t effects_channel(sqlite3 *db, const char *pace, char **ret_id,
                                                mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t effects_save_channel(sqlite3 *db, const char *pace, const char *id,
                                                     mailbus_error_t *error);

/* --- history ------------------------------------------------------------------------------------
 */

/* One line: what was done with a mail. NULL: there is none. */
typedef struct {
    const char *event_id, *inbox, *message_id, *sender, *subject;
    const char *rule, *target;
    const char *action;    /* "sent", "silent", "rejected", "would-send" */
    const char *reason;    /* details */
    const char *reference; /* where it is: an issue's address, a message's ts, … */
    int64_t now_ms;
} effects_history_t;

/* Also drops rows beyond EFFECTS_KEEP_MS. */
MAILBUS_MUST_USE mailbus_code_t effects_note(sqlite3 *db, const effects_history_t *line,
                                             mailbus_error_t *error);

#endif
