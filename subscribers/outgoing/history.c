#include "outgoing/history.h"

#include "command.h"
#include "db_query.h"

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

static mailbus_code_t read_question(const cJSON *tree, question_t *ret, mailbus_error_t *error)
{
    static const mb_command_bounds_t since = {0, MB_COMMAND_NUMBER_MAX, 0};
    static const mb_command_bounds_t after = {1, MB_COMMAND_NUMBER_MAX, INT64_MAX};
    static const mb_command_bounds_t limit = {1, MB_COMMAND_NUMBER_MAX, LIMIT};
    question_t question = {0};
    mailbus_code_t code = mb_command_text(tree, "address", &question.address, error);
    if (code == MAILBUS_OK) {
        code = mb_command_text(tree, "action", &question.action, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_number(tree, "since_ms", since, &question.since_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_number(tree, "after", after, &question.after, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_number(tree, "limit", limit, &question.limit, error);
    }
    if (code == MAILBUS_OK) {
        question.limit = question.limit > HISTORY_ROWS_MAX ? HISTORY_ROWS_MAX : question.limit;
        *ret = question;
    }
    return code;
}

static void write_row(sqlite3_stmt *stmt, mailbus_buf_t *out)
{
    mailbus_buf_char(out, '{');
    mb_command_write_time(out, "time", sqlite3_column_int64(stmt, 1));
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        mb_command_write_text(out, columns[i], mb_db_text(stmt, (int)i + 2));
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
    mailbus_buf_char(answer, ']');
    if (rows == question->limit) {
        mb_command_write_number(answer, "next", last);
    } else {
        mb_command_write_text(answer, "next", NULL);
    }
    mailbus_buf_char(answer, '}');
    return code;
}

static mailbus_code_t history(sqlite3 *db, const cJSON *request, int64_t now_ms,
                              mailbus_buf_t *answer, mailbus_error_t *error)
{
    question_t question = {0};
    (void)now_ms;
    mailbus_code_t code = read_question(request, &question, error);
    return code == MAILBUS_OK ? answer_question(db, &question, answer, error) : code;
}

mailbus_code_t history_run(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error)
{
    return mb_command_run(history, db, request, size, now_ms, answer, error);
}
