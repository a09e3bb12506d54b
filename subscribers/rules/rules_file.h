/* Text files that settings and rules name. */
#ifndef RULES_FILE_H
#define RULES_FILE_H

#include "mailbus/error.h"

/* The whole of a text file of at most TEMPLATE_MAX bytes. ENOTFOUND, EIO, ETOOBIG, EINVAL (a NUL in
 * it), each with the path. Free it. */
MAILBUS_MUST_USE mailbus_code_t rules_file_read(const char *path, char **ret_text,
                                                mailbus_error_t *error);
/* The same for a name that is relative to `folder`. */
MAILBUS_MUST_USE mailbus_code_t rules_file_beside(const char *folder, const char *name,
                                                  char **ret_text, mailbus_error_t *error);

#endif
