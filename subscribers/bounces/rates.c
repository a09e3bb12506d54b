#include "rates.h"

#include "db.h"

int64_t rates_basis_points(const rates_counts_t *counts)
{
    return counts->sent == 0 ? -1 : (counts->bounced * 10000 + counts->sent - 1) / counts->sent;
}

rates_level_t rates_judge(const rates_counts_t *counts, const rates_limits_t *limits)
{
    int64_t bounced = counts->bounced * 100;
    if (counts->sent < limits->least_sent) {
        return RATES_FEW;
    }
    return bounced >= counts->sent * limits->limit_percent     ? RATES_OVER
           : bounced >= counts->sent * limits->healthy_percent ? RATES_HIGH
                                                               : RATES_HEALTHY;
}

const char *rates_level_name(rates_level_t level)
{
    static const char *const names[] = {"few", "healthy", "high", "over"};
    return names[level];
}

static mailbus_code_t drop_old(sqlite3 *db, int64_t now_ms, mailbus_error_t *error)
{
    sqlite3_stmt *drop = NULL;
    mailbus_code_t code = mb_db_prepare(db, "DELETE FROM rates WHERE hour < ?1", &drop, error);
    if (code == MAILBUS_OK) {
        sqlite3_bind_int64(drop, 1, (now_ms - RATES_KEEP_MS) / RATES_HOUR_MS);
        code = mb_db_run(drop, error);
    }
    sqlite3_finalize(drop);
    return code;
}

mailbus_code_t rates_add(sqlite3 *db, const char *inbox, int64_t time_ms,
                         const rates_counts_t *counts, int64_t now_ms, mailbus_error_t *error)
{
    sqlite3_stmt *add = NULL;
    mailbus_code_t code =
        mb_db_prepare(db,
                      "INSERT INTO rates (inbox, hour, sent, delivered, bounced, hard, rejected)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (inbox, hour) DO UPDATE SET"
                      " sent = sent + excluded.sent, delivered = delivered + excluded.delivered,"
                      " bounced = bounced + excluded.bounced, hard = hard + excluded.hard,"
                      " rejected = rejected + excluded.rejected",
                      &add, error);
    if (code == MAILBUS_OK) {
        const int64_t numbers[] = {time_ms / RATES_HOUR_MS, counts->sent, counts->delivered,
                                   counts->bounced,         counts->hard, counts->rejected};
        sqlite3_bind_text(add, 1, inbox, -1, SQLITE_STATIC);
        for (int i = 0; i < 6; i++) {
            sqlite3_bind_int64(add, i + 2, numbers[i]);
        }
        code = mb_db_run(add, error);
    }
    sqlite3_finalize(add);
    return code != MAILBUS_OK ? code : drop_old(db, now_ms, error);
}

mailbus_code_t rates_list(sqlite3 *db, int64_t window_ms, int64_t now_ms, const char *after,
                          int64_t limit, rates_visit_fn *visit, void *arg, mailbus_error_t *error)
{
    sqlite3_stmt *query = NULL;
    mailbus_code_t code = mb_db_prepare(
        db,
        "SELECT inbox, sum(sent), sum(delivered), sum(bounced), sum(hard), sum(rejected)"
        " FROM rates WHERE hour > ?1 AND (?2 IS NULL OR inbox > ?2)"
        " GROUP BY inbox ORDER BY inbox LIMIT ?3",
        &query, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_bind_int64(query, 1, (now_ms - window_ms) / RATES_HOUR_MS);
    sqlite3_bind_text(query, 2, after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(query, 3, limit);
    int step = SQLITE_DONE;
    while (code == MAILBUS_OK && (step = sqlite3_step(query)) == SQLITE_ROW) {
        const rates_row_t row = {
            .inbox = (const char *)sqlite3_column_text(query, 0),
            .counts = {.sent = sqlite3_column_int64(query, 1),
                       .delivered = sqlite3_column_int64(query, 2),
                       .bounced = sqlite3_column_int64(query, 3),
                       .hard = sqlite3_column_int64(query, 4),
                       .rejected = sqlite3_column_int64(query, 5)},
        };
        code = visit(arg, &row, error);
    }
    if (code == MAILBUS_OK && step != SQLITE_DONE) {
        code = mb_db_fail(db, error, "reading the rates");
    }
    sqlite3_finalize(query);
    return code;
}
