/* A rebuild's last step: what the journal no longer keeps, and what people did. */
#ifndef BOUNCES_CARRY_H
#define BOUNCES_CARRY_H

#include <sqlite3.h>
#include <stdint.h>

#include "mailbus/error.h"

/* `db` holds what the journal gave, under the present settings; `old` what was known before. Goes
 * into `db`, in a transaction of the caller's:
 * - every clearing;
 * - every line of the old history whose event the journal did not give, sorted anew by the present
 *   settings, and counted;
 * - of sent and delivered mails the larger sum, for they have no lines;
 * - first, last and delivered as the outermost of both;
 * - the hourly sums from before the first hour that the journal still has. */
MAILBUS_MUST_USE mailbus_code_t carry_over(sqlite3 *db, sqlite3 *old, int64_t now_ms,
                                           mailbus_error_t *error);

#endif
