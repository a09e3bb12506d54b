/* SQL with values: what a program's own tables are read and written with. */
#ifndef MB_DB_QUERY_H
#define MB_DB_QUERY_H

#include <stddef.h>

#include "db.h"

/* One value of a statement; a NULL text is SQL's NULL. */
typedef struct {
    const char *text;
    int64_t number;
    bool is_number;
} mb_db_value_t;

#define MB_TEXT_VALUE(value)   ((mb_db_value_t){.text = (value)})
#define MB_NUMBER_VALUE(value) ((mb_db_value_t){.number = (value), .is_number = true})

/* Prepare and bind; the values' texts must live as long as the statement. sqlite3_finalize it. */
MAILBUS_MUST_USE mailbus_code_t mb_db_query(sqlite3 *db, const char *sql,
                                            const mb_db_value_t *values, size_t count,
                                            sqlite3_stmt **ret_stmt, mailbus_error_t *error);
/* True with the next row, false at the end; a failure is false too, with *code_p set. */
bool mb_db_next(sqlite3_stmt *stmt, mailbus_code_t *code_p, mailbus_error_t *error);
/* Run a statement that gives no row. */
MAILBUS_MUST_USE mailbus_code_t mb_db_change(sqlite3 *db, const char *sql,
                                             const mb_db_value_t *values, size_t count,
                                             mailbus_error_t *error);
/* The integers of the one row that `sql` gives (NULL is 0); ENOTFOUND where there is none. */
MAILBUS_MUST_USE mailbus_code_t mb_db_numbers(sqlite3 *db, const char *sql,
                                              const mb_db_value_t *values, size_t count,
                                              int64_t *ret_numbers, int columns,
                                              mailbus_error_t *error);
/* A column's text, lent until the next step; NULL for SQL's NULL. */
const char *mb_db_text(sqlite3_stmt *stmt, int column);

#endif
