/* Rows of JSON objects as a table for people, JSON lines, or CSV (RFC 4180). Everything is hostile:
 * one line, no control characters, on terminals; in CSV a cell that a spreadsheet would take for a
 * formula is disarmed. */
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

/* Header of a table or CSV; nothing for JSON. */
void table_head(const table_column_t *columns, table_format_t format, FILE *out);
/* One row; values that are no strings are printed as JSON, null and absent ones as "". */
void table_row(const cJSON *row, const table_column_t *columns, table_format_t format, FILE *out);

#endif
