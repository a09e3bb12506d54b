#include "outgoing/history.h"

#include <string.h>

#include "db_query.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum { LIMIT = 100 }; /* rows where the request names no limit */

/* The columns of a row, in the order of SELECT, behind number and time. */
static const char *const columns[] = {"action", "reason",     "sender",   "recipient", "subject",
                                      "inbox",  "message_id", "event_id", "part"};

static const char select_rows[] =
    "SELECT number, time_ms, action, reason, sender, recipient, subject, inbox, message_id,"
    " event_id, part FROM outgoing_history"
    " WHERE number < ?1 AND time_ms >= ?2 AND (?3 IS NULL OR action = ?3)"
    " AND (?4 IS NULL OR lower(sender) = lower(?4) OR lower(recipient) = lower(?4))"
    " ORDER BY number DESC LIMIT ?5";

typedef struct {
    const char *address, *action; /* NULL: all */
    int64_t since_ms, after, limit;
} question_t;

/* A whole number of at least `least`; absent: `otherwise`. */
static mailbus_code_t read_number(const cJSON *tree, const char *key, int64_t least,
                                  int64_t otherwise, int64_t *ret_number, mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(tree, key);
    *ret_number = otherwise;
    if (item == NULL || cJSON_IsNull(item)) {
        return MAILBUS_OK;
    }
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= (double)least && value <= 9007199254740992.0) ||
        value != (double)(int64_t)value) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: a whole number from %d", key, (int)least);
    }
    *ret_number = (int64_t)value;
    return MAILBUS_OK;
}

static mailbus_code_t read_text(const cJSON *tree, const char *key, const char **ret_text,
                                mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(tree, key);
    if (item != NULL && !cJSON_IsNull(item) && !cJSON_IsString(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: a text", key);
    }
    *ret_text = mailbus_json_string(tree, key);
    return MAILBUS_OK;
}

static mailbus_code_t read_question(const cJSON *tree, question_t *ret, mailbus_error_t *error)
{
    question_t question = {0};
    mailbus_code_t code = read_text(tree, "address", &question.address, error);
    if (code == MAILBUS_OK) {
        code = read_text(tree, "action", &question.action, error);
    }
    if (code == MAILBUS_OK) {
        code = read_number(tree, "since_ms", 0, 0, &question.since_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = read_number(tree, "after", 1, INT64_MAX, &question.after, error);
    }
    if (code == MAILBUS_OK) {
        code = read_number(tree, "limit", 1, LIMIT, &question.limit, error);
    }
    if (code == MAILBUS_OK) {
        question.limit = question.limit > HISTORY_ROWS_MAX ? HISTORY_ROWS_MAX : question.limit;
        *ret = question;
    }
    return code;
}

static void write_text(mailbus_buf_t *out, const char *text)
{
    if (text == NULL) {
        mailbus_buf_text(out, "null");
    } else {
        mailbus_json_write_string(out, text, strlen(text));
    }
}

static void write_row(sqlite3_stmt *stmt, mailbus_buf_t *out)
{
    char time[MAILBUS_TIME_SIZE];
    mailbus_time_format(sqlite3_column_int64(stmt, 1), time);
    mailbus_buf_text(out, "{\"time\":");
    write_text(out, time);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        mailbus_buf_printf(out, ",\"%s\":", columns[i]);
        write_text(out, mb_db_text(stmt, (int)i + 2));
    }
    mailbus_buf_char(out, '}');
}

static mailbus_code_t answer_question(sqlite3 *db, const question_t *question,
                                      mailbus_buf_t *answer, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {
        MB_NUMBER_VALUE(question->after), MB_NUMBER_VALUE(question->since_ms),
        MB_TEXT_VALUE(question->action),  MB_TEXT_VALUE(question->address),
        MB_NUMBER_VALUE(question->limit),
    };
    sqlite3_stmt *stmt = NULL;
    int64_t rows = 0;
    int64_t last = 0;
    mailbus_code_t code =
        mb_db_query(db, select_rows, values, sizeof values / sizeof *values, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_buf_text(answer, "{\"rows\":[");
    for (; mb_db_next(stmt, &code, error); rows++) {
        mailbus_buf_text(answer, rows == 0 ? "" : ",");
        write_row(stmt, answer);
        last = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    mailbus_buf_text(answer, "],\"next\":");
    if (rows == question->limit) {
        mailbus_buf_u64(answer, (uint64_t)last);
    } else {
        mailbus_buf_text(answer, "null");
    }
    mailbus_buf_char(answer, '}');
    return code == MAILBUS_OK && answer->failed
               ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
               : code;
}

mailbus_code_t history_run(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error)
{
    cJSON *tree = NULL;
    question_t question = {0};
    (void)now_ms;
    mailbus_code_t code = mailbus_json_parse_object(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = read_question(tree, &question, error);
    }
    if (code == MAILBUS_OK) {
        code = answer_question(db, &question, answer, error);
    }
    cJSON_Delete(tree);
    return code;
}
