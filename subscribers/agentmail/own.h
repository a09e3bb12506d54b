/* The addresses that are ours: what we never answer to, and where a mail must have been sent. */
#ifndef AGENTMAIL_OWN_H
#define AGENTMAIL_OWN_H

#include "agentmail/address.h"

typedef struct {
    char **patterns; /* "a@b" or "*@b" */
    size_t count;
} own_t;

#define OWN_INIT                                                                                   \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* Blank- or comma-separated addresses, or `*@domain` for a whole domain. EINVAL names the first one
 * that is neither. */
MAILBUS_MUST_USE mailbus_code_t own_parse(const char *text, own_t *ret_own, mailbus_error_t *error);
void own_free(own_t *own);
bool own_has(const own_t *own, const char *address);

#endif
