#include "route/commands.h"

#include <inttypes.h>
#include <string.h>

#include "db_query.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum { LIMIT = 100 }; /* rows where the request names no limit */

#define T(value) MB_TEXT_VALUE(value)
#define N(value) MB_NUMBER_VALUE(value)

/* --- reading the request ------------------------------------------------------------------------
 */

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

/* A whole number from 1; absent: `otherwise`. */
static mailbus_code_t read_number(const cJSON *tree, const char *key, int64_t otherwise,
                                  int64_t *ret_number, mailbus_error_t *error)
{
    static const double most = 9007199254740992.0; /* what a double holds exactly */
    const cJSON *item = mailbus_json_item(tree, key);
    *ret_number = otherwise;
    if (item == NULL || cJSON_IsNull(item)) {
        return MAILBUS_OK;
    }
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= 1 && value <= most) || value != (double)(int64_t)value) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: a whole number from 1", key);
    }
    *ret_number = (int64_t)value;
    return MAILBUS_OK;
}

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
    question_t question = {0};
    mailbus_code_t code = read_text(tree, "rule", &question.rule, error);
    if (code == MAILBUS_OK) {
        code = read_text(tree, "event", &question.event, error);
    }
    if (code == MAILBUS_OK) {
        code = read_text(tree, "action", &question.action, error);
    }
    if (code == MAILBUS_OK) {
        code = read_number(tree, "after", INT64_MAX, &question.after, error);
    }
    if (code == MAILBUS_OK) {
        code = read_number(tree, "limit", LIMIT, &question.limit, error);
    }
    if (code == MAILBUS_OK) {
        question.limit = question.limit > COMMANDS_ROWS_MAX ? COMMANDS_ROWS_MAX : question.limit;
        *ret = question;
    }
    return code;
}

static void write_row(sqlite3_stmt *row, bool first, mailbus_buf_t *answer)
{
    char time[MAILBUS_TIME_SIZE];
    mailbus_time_format(sqlite3_column_int64(row, 1), time);
    mailbus_buf_printf(answer, "%s{\"time\":\"%s\"", first ? "" : ",", time);
    for (int i = 0; i < (int)(sizeof columns / sizeof columns[0]); i++) {
        const char *text = mb_db_text(row, i + 2);
        mailbus_buf_printf(answer, ",\"%s\":", columns[i]);
        if (text == NULL) {
            mailbus_buf_text(answer, "null");
        } else {
            mailbus_json_write_string(answer, text, strlen(text));
        }
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
    if (count == question->limit) {
        mailbus_buf_printf(answer, "],\"next\":%" PRId64 "}", last);
    } else {
        mailbus_buf_text(answer, "],\"next\":null}");
    }
    return code;
}

static mailbus_code_t run_history(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                                  mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    question_t question;
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = read_question(tree, &question, error);
    }
    if (code == MAILBUS_OK) {
        code = write_rows(db, &question, answer, error);
    }
    cJSON_Delete(tree);
    return code;
}

/* --- again --------------------------------------------------------------------------------------
 */

static mailbus_code_t run_again(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                                mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    const char *event = NULL;
    const char *rule = NULL;
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = read_text(tree, "event", &event, error);
    }
    if (code == MAILBUS_OK) {
        code = read_text(tree, "rule", &rule, error);
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
    cJSON_Delete(tree);
    return code;
}

const mailbus_command_t route_commands[] = {
    {"history", run_history}, {"again", run_again}, {NULL, NULL}};
