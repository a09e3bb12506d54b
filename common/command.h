/* What the commands of subscribers (mailbus_command_t) have in common: they read a JSON object and
 * answer one, lists as {"rows":[{…}],"next":…}. */
#ifndef MB_COMMAND_H
#define MB_COMMAND_H

#include <cjson/cJSON.h>
#include <sqlite3.h>

#include "mailbus/buf.h"

/* --- the request: null is the same as nothing. EINVAL names the member. --- */

/* The text under `key`, lent; NULL where there is none. */
MAILBUS_MUST_USE mailbus_code_t mb_command_text(const cJSON *request, const char *key,
                                                const char **ret_text, mailbus_error_t *error);

#define MB_COMMAND_NUMBER_MAX (INT64_C(1) << 53) /* every JSON reader is exact up to here */

typedef struct {
    int64_t least, most;
    int64_t otherwise; /* where there is none; need not lie between them */
} mb_command_bounds_t;

/* The whole number under `key`. */
MAILBUS_MUST_USE mailbus_code_t mb_command_number(const cJSON *request, const char *key,
                                                  mb_command_bounds_t bounds, int64_t *ret_number,
                                                  mailbus_error_t *error);

/* A command that gets its request read. */
typedef mailbus_code_t(mb_command_fn)(sqlite3 *db, const cJSON *request, int64_t now_ms,
                                      mailbus_buf_t *answer, mailbus_error_t *error);
/* Read the request strictly (mailbus_json_parse_object) and run the command. */
MAILBUS_MUST_USE mailbus_code_t mb_command_run(mb_command_fn *command, sqlite3 *db,
                                               const char *request, size_t size, int64_t now_ms,
                                               mailbus_buf_t *answer, mailbus_error_t *error);
/* run_NAME, for a table of mailbus_command_t, out of an mb_command_fn NAME. */
#define MB_COMMAND(name)                                                                           \
    static mailbus_code_t run_##name(sqlite3 *db, const char *request, size_t size,                \
                                     int64_t now_ms, mailbus_buf_t *answer,                        \
                                     mailbus_error_t *error)                                       \
    {                                                                                              \
        return mb_command_run(name, db, request, size, now_ms, answer, error);                     \
    }

/* --- the answer, as a tree --- */

/* Append the tree and delete it; NULL: there was no memory for it. ENOMEM; ETOOBIG where `answer`
 * takes no more. */
MAILBUS_MUST_USE mailbus_code_t mb_command_answer(cJSON **tree_p, mailbus_buf_t *answer,
                                                  mailbus_error_t *error);

/* --- the answer, without one: `"key":value`, behind a comma where something stands before it in
 * the object. What fails is kept in the buffer. --- */

/* NULL: null */
void mb_command_write_text(mailbus_buf_t *answer, const char *key, const char *text);
void mb_command_write_number(mailbus_buf_t *answer, const char *key, int64_t number);
/* RFC 3339; 0, never: null */
void mb_command_write_time(mailbus_buf_t *answer, const char *key, int64_t time_ms);

#endif
