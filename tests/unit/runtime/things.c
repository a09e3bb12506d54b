#include "things.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "commands.h"
#include "mailbus/json.h"

/* The request's value under `key`; "" and 0 for none. */
typedef struct {
    cJSON *tree;
    const char *name;
    const char *after;
    int64_t size;
    int64_t limit;
    int64_t code;
} asked_t;

static asked_t read_request(const char *request, size_t size)
{
    asked_t asked = {.name = "", .after = ""};
    if (mailbus_json_parse_object(request, size, &asked.tree, NULL) != MAILBUS_OK) {
        abort(); /* the caller has looked */
    }
    const char *name = mailbus_json_string(asked.tree, "name");
    const char *after = mailbus_json_string(asked.tree, "after");
    const cJSON *number = mailbus_json_item(asked.tree, "size");
    const cJSON *limit = mailbus_json_item(asked.tree, "limit");
    const cJSON *code = mailbus_json_item(asked.tree, "code");
    asked.name = name != NULL ? name : "";
    asked.after = after != NULL ? after : "";
    asked.size = number != NULL ? (int64_t)number->valuedouble : 0;
    asked.limit = limit != NULL ? (int64_t)limit->valuedouble : 100;
    asked.code = code != NULL ? (int64_t)code->valuedouble : 0;
    return asked;
}

/* Run one statement with a name and a number. */
static mailbus_code_t write_thing(sqlite3 *db, const char *sql, const asked_t *asked,
                                  mailbus_error_t *error)
{
    sqlite3_stmt *statement = NULL;
    mailbus_code_t code = mb_db_prepare(db, sql, &statement, error);
    if (code == MAILBUS_OK) {
        sqlite3_bind_text(statement, 1, asked->name, -1, SQLITE_STATIC);
        if (sqlite3_bind_parameter_count(statement) > 1) {
            sqlite3_bind_int64(statement, 2, asked->size);
        }
        code = mb_db_run(statement, error);
    }
    sqlite3_finalize(statement);
    return code;
}

static mailbus_code_t add(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                          mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    asked_t asked = read_request(request, size);
    mailbus_code_t code = MAILBUS_OK;
    if (asked.name[0] == '\0') {
        code = mailbus_fail(error, MAILBUS_EINVAL, "\"name\" is missing");
    } else {
        code = write_thing(db, "INSERT INTO things VALUES(?1,?2) ON CONFLICT DO NOTHING", &asked,
                           error);
    }
    if (code == MAILBUS_OK && sqlite3_changes(db) == 0) {
        code = mailbus_fail(error, MAILBUS_EEXIST, "%.80s is there already", asked.name);
    }
    mailbus_buf_printf(answer, "{\"added\":%d}", 1);
    cJSON_Delete(asked.tree);
    return code;
}

static mailbus_code_t drop(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    asked_t asked = read_request(request, size);
    mailbus_code_t code = write_thing(db, "DELETE FROM things WHERE name=?1", &asked, error);
    if (code == MAILBUS_OK && sqlite3_changes(db) == 0) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "%.80s is not there", asked.name);
    }
    mailbus_buf_text(answer, "{}");
    cJSON_Delete(asked.tree);
    return code;
}

static mailbus_code_t list(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    asked_t asked = read_request(request, size);
    sqlite3_stmt *select = NULL;
    char *last = NULL;
    int64_t count = 0;
    mailbus_code_t code = mb_db_prepare(
        db, "SELECT name,size FROM things WHERE name>?1 ORDER BY name LIMIT ?2", &select, error);
    sqlite3_bind_text(select, 1, asked.after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(select, 2, asked.limit);
    mailbus_buf_text(answer, "{\"rows\":[");
    while (code == MAILBUS_OK && sqlite3_step(select) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(select, 0);
        mailbus_buf_text(answer, count++ > 0 ? ",{\"name\":" : "{\"name\":");
        mailbus_json_write_string(answer, name, strlen(name));
        mailbus_buf_printf(answer, ",\"size\":%lld}", sqlite3_column_int64(select, 1));
        free(last);
        last = strdup(name);
    }
    mailbus_buf_text(answer, "],\"next\":");
    if (count > 0 && count == asked.limit) {
        mailbus_json_write_string(answer, last, strlen(last));
    } else {
        mailbus_buf_text(answer, "null");
    }
    mailbus_buf_text(answer, "}");
    free(last);
    sqlite3_finalize(select);
    cJSON_Delete(asked.tree);
    return code;
}

static mailbus_code_t fail_as_asked(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                                    mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)now_ms;
    asked_t asked = read_request(request, size);
    mailbus_code_t code = mb_db_exec(db, "INSERT INTO things VALUES('of a failure',1)", error);
    if (code == MAILBUS_OK) {
        code = mailbus_fail(error, (mailbus_code_t)asked.code, "failed as asked");
    }
    mailbus_buf_text(answer, "{\"half\":");
    cJSON_Delete(asked.tree);
    return code;
}

static mailbus_code_t commit(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                             mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)request;
    (void)size;
    (void)now_ms;
    mailbus_buf_text(answer, "{}");
    return mb_db_exec(db, "COMMIT", error);
}

static mailbus_code_t leave(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                            mailbus_buf_t *answer, mailbus_error_t *error)
{
    (void)request;
    (void)size;
    (void)now_ms;
    sqlite3_stmt *select = NULL;
    mailbus_code_t code = mb_db_prepare(db, "SELECT name FROM things", &select, error);
    if (code == MAILBUS_OK && sqlite3_step(select) != SQLITE_ROW) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "nothing to stand on");
    }
    mailbus_buf_text(answer, "{}"); /* the file's closing finalises it */
    return code;
}

static mailbus_code_t answer_long(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                                  mailbus_buf_t *answer, mailbus_error_t *error)
{
    static const char piece[1024 * 1024] = "";
    (void)request;
    (void)size;
    (void)now_ms;
    for (size_t i = 0; i <= COMMANDS_ANSWER_MAX / sizeof piece; i++) {
        mailbus_buf_append(answer, piece, sizeof piece);
    }
    return mb_db_exec(db, "INSERT INTO things VALUES('of a long answer',1)", error);
}

static const mailbus_command_t commands[] = {
    {"add", add},       {"remove", drop}, {"list", list},        {"fail", fail_as_asked},
    {"commit", commit}, {"leave", leave}, {"long", answer_long}, {NULL, NULL},
};

const mailbus_subscriber_t things = {
    .name = "things",
    .schema = "CREATE TABLE IF NOT EXISTS things(name TEXT PRIMARY KEY,"
              " size INTEGER NOT NULL CHECK(size >= 0)) STRICT, WITHOUT ROWID;",
    .commands = commands,
};

inbox_t *things_open(const char *path, mb_metrics_t *metrics, mb_log_t *log)
{
    const inbox_options_t options = {
        .path = path, .schema = things.schema, .max_events = 1000, .max_bytes = INT64_MAX};
    inbox_t *inbox = NULL;
    mailbus_error_t error = {0};
    if (inbox_open(&options, metrics, log, mb_clock_wall_ms(), &inbox, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return inbox;
}
