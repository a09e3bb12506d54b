/* The list itself, in the subscriber's SQLite file. Everything here runs in a transaction of the
 * caller's: an entry, what it stands on and the note for AgentMail's block list change together.
 *
 * facts     everything that was ever said, one row an address and event: the history
 * evidence  the machine's state, one row an address and reason, since the last removal
 * entries   who is suppressed now, with the strongest reason: what is asked and listed
 * outbox    what AgentMail's block list does not know yet (outbox.h) */
#ifndef SUPPRESSION_LIST_H
#define SUPPRESSION_LIST_H

#include <sqlite3.h>

#include "mailbus/buf.h"
#include "suppress.h"

#define LIST_NOTE_MAX 500 /* bytes of a person's reason: a few lines of text */

extern const char list_schema[]; /* for mailbus_subscriber_t.schema */

typedef struct {
    bool known;      /* the fact was there already: nothing changed */
    step_t step;     /* what it did, else */
    const char *why; /* judgement_t.why */
    reason_t reason; /* of the entry now; NONE: not suppressed */
} list_change_t;

/* Take one fact about `key`. The policy is the settings' for events, and of no matter for people's
 * facts. `now_ms` is noted beside it. */
MAILBUS_MUST_USE mailbus_code_t list_take(sqlite3 *db, const char *key, const fact_t *fact,
                                          const policy_t *policy, int64_t now_ms,
                                          list_change_t *ret_change, mailbus_error_t *error);
/* What a person does, at `now_ms` or as soon after it as the history allows. `note` is one line,
 * not empty. Removing what is not suppressed: ENOTFOUND. */
MAILBUS_MUST_USE mailbus_code_t list_add(sqlite3 *db, const char *key, const char *shown,
                                         const char *note, int64_t now_ms,
                                         list_change_t *ret_change, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t list_remove(sqlite3 *db, const char *key, const char *note,
                                            int64_t now_ms, mailbus_error_t *error);

/* The entry of a key, if there is one. Texts are the caller's (list_entry_free). */
typedef struct {
    char *key, *address; /* as it is shown */
    reason_t reason;
    bool certain;
    int64_t first_ms, last_ms, count;
    char *event_id, *message_id, *note;
} list_entry_t;

/* ENOTFOUND where it is not suppressed. */
MAILBUS_MUST_USE mailbus_code_t list_find(sqlite3 *db, const char *key, list_entry_t *ret_entry,
                                          mailbus_error_t *error);
/* The row of `stmt`, which selects LIST_ENTRY_COLUMNS first. */
#define LIST_ENTRY_COLUMNS                                                                         \
    "key, address, reason, certain, first_ms, last_ms, count, event_id, message_id, note"
MAILBUS_MUST_USE mailbus_code_t list_entry_read(sqlite3_stmt *stmt, list_entry_t *ret_entry,
                                                mailbus_error_t *error);
void list_entry_free(list_entry_t *entry);

/* --- rebuild ------------------------------------------------------------------------------------
 */

/* Note the settings that decide, for list_carry. */
MAILBUS_MUST_USE mailbus_code_t list_note_policy(sqlite3 *db, const policy_t *policy,
                                                 mailbus_error_t *error);
/* mailbus_subscriber_t.carry: the facts of `old` that the journal did not bring again, people's and
 * those that it no longer keeps, go into `db`; then every entry is made anew from all facts, under
 * the policy that was noted in `db`. What the block list has stays known. */
MAILBUS_MUST_USE mailbus_code_t list_carry(sqlite3 *db, sqlite3 *old, int64_t now_ms,
                                           mailbus_error_t *error);

#endif
