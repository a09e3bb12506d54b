/* One address: what is known of it, and its history. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands_priv.h"
#include "db_query.h"
#include "entry_key.h"
#include "mailbus/json.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

/* --- one address --------------------------------------------------------------------------------
 */

mailbus_code_t command_covered_by(sqlite3 *db, const command_target_t *target, char **ret_by,
                                  mailbus_error_t *error)
{
    char *keys[KEYS_MAX] = {NULL};
    size_t count = 0;
    char *by = NULL;
    if (target->key[0] != 'a') {
        *ret_by = NULL;
        return MAILBUS_OK;
    }
    mailbus_code_t code = keys_covering(target->shown, keys, &count, error);
    for (size_t i = 1; code == MAILBUS_OK && by == NULL && i < count; i++) {
        list_entry_t entry = {.key = NULL};
        code = list_find(db, keys[i], &entry, error);
        if (code == MAILBUS_OK) {
            by = command_printed(entry.key, entry.address);
            code = by == NULL ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
        } else if (code == MAILBUS_ENOTFOUND) {
            code = MAILBUS_OK;
        }
        list_entry_free(&entry);
    }
    keys_free(keys, count);
    if (code == MAILBUS_OK) {
        *ret_by = by;
    } else {
        free(by);
    }
    return code;
}

/* "there", "waiting", "refused: …"; "" where it has nothing to do with it. */
static mailbus_code_t add_block_list(sqlite3 *db, const char *key, cJSON *object,
                                     mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(db,
                                      "SELECT CASE WHEN due_ms IS NULL AND note <> '' THEN note"
                                      " WHEN due_ms IS NULL THEN 'there' WHEN note <> '' THEN"
                                      " 'waiting: ' || note ELSE 'waiting' END"
                                      " FROM outbox WHERE key = ?",
                                      (mb_db_value_t[]){T(key)}, 1, &stmt, error);
    if (code == MAILBUS_OK) {
        bool found = mb_db_next(stmt, &code, error);
        cJSON_AddStringToObject(object, "block_list", found ? mb_db_text(stmt, 0) : "");
    }
    sqlite3_finalize(stmt);
    return code;
}

static mailbus_code_t add_history(sqlite3 *db, const char *key, cJSON *object, int64_t *ret_facts,
                                  mailbus_error_t *error)
{
    int64_t numbers[2] = {0, 0};
    mailbus_code_t code = mb_db_numbers(
        db, "SELECT count(*), max(time_ms) FILTER (WHERE said = 'remove') FROM facts WHERE key = ?",
        (mb_db_value_t[]){T(key)}, 1, numbers, 2, error);
    if (code == MAILBUS_OK) {
        if (numbers[1] != 0) {
            command_add_time(object, "removed", numbers[1]);
        }
        cJSON_AddNumberToObject(object, "facts", (double)numbers[0]);
        *ret_facts = numbers[0];
    }
    return code;
}

static mailbus_code_t describe(sqlite3 *db, const command_target_t *target, cJSON *object,
                               mailbus_error_t *error)
{
    list_entry_t entry = {.key = NULL};
    char *by = NULL;
    int64_t facts = 0;
    cJSON_AddStringToObject(object, "address", target->printed);
    mailbus_code_t code = command_covered_by(db, target, &by, error);
    if (code == MAILBUS_OK) {
        code = list_find(db, target->key, &entry, error);
    }
    bool own = code == MAILBUS_OK;
    code = code == MAILBUS_ENOTFOUND ? MAILBUS_OK : code;
    if (code == MAILBUS_OK) {
        cJSON_AddBoolToObject(object, "suppressed", own || by != NULL);
        if (by != NULL) {
            cJSON_AddStringToObject(object, "by", by);
        }
        if (own) {
            command_add_entry(object, &entry);
        }
        code = add_block_list(db, target->key, object, error);
    }
    if (code == MAILBUS_OK) {
        code = add_history(db, target->key, object, &facts, error);
    }
    if (code == MAILBUS_OK && !own && by == NULL && facts == 0) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "%.200s: nothing was ever said about it",
                            target->printed);
    }
    list_entry_free(&entry);
    free(by);
    return code;
}

mailbus_code_t command_show(sqlite3 *db, const cJSON *request, int64_t now_ms,
                            mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *object = cJSON_CreateObject();
    command_target_t target = {.key = NULL};
    mailbus_code_t code = command_target(request, &target, error);
    if (code == MAILBUS_OK) {
        code = describe(db, &target, object, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_answer(&object, answer, error);
    }
    command_target_free(&target);
    cJSON_Delete(object);
    return code;
}

/* --- history ------------------------------------------------------------------------------------
 */

static mailbus_code_t append_fact(sqlite3_stmt *stmt, cJSON *rows, mailbus_error_t *error)
{
    static const char *const names[] = {"said",     "counts_as", "why",      "type",
                                        "sub_type", "status",    "event_id", "message_id",
                                        "inbox",    "note",      "address"};
    cJSON *row = cJSON_CreateObject();
    if (row == NULL || !cJSON_AddItemToArray(rows, row)) {
        cJSON_Delete(row);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    command_add_time(row, "time", sqlite3_column_int64(stmt, 0));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = mb_db_text(stmt, 4 + (int)i);
        cJSON_AddStringToObject(row, names[i], text != NULL ? text : "");
    }
    cJSON_AddNumberToObject(row, "candidates", (double)sqlite3_column_int64(stmt, 2));
    command_add_time(row, "noted", sqlite3_column_int64(stmt, 3));
    return MAILBUS_OK;
}

static mailbus_code_t read_position(const cJSON *request, int64_t *ret_time, int64_t *ret_number,
                                    mailbus_error_t *error)
{
    const char *after = mailbus_json_string(request, "after");
    *ret_time = INT64_MIN;
    *ret_number = 0;
    return after == NULL || sscanf(after, "%" SCNd64 "/%" SCNd64, ret_time, ret_number) == 2
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL, "\"after\" is no answer's \"next\"");
}

mailbus_code_t command_history(sqlite3 *db, const cJSON *request, int64_t now_ms,
                               mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *rows = cJSON_CreateArray();
    command_target_t target = {.key = NULL};
    sqlite3_stmt *stmt = NULL;
    char next[64] = "";
    int64_t limit = 0, time_ms = 0, number = 0;
    mailbus_code_t code = command_target(request, &target, error);
    if (code == MAILBUS_OK) {
        code = command_limit(request, &limit, error);
    }
    if (code == MAILBUS_OK) {
        code = read_position(request, &time_ms, &number, error);
    }
    if (code == MAILBUS_OK) {
        const mb_db_value_t values[] = {T(target.key), N(time_ms), N(number), N(limit)};
        code = mb_db_query(db,
                           "SELECT time_ms, number, candidates, noted_ms, said, verdict, why, type,"
                           " sub_type, status, event_id, message_id, inbox, note, address"
                           " FROM facts WHERE key = ?1 AND (time_ms, number) > (?2, ?3)"
                           " ORDER BY time_ms, number LIMIT ?4",
                           values, 4, &stmt, error);
    }
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        snprintf(next, sizeof next, "%" PRId64 "/%" PRId64, (int64_t)sqlite3_column_int64(stmt, 0),
                 (int64_t)sqlite3_column_int64(stmt, 1));
        code = append_fact(stmt, rows, error);
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        code = command_rows(rows, limit, next, answer, error);
    } else {
        cJSON_Delete(rows);
    }
    command_target_free(&target);
    return code;
}
