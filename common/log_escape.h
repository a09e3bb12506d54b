/* Making any bytes fit to stand in a log line: used by log.c alone. */
#ifndef MB_LOG_ESCAPE_H
#define MB_LOG_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* A line of fixed room. What does not fit sets `full` and is left out whole. */
typedef struct {
    char *data;
    size_t size;
    size_t capacity;
    bool full;
} mb_line_t;

void mb_line_bytes(mb_line_t *line, const char *data, size_t size);
void mb_line_text(mb_line_t *line, const char *text);

#define MB_LOG_CUT "…" /* stands where a value was cut */

/* True where a logfmt value can't stand bare: empty, blanks, quotes, =, backslash, anything beyond
 * printable ASCII. */
bool mb_log_needs_quotes(const char *text, size_t size);
/* Append `text` as the inside of a JSON string that also does nothing to a terminal: control
 * characters (C0, DEL, C1), invisible ones that turn the direction of writing, and line separators
 * become \uXXXX; bytes that are no UTF-8 become \\xHH, a backslash and the hex digits to a JSON
 * reader. At most about `most` bytes of it, then MB_LOG_CUT. */
void mb_log_escape(const char *text, size_t size, size_t most, mb_line_t *line);

#endif
