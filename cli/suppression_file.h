/* A file of suppressed addresses, as `mailbus suppression export`, Mailgun and Amazon SES write it,
 * read into rows for the subscriber's `import`.
 *
 *   ours       address, reason, first, last, count, ambiguous, event_id, message_id, note
 *   Mailgun    bounces: address, code, error, created_at; complaints: address, created_at;
 *              unsubscribes: address, tags (or tag), created_at
 *   SES        EmailAddress, Reason, LastUpdateTime; its import form without a header:
 *              address,BOUNCE
 *
 * Names of columns are compared without case, blanks, "_" and "-". Or one JSON object a line with
 * these names. Times: RFC 3339, RFC 5322 ("Mon, 06 May 2024 18:11:58 UTC"), seconds since 1970. */
#ifndef CLI_SUPPRESSION_FILE_H
#define CLI_SUPPRESSION_FILE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "mailbus/buf.h"

typedef struct suppression_file suppression_file_t;

/* `in` is lent. `as` is the reason of rows that name none; "": as the columns say (code or error:
 * bounce; tags: unsubscribe; created_at: complaint). */
MAILBUS_MUST_USE mailbus_code_t suppression_file_new(FILE *in, bool json, const char *as,
                                                     suppression_file_t **ret_self,
                                                     mailbus_error_t *error);
void suppression_file_destroy(suppression_file_t **self_p); /* takes NULL */

/* The next row, to be deleted: {"line","address","reason",…}, only what is known; *ret_row is NULL
 * at the end. EINVAL: this row is bad (`error` says why, suppression_file_line where); go on. Other
 * errors end it: ENOTFOUND where the file is none of the above. */
MAILBUS_MUST_USE mailbus_code_t suppression_file_next(suppression_file_t *self, cJSON **ret_row,
                                                      mailbus_error_t *error);
size_t suppression_file_line(const suppression_file_t *self);
/* What is to be said about the whole file once its first row was read: columns that are ignored,
 * the reason that was assumed. One line, "" where there is nothing. */
const char *suppression_file_note(const suppression_file_t *self);

/* A time as a file may have it, as RFC 3339 in `text`; false where it is none. */
bool suppression_file_time(const char *value, char *text, size_t size);

#endif
