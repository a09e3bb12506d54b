/* A text as a file in a folder of the operator's, once, and whole or not at all.
 *
 * 1. It is written beside its place under a name that begins with a dot, and is on disk.
 * 2. The caller notes that.
 * 3. It gets its name.
 *
 * Who takes files away from the folder gets each once: after a crash between 2 and 3 it is looked
 * for under its first name, and where it is not there it had its own already. */
#ifndef EXTRACT_OUTPUT_FILE_H
#define EXTRACT_OUTPUT_FILE_H

#include <stddef.h>

#include "mailbus/error.h"

#define OUTPUT_FILE_NAME_MAX 160 /* bytes of a name with its NUL */

/* "<event>-<place>-<begin of the sha256>.txt". Nothing in it is out of the mail; an event id that
 * holds more than letters, digits and . _ -, or that begins with a dot, or that is long, is hashed.
 */
void output_file_name(const char *event_id, int place, const char *sha256,
                      char name[OUTPUT_FILE_NAME_MAX]);

/* ENOTFOUND: there is no such folder; EFULL: the disk; EACCESS; EIO. */
MAILBUS_MUST_USE mailbus_code_t output_file_write(const char *folder, const char *name,
                                                  const void *data, size_t size,
                                                  mailbus_error_t *error);
/* OK also where it has its name already, and somebody took it away since. */
MAILBUS_MUST_USE mailbus_code_t output_file_place(const char *folder, const char *name,
                                                  mailbus_error_t *error);

#endif
