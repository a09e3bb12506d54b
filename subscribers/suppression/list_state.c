/* The machine's state of one key, to and from the tables. */
#include <stdlib.h>
#include <string.h>

#include "db_query.h"
#include "list_priv.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

char *list_copy_column(sqlite3_stmt *stmt, int column)
{
    const char *text = mb_db_text(stmt, column);
    return text == NULL ? NULL : strdup(text);
}

void stored_state_free(stored_state_t *stored)
{
    for (int i = 0; i < REASONS; i++) {
        for (int j = 0; j < STORED_TEXTS; j++) {
            free(stored->texts[i][j]);
        }
    }
    *stored = (stored_state_t){.state = {.removed = false}};
}

static mailbus_code_t read_evidence(sqlite3_stmt *stmt, stored_state_t *stored,
                                    mailbus_error_t *error)
{
    const char *name = mb_db_text(stmt, 0);
    reason_t reason = name != NULL ? reason_of(name) : REASON_NONE;
    if (reason == REASON_NONE) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the file holds a reason that is not known: %s",
                            name != NULL ? name : "none");
    }
    char **texts = stored->texts[reason];
    for (int i = 0; i < STORED_TEXTS; i++) {
        texts[i] = list_copy_column(stmt, 8 + i);
        if (texts[i] == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
    }
    stored->state.of[reason] = (evidence_t){
        .events = sqlite3_column_int64(stmt, 1),
        .first_ms = sqlite3_column_int64(stmt, 2),
        .last_ms = sqlite3_column_int64(stmt, 3),
        .certain = sqlite3_column_int64(stmt, 4) != 0,
        .stated = sqlite3_column_int64(stmt, 5),
        .stated_last_ms = sqlite3_column_int64(stmt, 6),
        .later = sqlite3_column_int64(stmt, 7),
        .address = texts[0],
        .event_id = texts[1],
        .message_id = texts[2],
        .note = texts[3],
    };
    return MAILBUS_OK;
}

mailbus_code_t list_load_removal(sqlite3 *db, const char *key, state_t *state,
                                 mailbus_error_t *error)
{
    int64_t numbers[2] = {0, 0};
    mailbus_code_t code = mb_db_numbers(
        db, "SELECT count(*), max(time_ms) FROM facts WHERE key = ? AND said = 'remove'",
        (mb_db_value_t[]){T(key)}, 1, numbers, 2, error);
    if (code == MAILBUS_OK) {
        state->removed = numbers[0] > 0;
        state->removed_ms = numbers[1];
    }
    return code;
}

mailbus_code_t list_load_state(sqlite3 *db, const char *key, stored_state_t *stored,
                               mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = list_load_removal(db, key, &stored->state, error);
    if (code == MAILBUS_OK) {
        code = mb_db_query(db,
                           "SELECT reason, events, first_ms, last_ms, certain, stated,"
                           " stated_last_ms, later, address, event_id, message_id, note"
                           " FROM evidence WHERE key = ?",
                           (mb_db_value_t[]){T(key)}, 1, &stmt, error);
    }
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        code = read_evidence(stmt, stored, error);
    }
    sqlite3_finalize(stmt);
    return code;
}

mailbus_code_t list_save_evidence(sqlite3 *db, const char *key, reason_t reason,
                                  const evidence_t *evidence, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {
        T(key),
        T(reason_name(reason)),
        N(evidence->events),
        N(evidence->first_ms),
        N(evidence->last_ms),
        N(evidence->certain),
        N(evidence->stated),
        N(evidence->stated_last_ms),
        N(evidence->later),
        T(evidence->address),
        T(evidence->event_id),
        T(evidence->message_id),
        T(evidence->note),
    };
    return mb_db_change(db,
                        "INSERT OR REPLACE INTO evidence (key, reason, events, first_ms, last_ms,"
                        " certain, stated, stated_last_ms, later, address, event_id, message_id,"
                        " note) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                        values, sizeof values / sizeof values[0], error);
}

mailbus_code_t list_save_entry(sqlite3 *db, const char *key, const state_t *state,
                               mailbus_error_t *error)
{
    reason_t reason = suppress_reason(state);
    if (reason == REASON_NONE) {
        return mb_db_change(db, "DELETE FROM entries WHERE key = ?", (mb_db_value_t[]){T(key)}, 1,
                            error);
    }
    const evidence_t *evidence = &state->of[reason];
    const mb_db_value_t values[] = {
        T(key),
        T(evidence->address),
        T(reason_name(reason)),
        N(evidence->certain),
        N(evidence->first_ms),
        N(evidence->last_ms),
        N(suppress_count(evidence)),
        T(evidence->event_id),
        T(evidence->message_id),
        T(evidence->note),
    };
    return mb_db_change(
        db, "INSERT OR REPLACE INTO entries (" LIST_ENTRY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?)",
        values, sizeof values / sizeof values[0], error);
}
