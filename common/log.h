/* Log lines, key=value or JSON, one a write(2), to a descriptor (standard error).
 *
 * A line about an event carries id, topic, sequence and stage, so that one grep follows it.
 * Programs log; library code returns errors. Values are escaped: nothing from a mail breaks a line
 * or a terminal. */
#ifndef MB_LOG_H
#define MB_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbus/error.h"

typedef enum { MB_DEBUG, MB_INFO, MB_WARN, MB_ERROR } mb_log_level_t;
typedef enum { MB_LOG_TEXT, MB_LOG_JSON } mb_log_format_t;

typedef struct mb_log mb_log_t;

/* One field of a line. Build them with the macros below. A NULL string is left out. */
typedef struct {
    const char *key;
    const char *text; /* where it is not NULL the value is text, else number */
    uint64_t number;
    bool is_number;
    bool is_negative; /* number is the magnitude */
} mb_field_t;

mb_field_t mb_field_int(const char *key, int64_t number);
#define MB_S(k, v) ((mb_field_t){.key = (k), .text = (v)})
#define MB_U(k, v) ((mb_field_t){.key = (k), .number = (uint64_t)(v), .is_number = true})
#define MB_I(k, v) (mb_field_int((k), (int64_t)(v)))

/* program: the name in every line, lent for the log's life. Thread-safe to use; one owner destroys.
 */
mb_log_t *mb_log_new(const char *program, int fd);
void mb_log_destroy(mb_log_t **self_p);
void mb_log_configure(mb_log_t *self, mb_log_level_t least, mb_log_format_t format);

/* Write "time level program stage message key=value …". `self` NULL: nothing. The fields end with a
 * NULL key; use the macro. */
void mb_log_write(mb_log_t *self, mb_log_level_t level, const char *stage, const char *message,
                  const mb_field_t *fields);
#define mb_log(self, level, stage, message, ...)                                                   \
    mb_log_write((self), (level), (stage), (message),                                              \
                 (const mb_field_t[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})

/* "debug", "info", "warn", "error" / "text", "json". EINVAL for anything else. */
MAILBUS_MUST_USE mailbus_code_t mb_log_level_parse(const char *text, mb_log_level_t *ret_level);
MAILBUS_MUST_USE mailbus_code_t mb_log_format_parse(const char *text, mb_log_format_t *ret_format);

#endif
