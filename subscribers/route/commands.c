#include "route/commands.h"

#include "command.h"
#include "db_query.h"

enum { LIMIT = 100 }; /* rows where the request names no limit */

#define T(value) MB_TEXT_VALUE(value)
#define N(value) MB_NUMBER_VALUE(value)

/* --- history ------------------------------------------------------------------------------------
 */

/* The columns of a row behind number and time, in the order of SELECT. */
static const char *const columns[] = {"action", "rule",    "target", "reason",     "reference",
                                      "sender", "subject", "inbox",  "message_id", "event_id"};

static const char select_rows[] =
    "SELECT number, time_ms, action, rule, target, reason, reference, sender, subject, inbox,"
    " message_id, event_id FROM route_history"
    " WHERE number < ?1 AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR event_id = ?3)"
    " AND (?4 IS NULL OR action = ?4) ORDER BY number DESC LIMIT ?5";

typedef struct {
    const char *rule, *event, *action; /* NULL: all */
    int64_t after, limit;
} question_t;

static mailbus_code_t read_question(const cJSON *tree, question_t *ret, mailbus_error_t *error)
{
    static const mb_command_bounds_t after = {1, MB_COMMAND_NUMBER_MAX, INT64_MAX};
    static const mb_command_bounds_t limit = {1, MB_COMMAND_NUMBER_MAX, LIMIT};
    question_t question = {0};
    mailbus_code_t code = mb_command_text(tree, "rule", &question.rule, error);
    if (code == MAILBUS_OK) {
        code = mb_command_text(tree, "event", &question.event, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_text(tree, "action", &question.action, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_number(tree, "after", after, &question.after, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_command_number(tree, "limit", limit, &question.limit, error);
    }
    if (code == MAILBUS_OK) {
        question.limit = question.limit > COMMANDS_ROWS_MAX ? COMMANDS_ROWS_MAX : question.limit;
        *ret = question;
    }
    return code;
}

static void write_row(sqlite3_stmt *row, bool first, mailbus_buf_t *answer)
{
    mailbus_buf_text(answer, first ? "{" : ",{");
    mb_command_write_time(answer, "time", sqlite3_column_int64(row, 1));
    for (int i = 0; i < (int)(sizeof columns / sizeof columns[0]); i++) {
        mb_command_write_text(answer, columns[i], mb_db_text(row, i + 2));
    }
    mailbus_buf_char(answer, '}');
}

static mailbus_code_t write_rows(sqlite3 *db, const question_t *question, mailbus_buf_t *answer,
                                 mailbus_error_t *error)
{
    sqlite3_stmt *rows = NULL;
    int64_t count = 0;
    int64_t last = 0;
    const mb_db_value_t values[] = {N(question->after), T(question->rule), T(question->event),
                                    T(question->action), N(question->limit)};
    mailbus_code_t code = mb_db_query(db, select_rows, values, 5, &rows, error);
    mailbus_buf_text(answer, "{\"rows\":[");
    while (code == MAILBUS_OK && mb_db_next(rows, &code, error)) {
        write_row(rows, count == 0, answer);
        last = sqlite3_column_int64(rows, 0);
        count++;
    }
    sqlite3_finalize(rows);
    mailbus_buf_char(answer, ']');
    if (count == question->limit) {
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
    question_t question;
    (void)now_ms;
    mailbus_code_t code = read_question(request, &question, error);
    return code == MAILBUS_OK ? write_rows(db, &question, answer, error) : code;
}

/* --- again --------------------------------------------------------------------------------------
 */

static mailbus_code_t again(sqlite3 *db, const cJSON *request, int64_t now_ms,
                            mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    const char *event = NULL;
    const char *rule = NULL;
    mailbus_code_t code = mb_command_text(request, "event", &event, error);
    if (code == MAILBUS_OK) {
        code = mb_command_text(request, "rule", &rule, error);
    }
    if (code == MAILBUS_OK && event == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "event: which one?");
    }
    if (code == MAILBUS_OK) {
        const mb_db_value_t values[] = {T(event), T(rule)};
        code = mb_db_change(db,
                            "UPDATE route_effects SET first_unsure_ms = 0, last_unsure_ms = 0,"
                            " place = -1 WHERE event_id = ?1 AND state = 'rejected'"
                            " AND (?2 IS NULL OR rule = ?2)",
                            values, 2, error);
    }
    if (code == MAILBUS_OK && sqlite3_changes(db) == 0) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "nothing was given up for that event (of that rule)");
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_printf(answer, "{\"forgotten\":%d}", sqlite3_changes(db));
    }
    return code;
}

MB_COMMAND(history)
MB_COMMAND(again)

const mailbus_command_t route_commands[] = {
    {"history", run_history}, {"again", run_again}, {NULL, NULL}};
