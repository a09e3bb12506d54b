/* CSV, as RFC 4180 and the programs that write it have it: fields between commas, quotes around
 * what holds a comma, a quote (doubled) or a line break; CRLF or LF; UTF-8 with or without a byte
 * order mark. Bounded, and strict: what two readers could see differently is refused by its line.
 *
 * Formulas: a spreadsheet runs a cell that begins with = + - @ or a tab or CR (OWASP, "CSV
 * Injection"). Written, such a cell gets an apostrophe in front, and so does one that has
 * apostrophes before such a character; read, that one apostrophe is taken away again. What was
 * written here comes back as it was. */
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include <stdbool.h>
#include <stdio.h>

#include "mailbus/buf.h"

/* A record is one person or address with what is known of it: more is no such file. */
enum { CSV_FIELDS_MAX = 64, CSV_RECORD_MAX = 64 * 1024 };

typedef struct csv csv_t;

/* `in` is lent; reading begins where it stands. */
MAILBUS_MUST_USE mailbus_code_t csv_new(FILE *in, csv_t **ret_self, mailbus_error_t *error);
void csv_destroy(csv_t **self_p); /* takes NULL */

/* The next record; *ret_read is false at the end. Empty lines are passed over. EINVAL with the
 * line's number: a quote out of place or without its end, text behind one, a NUL, no UTF-8, another
 * number of fields than the header has; the next call goes on with the next line. ETOOBIG beyond
 * the limits; EIO. */
MAILBUS_MUST_USE mailbus_code_t csv_read(csv_t *self, bool *ret_read, mailbus_error_t *error);
/* The record that was read last is the header. EINVAL where a name stands there twice, or is empty.
 */
MAILBUS_MUST_USE mailbus_code_t csv_take_header(csv_t *self, mailbus_error_t *error);
/* The header's column of that name, whatever its case and the blanks around it; -1: none. */
int csv_column(const csv_t *self, const char *name);

size_t csv_count(const csv_t *self); /* fields of the record */
/* One of its fields, lent until the next csv_read; "" beyond the last and for -1. */
const char *csv_field(const csv_t *self, int column);
/* The line that the record begins at, from 1. */
size_t csv_line(const csv_t *self);

/* Append one field, quoted where it must be. `disarm`: see above. */
void csv_write_field(const char *text, bool disarm, mailbus_buf_t *out);

#endif
