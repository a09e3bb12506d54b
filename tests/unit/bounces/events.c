#include "events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "view.h"

int events_open(void **state)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        mb_db_exec(db, ledger_schema, NULL) != MAILBUS_OK ||
        mb_db_exec(db, ledger_schema, NULL) != MAILBUS_OK) { /* at every start */
        return -1;
    }
    *state = db;
    return 0;
}

int events_close(void **state)
{
    return sqlite3_close(*state) == SQLITE_OK ? 0 : -1;
}

static void put(mailbus_buf_t *body, const char *key, const char *text)
{
    if (text != NULL) {
        mailbus_buf_printf(body, "\"%s\":", key);
        mailbus_json_write_string(body, text, strlen(text));
        mailbus_buf_char(body, ',');
    }
}

mailbus_code_t events_report(const events_t *event, report_t **ret_report, mailbus_error_t *error)
{
    char time[MAILBUS_TIME_SIZE];
    char recorded[MAILBUS_TIME_SIZE];
    limits_t limits = LIMITS_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    mailbus_time_format(event->time_ms, time);
    mailbus_time_format(event->recorded_ms != 0 ? event->recorded_ms : MONDAY + 100 * DAY,
                        recorded);
    mailbus_buf_printf(&body, "{\"type\":\"event\",\"%s\":{",
                       event->body_key != NULL ? event->body_key : "bounce");
    put(&body, "inbox_id", event->inbox);
    put(&body, "message_id", event->message_id);
    put(&body, "timestamp", event->time_ms != 0 ? time : event->timestamp);
    put(&body, "type", event->type);
    put(&body, "sub_type", event->sub_type);
    put(&body, "reason", event->reason);
    mailbus_buf_printf(&body, "\"recipients\":%s}}",
                       event->recipients != NULL ? event->recipients : "[]");
    const mailbus_event_t wire = {
        .topic = event->topic != NULL ? event->topic : "message.bounced",
        .id = event->id != NULL ? event->id : "evt",
        .source = "/agentmail",
        .time = recorded,
        .recorded_time = recorded,
        .body = body.data,
        .body_size = body.size,
    };
    for (const limits_row_t *row = limits_rows; row->key != NULL; row++) {
        if (row->text != NULL) {
            *limits_text(&limits, row) = strdup(row->text);
        } else {
            *limits_number(&limits, row) = row->number;
        }
    }
    assert_int_equal(limits_check(&limits, NULL), MAILBUS_OK);
    mailbus_code_t code = report_read(&wire, &limits.rules, ret_report, error);
    limits_free(&limits);
    mailbus_buf_free(&body);
    return code;
}

void events_add(sqlite3 *db, const events_t *event)
{
    report_t *report = NULL;
    mailbus_error_t error = {0};
    if (events_report(event, &report, &error) != MAILBUS_OK ||
        ledger_add(db, report, MONDAY + 20 * DAY, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    report_free(&report);
}

void events_bounce(sqlite3 *db, const char *id, const char *address, const char *type,
                   const char *status, int64_t time_ms)
{
    char recipients[600];
    snprintf(recipients, sizeof recipients, "[{\"address\":\"%s\",\"status\":\"%s\"}]", address,
             status);
    events_add(db, &(events_t){.id = id,
                               .inbox = "help@agentmail.to",
                               .message_id = "<m@x>",
                               .type = type,
                               .sub_type = "General",
                               .recipients = recipients,
                               .time_ms = time_ms});
}

static void add_plain(sqlite3 *db, const char *id, const char *body_key, const char *address,
                      int64_t time_ms)
{
    char recipients[600];
    snprintf(recipients, sizeof recipients, "[\"%s\"]", address);
    events_add(db, &(events_t){.id = id,
                               .body_key = body_key,
                               .inbox = "help@agentmail.to",
                               .recipients = recipients,
                               .time_ms = time_ms});
}

void events_sent(sqlite3 *db, const char *id, const char *address, int64_t time_ms)
{
    add_plain(db, id, "send", address, time_ms);
}

void events_delivered(sqlite3 *db, const char *id, const char *address, int64_t time_ms)
{
    add_plain(db, id, "delivery", address, time_ms);
}

machine_verdict_t events_judge(sqlite3 *db, const char *key, int64_t now_ms)
{
    view_t view;
    machine_verdict_t verdict;
    assert_int_equal(view_open(db, now_ms, &view, NULL), MAILBUS_OK);
    assert_int_equal(view_judge(&view, key, &verdict, NULL), MAILBUS_OK);
    view_close(&view);
    return verdict;
}

char *events_dump(sqlite3 *db)
{
    static const char *const queries[] = {
        "SELECT * FROM addresses ORDER BY key", "SELECT * FROM history ORDER BY key, event_id",
        "SELECT * FROM rates ORDER BY inbox, hour", "SELECT * FROM settings ORDER BY key"};
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        sqlite3_stmt *rows = NULL;
        assert_int_equal(mb_db_prepare(db, queries[i], &rows, NULL), MAILBUS_OK);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(rows); c++) {
                const char *text = (const char *)sqlite3_column_text(rows, c);
                mailbus_buf_printf(&out, "%s|", text != NULL ? text : "NULL");
            }
            mailbus_buf_char(&out, '\n');
        }
        sqlite3_finalize(rows);
    }
    assert_false(out.failed);
    mailbus_buf_text(&out, "");
    return mailbus_buf_take(&out, NULL);
}

int64_t events_number(sqlite3 *db, const char *sql)
{
    int64_t number = 0;
    mailbus_error_t error = {0};
    if (mb_db_integer(db, sql, &number, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", sql, error.text);
    }
    return number;
}
