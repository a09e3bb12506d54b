/* Answers of commands: JSON objects, written member by member. */
#ifndef BOUNCES_ROW_H
#define BOUNCES_ROW_H

#include "mailbus/buf.h"

/* Append `"key":value`, after a comma where something stands before it in the object. */
void row_text(mailbus_buf_t *out, const char *key, const char *text); /* NULL: null */
void row_number(mailbus_buf_t *out, const char *key, int64_t number);
void row_time(mailbus_buf_t *out, const char *key, int64_t time_ms); /* RFC 3339; 0: null */

#endif
