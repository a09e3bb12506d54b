/* Rows of JSON objects as a table for people, JSON lines, or CSV (RFC 4180).
 *
 * Everything is hostile. In tables and CSV a cell is one line without control characters; in JSON
 * what a terminal could act on is escaped. In CSV a cell that a spreadsheet would take for a
 * formula is disarmed (csv.h). */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "mailbus/error.h"

typedef struct {
    const char *key;   /* of the row object; NULL ends the columns */
    const char *title; /* "ADDRESS" */
    int width;         /* most characters in a table; 0: as long as it is, for the last column */
} table_column_t;

typedef enum { TABLE_TEXT, TABLE_JSON, TABLE_CSV } table_format_t;

enum { TABLE_COLUMNS_MAX = 32 };

typedef struct table table_t;

/* Nothing is printed yet. `columns` (at most TABLE_COLUMNS_MAX) and `out` are lent. */
MAILBUS_MUST_USE mailbus_code_t table_new(const table_column_t *columns, table_format_t format,
                                          FILE *out, table_t **ret_self, mailbus_error_t *error);
void table_destroy(table_t **self_p); /* takes NULL */

/* Print an array of row objects; the first call prints the head before them, and makes the columns
 * of a table as wide as these rows need, within `width` columns of a terminal. What is longer is
 * cut with "…". Values that are no strings are printed as JSON, null and absent ones as "". A table
 * shows times (RFC 3339) as "2026-10-12 09:31:04Z"; JSON lines are the rows as they came. */
void table_rows(table_t *self, const cJSON *rows);
/* One object alone, for "show": in a table a line for each column, with its title in front; else as
 * a table of one row. */
void table_object(table_t *self, const cJSON *object);

#endif
