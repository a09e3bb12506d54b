/* "May I send to it?", answered from the file alone. Who can't read the list says neither yes nor
 * no. One thread at a time. */
#ifndef SUPPRESSION_LISTED_H
#define SUPPRESSION_LISTED_H

#include <stddef.h>

#include "mailbus/error.h"

typedef struct listed listed_t;

/* The file at `path`, as it is now: one that takes its place later is not read. */
MAILBUS_MUST_USE mailbus_code_t listed_new(const char *path, listed_t **ret_self,
                                           mailbus_error_t *error);
void listed_destroy(listed_t **self_p); /* takes NULL */

typedef enum {
    LISTED_NOT,    /* it is not on the list */
    LISTED,        /* it is: `reason` says by which entry and why, one line */
    LISTED_SILENT, /* the list can't be read: `error` says why */
} listed_verdict_t;

/* `address`: one mailbox, checked and unquoted. It is suppressed by its own entry, its domain's, or
 * one for the domains below one that its domain is below. */
listed_verdict_t listed_ask(listed_t *self, const char *address, char *reason, size_t size,
                            mailbus_error_t *error);

#endif
