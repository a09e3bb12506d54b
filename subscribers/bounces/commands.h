/* What people ask: list, show, clear, rates. README.md says what they answer. */
#ifndef BOUNCES_COMMANDS_H
#define BOUNCES_COMMANDS_H

#include <cjson/cJSON.h>

#include "mailbus/subscriber.h"

extern const mailbus_command_t bounces_commands[]; /* ends with a NULL name */

/* One of them, with its request read. */
typedef mailbus_code_t(command_fn)(sqlite3 *db, const cJSON *request, int64_t now_ms,
                                   mailbus_buf_t *answer, mailbus_error_t *error);
command_fn bounces_rates; /* commands_rates.c */

#endif
