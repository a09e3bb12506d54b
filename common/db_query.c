#include "db_query.h"

mailbus_code_t mb_db_query(sqlite3 *db, const char *sql, const mb_db_value_t *values, size_t count,
                           sqlite3_stmt **ret_stmt, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_prepare(db, sql, &stmt, error);
    for (size_t i = 0; i < count && code == MAILBUS_OK; i++) {
        int at = (int)i + 1;
        int rc = values[i].is_number
                     ? sqlite3_bind_int64(stmt, at, values[i].number)
                     : sqlite3_bind_text(stmt, at, values[i].text, -1, SQLITE_STATIC);
        if (rc != SQLITE_OK) {
            code = mb_db_fail(db, error, "the database");
        }
    }
    if (code != MAILBUS_OK) {
        sqlite3_finalize(stmt);
        return code;
    }
    *ret_stmt = stmt;
    return MAILBUS_OK;
}

bool mb_db_next(sqlite3_stmt *stmt, mailbus_code_t *code_p, mailbus_error_t *error)
{
    int step = sqlite3_step(stmt);
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        *code_p = mb_db_fail(sqlite3_db_handle(stmt), error, "the database");
    }
    return step == SQLITE_ROW;
}

mailbus_code_t mb_db_change(sqlite3 *db, const char *sql, const mb_db_value_t *values, size_t count,
                            mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(db, sql, values, count, &stmt, error);
    if (code == MAILBUS_OK) {
        code = mb_db_run(stmt, error);
    }
    sqlite3_finalize(stmt);
    return code;
}

mailbus_code_t mb_db_numbers(sqlite3 *db, const char *sql, const mb_db_value_t *values,
                             size_t count, int64_t *ret_numbers, int columns,
                             mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(db, sql, values, count, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mb_db_next(stmt, &code, error)) {
        for (int i = 0; i < columns; i++) {
            ret_numbers[i] = sqlite3_column_int64(stmt, i);
        }
    } else if (code == MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "no row");
    }
    sqlite3_finalize(stmt);
    return code;
}

const char *mb_db_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}
