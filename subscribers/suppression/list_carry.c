/* A rebuild: what the journal can't give is carried over, and every entry made anew. */
#include <stdlib.h>
#include <string.h>

#include "db_query.h"
#include "list_priv.h"
#include "outbox.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

static const char *const POLICY_NAMES[] = {"bounces", "rejects", "candidates"};

mailbus_code_t list_note_policy(sqlite3 *db, const policy_t *policy, mailbus_error_t *error)
{
    const bool values[] = {policy->bounces, policy->rejects, policy->candidates};
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; code == MAILBUS_OK && i < sizeof values / sizeof values[0]; i++) {
        code = mb_db_change(db, "INSERT OR REPLACE INTO policy (name, value) VALUES (?, ?)",
                            (mb_db_value_t[]){T(POLICY_NAMES[i]), N(values[i])}, 2, error);
    }
    return code;
}

static mailbus_code_t read_policy(sqlite3 *db, policy_t *policy, mailbus_error_t *error)
{
    bool *values[] = {&policy->bounces, &policy->rejects, &policy->candidates};
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; code == MAILBUS_OK && i < sizeof values / sizeof values[0]; i++) {
        int64_t value = 0;
        code = mb_db_numbers(db, "SELECT value FROM policy WHERE name = ?",
                             (mb_db_value_t[]){T(POLICY_NAMES[i])}, 1, &value, 1, error);
        *values[i] = value != 0;
    }
    return code;
}

/* Every row of `from` into `to`, which takes the columns by number. */
static mailbus_code_t copy_rows(sqlite3 *from, const char *select, sqlite3 *to, const char *insert,
                                mailbus_error_t *error)
{
    sqlite3_stmt *read = NULL;
    sqlite3_stmt *write = NULL;
    mailbus_code_t code = mb_db_prepare(from, select, &read, error);
    if (code == MAILBUS_OK) {
        code = mb_db_prepare(to, insert, &write, error);
    }
    while (code == MAILBUS_OK && mb_db_next(read, &code, error)) {
        for (int i = 0; code == MAILBUS_OK && i < sqlite3_column_count(read); i++) {
            if (sqlite3_bind_value(write, i + 1, sqlite3_column_value(read, i)) != SQLITE_OK) {
                code = mb_db_fail(to, error, "copying what was known");
            }
        }
        if (code == MAILBUS_OK) {
            code = mb_db_run(write, error);
        }
    }
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return code;
}

#define FACT_COLUMNS                                                                               \
    "key, id, said, time_ms, address, message_id, inbox, type, sub_type, status, candidates,"      \
    " note, reason, first_ms, count, verdict, why, noted_ms, event_id"
#define OUTBOX_COLUMNS "key, address, wanted, there, due_ms, attempts, turn, note"

/* The old file's facts; those that the journal has brought again are there. Of the block list the
 * old file knows more: what is there by our doing. */
static mailbus_code_t carry_rows(sqlite3 *db, sqlite3 *old, mailbus_error_t *error)
{
    mailbus_code_t code = copy_rows(
        old, "SELECT " FACT_COLUMNS " FROM facts ORDER BY number", db,
        "INSERT INTO facts (" FACT_COLUMNS
        ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (key, id) DO NOTHING",
        error);
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, "DELETE FROM outbox", error);
    }
    return code != MAILBUS_OK
               ? code
               : copy_rows(old, "SELECT " OUTBOX_COLUMNS " FROM outbox", db,
                           "INSERT INTO outbox (" OUTBOX_COLUMNS ") VALUES (?,?,?,?,?,?,?,?)",
                           error);
}

/* --- every entry anew ---------------------------------------------------------------------------
 */

static mailbus_code_t read_fact(sqlite3_stmt *stmt, fact_t *fact, mailbus_error_t *error)
{
    const char *texts[10];
    static const int columns[10] = {1, 2, 4, 5, 6, 7, 8, 9, 11, 12};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        texts[i] = mb_db_text(stmt, columns[i]);
        if (texts[i] == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
    }
    *fact = (fact_t){
        .id = texts[0],
        .time_ms = sqlite3_column_int64(stmt, 3),
        .address = texts[2],
        .message_id = texts[3],
        .inbox = texts[4],
        .type = texts[5],
        .sub_type = texts[6],
        .status = texts[7],
        .candidates = sqlite3_column_int64(stmt, 10),
        .note = texts[8],
        .reason = reason_of(texts[9]),
        .first_ms = sqlite3_column_int64(stmt, 13),
        .count = sqlite3_column_int64(stmt, 14),
        .event_id = mb_db_text(stmt, 18),
    };
    return fact->event_id != NULL && said_of(texts[1], &fact->said)
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL, "the file holds a fact that is not known");
}

/* In the order of time, so that of an import nothing is taken yet that is later than it. */
static mailbus_code_t judge_again(sqlite3 *db, sqlite3_stmt *stmt, const policy_t *policy,
                                  mailbus_error_t *error)
{
    fact_t fact;
    stored_state_t stored = {.state = {.removed = false}};
    list_change_t change;
    const char *key = mb_db_text(stmt, 0);
    mailbus_code_t code = key == NULL ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
                                      : read_fact(stmt, &fact, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    judgement_t judgement = suppress_judge(&fact, policy);
    code = mb_db_change(
        db, "UPDATE facts SET verdict = ?3, why = ?4 WHERE key = ?1 AND id = ?2",
        (mb_db_value_t[]){T(key), T(fact.id), T(reason_name(judgement.reason)), T(judgement.why)},
        4, error);
    if (code == MAILBUS_OK) {
        code = list_load_state(db, key, &stored, error);
    }
    if (code == MAILBUS_OK) {
        code = list_apply(db, key, &fact, &judgement, &stored, 0, &change, error);
    }
    stored_state_free(&stored);
    return code;
}

/* What is not suppressed any more must not stay on the block list. */
static mailbus_code_t settle_outbox(sqlite3 *db, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_prepare(
        db,
        "SELECT key, address FROM outbox WHERE wanted = 1 AND key NOT IN (SELECT key FROM entries)",
        &stmt, error);
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        code = outbox_want(db, mb_db_text(stmt, 0), mb_db_text(stmt, 1), false, error);
    }
    sqlite3_finalize(stmt);
    return code;
}

mailbus_code_t list_carry(sqlite3 *db, sqlite3 *old, int64_t now_ms, mailbus_error_t *error)
{
    (void)now_ms;
    policy_t policy;
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = read_policy(db, &policy, error);
    if (code == MAILBUS_OK) {
        code = carry_rows(db, old, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, "DELETE FROM evidence; DELETE FROM entries;", error);
    }
    if (code == MAILBUS_OK) { /* removals need no step: the state knows the last one */
        code = mb_db_prepare(db,
                             "SELECT " FACT_COLUMNS " FROM facts WHERE said <> 'remove'"
                             " ORDER BY time_ms, number",
                             &stmt, error);
    }
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        code = judge_again(db, stmt, &policy, error);
    }
    sqlite3_finalize(stmt);
    return code != MAILBUS_OK ? code : settle_outbox(db, error);
}
