/* What the request of a command says. EINVAL names the member that is wrong. */
#ifndef BOUNCES_REQUEST_H
#define BOUNCES_REQUEST_H

#include <cjson/cJSON.h>

#include "mailbus/buf.h"

/* The text under `key`, lent; NULL where there is none, or an empty one. */
MAILBUS_MUST_USE mailbus_code_t request_text(const cJSON *request, const char *key,
                                             const char **ret_text, mailbus_error_t *error);
/* "limit", within bounds; a default where it is not there. */
MAILBUS_MUST_USE mailbus_code_t request_limit(const cJSON *request, int64_t *ret_limit,
                                              mailbus_error_t *error);
/* The key (agentmail_address_key) of the one address under "address"; to be freed. */
MAILBUS_MUST_USE mailbus_code_t request_address(const cJSON *request, char **ret_key,
                                                mailbus_error_t *error);

#endif
