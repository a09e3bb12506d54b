/* What people ask of the tables: mailbus extract list, show, search, and history of the replies.
 *
 *   list    {"status"?, "after"?, "limit"?}   files, newest first; status "waiting": no bytes yet
 *   search  {"words": [TEXT, …], "after"?, "limit"?}   texts that hold all of them, newest first:
 *           each a word, or several in that order; a star behind it: words that begin so
 *   show    {"file": NUMBER} or {"sha256": HEX}   one file with all that is known of it, and its
 *           text; of a beginning of a digest the newest file */
#ifndef EXTRACT_ARCHIVE_COMMANDS_H
#define EXTRACT_ARCHIVE_COMMANDS_H

#include <cjson/cJSON.h>

#include "mailbus/subscriber.h"

extern const mailbus_command_t archive_commands[]; /* ends with a NULL name */

#define ARCHIVE_ROWS_MAX  1000 /* of one answer */
#define ARCHIVE_WORDS_MAX 32   /* of one search */

/* The tables of this program, those of its replies too; freed by the caller. NULL: no memory. */
char *archive_schema(void);

/* Append the FTS5 query that `words` (JSON array of strings) means: everything in them is text, so
 * that nothing is an operator. EINVAL where there is none. For the tests. */
MAILBUS_MUST_USE mailbus_code_t archive_match(const cJSON *words, mailbus_buf_t *out,
                                              mailbus_error_t *error);

#endif
