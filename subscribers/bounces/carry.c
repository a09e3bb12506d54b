#include "carry.h"

#include "db_query.h"
#include "ledger.h"
#include "limits.h"

/* The columns of a row of `old` into a statement on `db`, for each row. */
static mailbus_code_t copy(sqlite3 *old, const char *from_sql, sqlite3 *db, const char *to_sql,
                           mailbus_error_t *error)
{
    sqlite3_stmt *from = NULL;
    sqlite3_stmt *to = NULL;
    mailbus_code_t code = mb_db_query(old, from_sql, NULL, 0, &from, error);
    if (code == MAILBUS_OK) {
        code = mb_db_query(db, to_sql, NULL, 0, &to, error);
    }
    while (code == MAILBUS_OK && mb_db_next(from, &code, error)) {
        for (int i = 0; i < sqlite3_column_count(from); i++) {
            sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
        }
        code = mb_db_run(to, error);
    }
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    return code;
}

static mailbus_code_t carry_addresses(sqlite3 *db, sqlite3 *old, mailbus_error_t *error)
{
    return copy(old,
                "SELECT key, shown, sent, delivered, first_ms, last_ms, last_id, delivered_ms"
                " FROM addresses",
                db,
                "INSERT INTO addresses (key, shown, sent, delivered, first_ms, last_ms, last_id,"
                " delivered_ms, soft, hard, sender, known, notice, rejected)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0, 0, 0, 0)"
                " ON CONFLICT (key) DO UPDATE SET sent = max(sent, excluded.sent),"
                " delivered = max(delivered, excluded.delivered),"
                " first_ms = min(first_ms, excluded.first_ms),"
                " shown = iif((excluded.last_ms, excluded.last_id) > (last_ms, last_id),"
                " excluded.shown, shown),"
                " last_id = iif((excluded.last_ms, excluded.last_id) > (last_ms, last_id),"
                " excluded.last_id, last_id),"
                " last_ms = max(last_ms, excluded.last_ms),"
                " delivered_ms = max(delivered_ms, excluded.delivered_ms)",
                error);
}

/* Bounces are what the present settings say they are. */
static fact_kind_t kind_now(const limits_t *limits, const ledger_row_t *row)
{
    return row->kind == FACT_REJECTED || row->kind == FACT_CLEARED
               ? row->kind
               : classify_bounce(&limits->rules, row->type, row->sub_type, row->status);
}

static mailbus_code_t carry_history(sqlite3 *db, sqlite3 *old, const limits_t *limits,
                                    mailbus_error_t *error)
{
    ledger_writer_t *writer = NULL;
    sqlite3_stmt *from = NULL;
    /* The newest first: what is older than all that is kept is then passed over at once. */
    mailbus_code_t code = mb_db_query(old,
                                      "SELECT key, event_id, kind, time_ms, type, sub_type, status,"
                                      " inbox, message_id, reason FROM history"
                                      " ORDER BY key, time_ms DESC, event_id DESC",
                                      NULL, 0, &from, error);
    if (code == MAILBUS_OK) {
        code = ledger_writer_new(db, &writer, error);
    }
    while (code == MAILBUS_OK && mb_db_next(from, &code, error)) {
        ledger_row_t row = {
            .key = mb_db_text(from, 0),
            .event_id = mb_db_text(from, 1),
            .kind = fact_of(mb_db_text(from, 2)),
            .time_ms = sqlite3_column_int64(from, 3),
            .type = mb_db_text(from, 4),
            .sub_type = mb_db_text(from, 5),
            .status = mb_db_text(from, 6),
            .inbox = mb_db_text(from, 7),
            .message_id = mb_db_text(from, 8),
            .reason = mb_db_text(from, 9),
        };
        row.kind = kind_now(limits, &row);
        code = ledger_carry_row(writer, &row, error);
    }
    ledger_writer_destroy(&writer);
    sqlite3_finalize(from);
    return code;
}

/* Hours that the journal has only the end of have the larger sums. */
static mailbus_code_t carry_rates(sqlite3 *db, sqlite3 *old, mailbus_error_t *error)
{
    mailbus_code_t code = mb_db_exec(
        db, "CREATE TEMP TABLE began AS SELECT coalesce(min(hour), 9e18) AS hour FROM rates",
        error);
    if (code == MAILBUS_OK) {
        code =
            copy(old, "SELECT inbox, hour, sent, delivered, bounced, hard, rejected FROM rates", db,
                 "INSERT INTO rates (inbox, hour, sent, delivered, bounced, hard, rejected)"
                 " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ?2 <= (SELECT hour FROM began)"
                 " ON CONFLICT (inbox, hour) DO UPDATE SET sent = max(sent, excluded.sent),"
                 " delivered = max(delivered, excluded.delivered),"
                 " bounced = max(bounced, excluded.bounced), hard = max(hard, excluded.hard),"
                 " rejected = max(rejected, excluded.rejected)",
                 error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_exec(db, "DROP TABLE began", error);
    }
    return code;
}

mailbus_code_t carry_over(sqlite3 *db, sqlite3 *old, int64_t now_ms, mailbus_error_t *error)
{
    limits_t limits = LIMITS_INIT;
    (void)now_ms;
    mailbus_code_t code = limits_load(db, &limits, error);
    if (code == MAILBUS_OK) {
        code = carry_addresses(db, old, error);
    }
    if (code == MAILBUS_OK) {
        code = carry_history(db, old, &limits, error);
    }
    if (code == MAILBUS_OK) {
        code = carry_rates(db, old, error);
    }
    limits_free(&limits);
    return code;
}
