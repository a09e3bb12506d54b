#include "view.h"

#include "command.h"
#include "db_query.h"

mailbus_code_t view_open(sqlite3 *db, int64_t now_ms, view_t *ret_view, mailbus_error_t *error)
{
    view_t view = {.now_ms = now_ms};
    mailbus_code_t code = limits_load(db, &view.limits, error);
    if (code == MAILBUS_OK) {
        code = ledger_lookup_new(db, &view.lookup, error);
    }
    if (code != MAILBUS_OK) {
        limits_free(&view.limits);
        return code;
    }
    *ret_view = view;
    return MAILBUS_OK;
}

void view_close(view_t *view)
{
    ledger_lookup_destroy(&view->lookup);
    limits_free(&view->limits);
}

mailbus_code_t view_judge(const view_t *view, const char *key, machine_verdict_t *ret_verdict,
                          mailbus_error_t *error)
{
    machine_facts_t facts;
    mailbus_code_t code = ledger_facts(view->lookup, key, &facts, error);
    if (code == MAILBUS_OK) {
        machine_judge(&facts, &view->limits.machine, view->now_ms, ret_verdict);
    }
    return code;
}

mailbus_code_t view_row(const view_t *view, sqlite3_stmt *row, const machine_verdict_t *verdict,
                        mailbus_buf_t *out, mailbus_error_t *error)
{
    static const char *const counts[] = {"sent",  "delivered", "soft",     "hard", "sender",
                                         "known", "notice",    "rejected", NULL};
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    fact_kind_t cause = verdict->state == MACHINE_DEAD     ? FACT_HARD
                        : verdict->state == MACHINE_PAUSED ? FACT_SOFT
                                                           : FACT_KINDS;
    mailbus_code_t code = ledger_reason(view->lookup, mb_db_text(row, 0), cause, &reason, error);
    if (code == MAILBUS_OK) {
        mb_command_write_text(out, "address", mb_db_text(row, 1));
        mb_command_write_text(out, "state", machine_state_name(verdict->state));
        mb_command_write_time(out, "since", verdict->since_ms);
        mb_command_write_time(out, "until", verdict->until_ms);
        mb_command_write_text(out, "reason", reason.data);
        mb_command_write_number(out, "counting", verdict->soft);
        for (int i = 0; counts[i] != NULL; i++) {
            mb_command_write_number(out, counts[i], sqlite3_column_int64(row, i + 2));
        }
        mb_command_write_time(out, "first", sqlite3_column_int64(row, 10));
        mb_command_write_time(out, "last", sqlite3_column_int64(row, 11));
    }
    mailbus_buf_free(&reason);
    return code;
}

mailbus_code_t view_history(sqlite3 *db, const char *key, mailbus_buf_t *out,
                            mailbus_error_t *error)
{
    static const char *const names[] = {"what",  "status",  "type",  "sub_type",
                                        "inbox", "message", "event", "reason"};
    sqlite3_stmt *rows = NULL;
    mailbus_code_t code =
        mb_db_query(db,
                    "SELECT time_ms, kind, status, type, sub_type, inbox, message_id, event_id,"
                    " reason FROM history WHERE key = ? ORDER BY time_ms DESC, event_id DESC",
                    (mb_db_value_t[]){MB_TEXT_VALUE(key)}, 1, &rows, error);
    const char *separator = "{";
    while (code == MAILBUS_OK && mb_db_next(rows, &code, error)) {
        mailbus_buf_text(out, separator);
        mb_command_write_time(out, "time", sqlite3_column_int64(rows, 0));
        for (int i = 0; i < 8; i++) {
            mb_command_write_text(out, names[i], mb_db_text(rows, i + 1));
        }
        mailbus_buf_char(out, '}');
        separator = ",{";
    }
    sqlite3_finalize(rows);
    return code;
}
