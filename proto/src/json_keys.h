/* The keys of an object, looked at all together. Not a public header. */
#ifndef JSON_KEYS_H
#define JSON_KEYS_H

#include "mailbus/json.h"

/* OK where `object` has at most `most` keys and all are different. ETOOBIG, EINVAL, ENOMEM. `what`
 * names the object in the error's text. */
MAILBUS_MUST_USE mailbus_code_t proto_json_keys_check(const cJSON *object, size_t most,
                                                      const char *what, mailbus_error_t *error);

#endif
