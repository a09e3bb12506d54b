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

char *command_printed(const char *key, const char *shown)
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
    target.printed = command_printed(target.key, target.shown);
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

mailbus_code_t command_limit(const cJSON *request, int64_t *ret_limit, mailbus_error_t *error)
{
    static const mb_command_bounds_t bounds = {1, LIMIT_MAX, LIMIT_DEFAULT};
    return mb_command_number(request, "limit", bounds, ret_limit, error);
}

/* {"rows":…,"next":…}. `next` is what the page ended with where it is full. */
mailbus_code_t command_rows(cJSON *rows, int64_t limit, const char *next, mailbus_buf_t *answer,
                            mailbus_error_t *error)
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
    return mb_command_answer(&tree, answer, error);
}

/* --- entries ------------------------------------------------------------------------------------
 */

void command_add_entry(cJSON *object, const list_entry_t *entry)
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
    char *address = command_printed(entry.key, entry.address);
    cJSON *row = cJSON_CreateObject();
    if (address == NULL || row == NULL || !cJSON_AddItemToArray(rows, row)) {
        cJSON_Delete(row);
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else {
        cJSON_AddStringToObject(row, "address", address);
        command_add_entry(row, &entry);
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

static mailbus_code_t list(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
    (void)now_ms;
    cJSON *rows = cJSON_CreateArray();
    sqlite3_stmt *stmt = NULL;
    char *last = NULL;
    int64_t limit = 0;
    mailbus_code_t code = command_limit(request, &limit, error);
    const char *reason = mailbus_json_string(request, "reason");
    const char *after = mailbus_json_string(request, "after");
    if (code == MAILBUS_OK) {
        code = check_reason(reason, error);
    }
    if (code == MAILBUS_OK) {
        const mb_db_value_t values[] = {T(after != NULL ? after : ""), T(reason),
                                        N(cJSON_IsTrue(mailbus_json_item(request, "ambiguous"))),
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
        code = command_rows(rows, limit, last != NULL ? last : "", answer, error);
    } else {
        cJSON_Delete(rows);
    }
    free(last);
    return code;
}

MB_COMMAND(list)
MB_COMMAND(command_show)
MB_COMMAND(command_history)
MB_COMMAND(command_add)
MB_COMMAND(command_remove)
MB_COMMAND(command_import)

const mailbus_command_t suppression_commands[] = {
    {"list", run_list},
    {"show", run_command_show},
    {"history", run_command_history},
    {"add", run_command_add},
    {"remove", run_command_remove},
    {"import", run_command_import},
    {NULL, NULL},
};
