#include "suppression_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "commands_priv.h"
#include "db_query.h"
#include "entry_key.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000 };

/* --- requests and answers -----------------------------------------------------------------------
 */

mailbus_code_t command_read(const char *request, size_t size, cJSON **ret_tree,
                            mailbus_error_t *error)
{
    return mailbus_json_parse_object(request, size, ret_tree, error);
}

mailbus_code_t command_answer(cJSON **tree_p, mailbus_buf_t *answer, mailbus_error_t *error)
{
    char *text = *tree_p != NULL ? cJSON_PrintUnformatted(*tree_p) : NULL;
    mailbus_code_t code = MAILBUS_OK;
    if (text == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else {
        mailbus_buf_text(answer, text);
    }
    cJSON_free(text);
    cJSON_Delete(*tree_p);
    *tree_p = NULL;
    return code;
}

void command_add_time(cJSON *object, const char *name, int64_t ms)
{
    char time[MAILBUS_TIME_SIZE];
    mailbus_time_format(ms, time);
    cJSON_AddStringToObject(object, name, time);
}

char *command_line(const char *text)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_text(&line, "");
    agentmail_text_line(text, strlen(text), LIST_NOTE_MAX, &line);
    return mailbus_buf_take(&line, NULL);
}

static char *printed(const char *key, const char *shown)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    key_print(key, shown, &out);
    return mailbus_buf_take(&out, NULL);
}

mailbus_code_t command_target(const cJSON *request, command_target_t *ret_target,
                              mailbus_error_t *error)
{
    command_target_t target = {.key = NULL};
    const char *text = mailbus_json_string(request, "address");
    if (text == NULL || text[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"address\" is missing");
    }
    mailbus_error_t why = {0};
    mailbus_code_t code = key_parse(text, &target.key, &target.shown, &why);
    if (code != MAILBUS_OK) {
        char *line = command_line(text);
        code = mailbus_fail(error, code, "\"%.60s\" is %.170s", line != NULL ? line : "", why.text);
        free(line);
        return code;
    }
    target.printed = printed(target.key, target.shown);
    if (target.printed == NULL) {
        command_target_free(&target);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_target = target;
    return MAILBUS_OK;
}

void command_target_free(command_target_t *target)
{
    free(target->key);
    free(target->shown);
    free(target->printed);
    *target = (command_target_t){.key = NULL};
}

static mailbus_code_t read_limit(const cJSON *request, int64_t *ret_limit, mailbus_error_t *error)
{
    const cJSON *limit = mailbus_json_item(request, "limit");
    double number = cJSON_IsNumber(limit) ? limit->valuedouble : LIMIT_DEFAULT;
    if ((limit != NULL && !cJSON_IsNumber(limit)) || !(number >= 1) || number > LIMIT_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"limit\" is a number from 1 to %d", LIMIT_MAX);
    }
    *ret_limit = (int64_t)number;
    return MAILBUS_OK;
}

/* {"rows":…,"next":…}. `next` is what the page ended with where it is full. */
static mailbus_code_t answer_rows(cJSON *rows, int64_t limit, const char *next,
                                  mailbus_buf_t *answer, mailbus_error_t *error)
{
    cJSON *tree = cJSON_CreateObject();
    bool full = cJSON_GetArraySize(rows) == limit;
    if (tree == NULL || !cJSON_AddItemToObject(tree, "rows", rows)) {
        cJSON_Delete(rows);
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (full) {
        cJSON_AddStringToObject(tree, "next", next);
    } else {
        cJSON_AddNullToObject(tree, "next");
    }
    return command_answer(&tree, answer, error);
}

/* --- entries ------------------------------------------------------------------------------------
 */

static void add_entry(cJSON *object, const list_entry_t *entry)
{
    cJSON_AddStringToObject(object, "reason", reason_name(entry->reason));
    cJSON_AddBoolToObject(object, "ambiguous", !entry->certain);
    command_add_time(object, "first", entry->first_ms);
    command_add_time(object, "last", entry->last_ms);
    cJSON_AddNumberToObject(object, "count", (double)entry->count);
    cJSON_AddStringToObject(object, "event_id", entry->event_id);
    cJSON_AddStringToObject(object, "message_id", entry->message_id);
    cJSON_AddStringToObject(object, "note", entry->note);
}

static mailbus_code_t append_entry(sqlite3_stmt *stmt, cJSON *rows, char **key_p,
                                   mailbus_error_t *error)
{
    list_entry_t entry = {.key = NULL};
    mailbus_code_t code = list_entry_read(stmt, &entry, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    char *address = printed(entry.key, entry.address);
    cJSON *row = cJSON_CreateObject();
    if (address == NULL || row == NULL || !cJSON_AddItemToArray(rows, row)) {
        cJSON_Delete(row);
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else {
        cJSON_AddStringToObject(row, "address", address);
        add_entry(row, &entry);
        free(*key_p);
        *key_p = entry.key;
        entry.key = NULL;
    }
    free(address);
    list_entry_free(&entry);
    return code;
}

static mailbus_code_t check_reason(const char *reason, mailbus_error_t *error)
{
    return reason == NULL || reason_of(reason) != REASON_NONE
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL,
                              "there is no reason \"%.40s\": complaint, manual, unsubscribe, "
                              "bounce or rejected",
                              reason);
}

static mailbus_code_t list(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *tree = NULL;
    cJSON *rows = cJSON_CreateArray();
    sqlite3_stmt *stmt = NULL;
    char *last = NULL;
    int64_t limit = LIMIT_DEFAULT;
    mailbus_code_t code = command_read(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = read_limit(tree, &limit, error);
    }
    const char *reason = mailbus_json_string(tree, "reason");
    const char *after = mailbus_json_string(tree, "after");
    if (code == MAILBUS_OK) {
        code = check_reason(reason, error);
    }
    if (code == MAILBUS_OK) {
        const mb_db_value_t values[] = {T(after != NULL ? after : ""), T(reason),
                                        N(cJSON_IsTrue(mailbus_json_item(tree, "ambiguous"))),
                                        N(limit)};
        code = mb_db_query(db,
                           reason == NULL ? "SELECT " LIST_ENTRY_COLUMNS " FROM entries"
                                            " WHERE key > ?1 AND (?3 = 0 OR certain = 0)"
                                            " ORDER BY key LIMIT ?4"
                                          : "SELECT " LIST_ENTRY_COLUMNS " FROM entries"
                                            " WHERE reason = ?2 AND key > ?1"
                                            " AND (?3 = 0 OR certain = 0) ORDER BY key LIMIT ?4",
                           values, 4, &stmt, error);
    }
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        code = append_entry(stmt, rows, &last, error);
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        code = answer_rows(rows, limit, last != NULL ? last : "", answer, error);
    } else {
        cJSON_Delete(rows);
    }
    free(last);
    cJSON_Delete(tree);
    return code;
}

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
            by = printed(entry.key, entry.address);
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
            add_entry(object, &entry);
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

static mailbus_code_t show(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *tree = NULL;
    cJSON *object = cJSON_CreateObject();
    command_target_t target = {.key = NULL};
    mailbus_code_t code = command_read(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = command_target(tree, &target, error);
    }
    if (code == MAILBUS_OK) {
        code = describe(db, &target, object, error);
    }
    if (code == MAILBUS_OK) {
        code = command_answer(&object, answer, error);
    }
    command_target_free(&target);
    cJSON_Delete(object);
    cJSON_Delete(tree);
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

static mailbus_code_t history(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                              mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *tree = NULL;
    cJSON *rows = cJSON_CreateArray();
    command_target_t target = {.key = NULL};
    sqlite3_stmt *stmt = NULL;
    char next[64] = "";
    int64_t limit = LIMIT_DEFAULT, time_ms = 0, number = 0;
    mailbus_code_t code = command_read(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = command_target(tree, &target, error);
    }
    if (code == MAILBUS_OK) {
        code = read_limit(tree, &limit, error);
    }
    if (code == MAILBUS_OK) {
        code = read_position(tree, &time_ms, &number, error);
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
        code = answer_rows(rows, limit, next, answer, error);
    } else {
        cJSON_Delete(rows);
    }
    command_target_free(&target);
    cJSON_Delete(tree);
    return code;
}

const mailbus_command_t suppression_commands[] = {
    {"list", list},
    {"show", show},
    {"history", history},
    {"add", command_add},
    {"remove", command_remove},
    {"import", command_import},
    {NULL, NULL},
};
