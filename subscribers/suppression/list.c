#include "list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_query.h"
#include "list_priv.h"
#include "outbox.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

const char list_schema[] =
    "CREATE TABLE IF NOT EXISTS facts ("
    " number INTEGER PRIMARY KEY,"
    " key TEXT NOT NULL, id TEXT NOT NULL,"
    " said TEXT NOT NULL, time_ms INTEGER NOT NULL,"
    " address TEXT NOT NULL, message_id TEXT NOT NULL, inbox TEXT NOT NULL,"
    " type TEXT NOT NULL, sub_type TEXT NOT NULL, status TEXT NOT NULL,"
    " candidates INTEGER NOT NULL, note TEXT NOT NULL,"
    " reason TEXT NOT NULL, first_ms INTEGER NOT NULL, count INTEGER NOT NULL," /* an import's */
    " verdict TEXT NOT NULL, why TEXT NOT NULL," /* the reason it counts for, or '' */
    " noted_ms INTEGER NOT NULL, event_id TEXT NOT NULL,"
    " UNIQUE (key, id)"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS facts_time ON facts (key, said, time_ms);"
    "CREATE TABLE IF NOT EXISTS evidence ("
    " key TEXT NOT NULL, reason TEXT NOT NULL,"
    " events INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " certain INTEGER NOT NULL,"
    " stated INTEGER NOT NULL, stated_last_ms INTEGER NOT NULL, later INTEGER NOT NULL,"
    " address TEXT NOT NULL, event_id TEXT NOT NULL, message_id TEXT NOT NULL, note TEXT NOT NULL,"
    " PRIMARY KEY (key, reason)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS entries ("
    " key TEXT PRIMARY KEY, address TEXT NOT NULL, reason TEXT NOT NULL, certain INTEGER NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL,"
    " event_id TEXT NOT NULL, message_id TEXT NOT NULL, note TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS entries_reason ON entries (reason);" /* and the key */
    "CREATE TABLE IF NOT EXISTS outbox ("
    " key TEXT PRIMARY KEY, address TEXT NOT NULL,"
    " wanted INTEGER NOT NULL," /* 1: it should be on the block list, 0: not */
    " there INTEGER NOT NULL,"  /* 1: it is there by our doing, or may be */
    " due_ms INTEGER,"          /* the next try; NULL: nothing to do */
    " attempts INTEGER NOT NULL, turn INTEGER NOT NULL, note TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_ms) WHERE due_ms IS NOT NULL;"
    "CREATE TABLE IF NOT EXISTS policy (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;";

/* --- one fact ------------------------------------------------------------------------------------
 */

static mailbus_code_t insert_fact(sqlite3 *db, const char *key, const fact_t *fact,
                                  const judgement_t *judgement, int64_t now_ms, bool *ret_new,
                                  mailbus_error_t *error)
{
    const mb_db_value_t values[] = {
        T(key),
        T(fact->id),
        T(said_name(fact->said)),
        N(fact->time_ms),
        T(fact->address),
        T(fact->message_id),
        T(fact->inbox),
        T(fact->type),
        T(fact->sub_type),
        T(fact->status),
        N(fact->candidates),
        T(fact->note),
        T(reason_name(fact->reason)),
        N(fact->first_ms),
        N(fact->count),
        T(reason_name(judgement->reason)),
        T(judgement->why),
        N(now_ms),
        T(fact->event_id),
    };
    mailbus_code_t code =
        mb_db_change(db,
                     "INSERT INTO facts (key, id, said, time_ms, address, message_id, inbox, type,"
                     " sub_type, status, candidates, note, reason, first_ms, count, verdict, why,"
                     " noted_ms, event_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
                     " ON CONFLICT (key, id) DO NOTHING",
                     values, sizeof values / sizeof values[0], error);
    if (code == MAILBUS_OK) {
        *ret_new = sqlite3_changes(db) > 0;
    }
    return code;
}

/* Events of the import's reason that count and are later than it. */
static mailbus_code_t count_later(sqlite3 *db, const char *key, const fact_t *fact,
                                  const state_t *state, int64_t *ret_later, mailbus_error_t *error)
{
    int64_t after =
        state->removed && state->removed_ms > fact->time_ms ? state->removed_ms : fact->time_ms;
    return mb_db_numbers(db,
                         "SELECT count(*) FROM facts WHERE key = ? AND verdict = ?"
                         " AND said <> 'import' AND time_ms > ?",
                         (mb_db_value_t[]){T(key), T(reason_name(fact->reason)), N(after)}, 3,
                         ret_later, 1, error);
}

mailbus_code_t list_apply(sqlite3 *db, const char *key, const fact_t *fact,
                          const judgement_t *judgement, stored_state_t *stored, int64_t later,
                          list_change_t *change, mailbus_error_t *error)
{
    state_t *state = &stored->state;
    bool was = suppress_reason(state) != REASON_NONE;
    mailbus_code_t code = MAILBUS_OK;
    change->step = suppress_step(state, fact, judgement, later);
    change->reason = suppress_reason(state);
    if (change->step == STEP_REMOVED) {
        code = mb_db_change(db, "DELETE FROM evidence WHERE key = ?", (mb_db_value_t[]){T(key)}, 1,
                            error);
    } else if (change->step == STEP_COUNTED || change->step == STEP_SUPPRESSED) {
        code = list_save_evidence(db, key, judgement->reason, &state->of[judgement->reason], error);
    } else {
        return MAILBUS_OK;
    }
    if (code == MAILBUS_OK) {
        code = list_save_entry(db, key, state, error);
    }
    if (code == MAILBUS_OK && was != (change->reason != REASON_NONE)) {
        code = outbox_want(db, key, fact->address, !was, error);
    }
    return code;
}

mailbus_code_t list_take(sqlite3 *db, const char *key, const fact_t *fact, const policy_t *policy,
                         int64_t now_ms, list_change_t *ret_change, mailbus_error_t *error)
{
    judgement_t judgement = suppress_judge(fact, policy);
    list_change_t change = {.why = judgement.why};
    stored_state_t stored = {.state = {.removed = false}};
    bool is_new = false;
    int64_t later = 0;
    /* Before the fact is noted: a removal among the facts is one that was taken. */
    mailbus_code_t code = list_load_state(db, key, &stored, error);
    if (code == MAILBUS_OK) {
        code = insert_fact(db, key, fact, &judgement, now_ms, &is_new, error);
    }
    if (code == MAILBUS_OK && is_new && fact->said == SAID_IMPORT) {
        code = count_later(db, key, fact, &stored.state, &later, error);
    }
    change.known = !is_new;
    change.reason = suppress_reason(&stored.state);
    if (code == MAILBUS_OK && is_new) {
        code = list_apply(db, key, fact, &judgement, &stored, later, &change, error);
    }
    if (code == MAILBUS_OK) {
        *ret_change = change;
    }
    stored_state_free(&stored);
    return code;
}

/* --- people -------------------------------------------------------------------------------------
 */

static fact_t personal(said_t said, const char *id, const char *shown, const char *note,
                       int64_t time_ms)
{
    return (fact_t){.said = said,
                    .id = id,
                    .time_ms = time_ms,
                    .event_id = "",
                    .address = shown,
                    .message_id = "",
                    .inbox = "",
                    .type = "",
                    .sub_type = "",
                    .status = "",
                    .candidates = 1,
                    .note = note,
                    .reason = REASON_NONE};
}

/* Unlike any other of this key: what people did before has an earlier time or a smaller count. */
static mailbus_code_t make_id(sqlite3 *db, const char *key, int64_t time_ms, char *id, size_t size,
                              mailbus_error_t *error)
{
    int64_t count = 0;
    mailbus_code_t code = mb_db_numbers(db, "SELECT count(*) FROM facts WHERE key = ?",
                                        (mb_db_value_t[]){T(key)}, 1, &count, 1, error);
    snprintf(id, size, "person-%" PRId64 "-%" PRId64, time_ms, count);
    return code;
}

mailbus_code_t list_add(sqlite3 *db, const char *key, const char *shown, const char *note,
                        int64_t now_ms, list_change_t *ret_change, mailbus_error_t *error)
{
    static const policy_t any = {.bounces = true, .rejects = true, .candidates = true};
    char id[64];
    state_t state = {.removed = false};
    mailbus_code_t code = list_load_removal(db, key, &state, error);
    int64_t time_ms = suppress_add_time(now_ms, state.removed, state.removed_ms);
    if (code == MAILBUS_OK) {
        code = make_id(db, key, time_ms, id, sizeof id, error);
    }
    const fact_t fact = personal(SAID_ADD, id, shown, note, time_ms);
    return code != MAILBUS_OK ? code : list_take(db, key, &fact, &any, now_ms, ret_change, error);
}

mailbus_code_t list_remove(sqlite3 *db, const char *key, const char *note, int64_t now_ms,
                           mailbus_error_t *error)
{
    static const policy_t any = {.bounces = true, .rejects = true, .candidates = true};
    char id[64];
    int64_t newest_ms = 0;
    list_entry_t entry = {.key = NULL};
    list_change_t ignored;
    mailbus_code_t code = list_find(db, key, &entry, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = mb_db_numbers(db, "SELECT max(time_ms) FROM facts WHERE key = ?",
                         (mb_db_value_t[]){T(key)}, 1, &newest_ms, 1, error);
    int64_t time_ms = suppress_remove_time(now_ms, newest_ms);
    if (code == MAILBUS_OK) {
        code = make_id(db, key, time_ms, id, sizeof id, error);
    }
    if (code == MAILBUS_OK) {
        const fact_t fact = personal(SAID_REMOVE, id, entry.address, note, time_ms);
        code = list_take(db, key, &fact, &any, now_ms, &ignored, error);
    }
    list_entry_free(&entry);
    return code;
}

/* --- entries ------------------------------------------------------------------------------------
 */

mailbus_code_t list_entry_read(sqlite3_stmt *stmt, list_entry_t *ret_entry, mailbus_error_t *error)
{
    const char *reason = mb_db_text(stmt, 2);
    list_entry_t entry = {
        .key = list_copy_column(stmt, 0),
        .address = list_copy_column(stmt, 1),
        .reason = reason != NULL ? reason_of(reason) : REASON_NONE,
        .certain = sqlite3_column_int64(stmt, 3) != 0,
        .first_ms = sqlite3_column_int64(stmt, 4),
        .last_ms = sqlite3_column_int64(stmt, 5),
        .count = sqlite3_column_int64(stmt, 6),
        .event_id = list_copy_column(stmt, 7),
        .message_id = list_copy_column(stmt, 8),
        .note = list_copy_column(stmt, 9),
    };
    if (entry.key == NULL || entry.address == NULL || entry.event_id == NULL ||
        entry.message_id == NULL || entry.note == NULL) {
        list_entry_free(&entry);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_entry = entry;
    return MAILBUS_OK;
}

void list_entry_free(list_entry_t *entry)
{
    free(entry->key);
    free(entry->address);
    free(entry->event_id);
    free(entry->message_id);
    free(entry->note);
    *entry = (list_entry_t){.key = NULL};
}

mailbus_code_t list_find(sqlite3 *db, const char *key, list_entry_t *ret_entry,
                         mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code =
        mb_db_query(db, "SELECT " LIST_ENTRY_COLUMNS " FROM entries WHERE key = ?",
                    (mb_db_value_t[]){T(key)}, 1, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mb_db_next(stmt, &code, error)) {
        code = list_entry_read(stmt, ret_entry, error);
    } else if (code == MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "not suppressed");
    }
    sqlite3_finalize(stmt);
    return code;
}
