/* JSON read strictly and written without a tree.
 *
 * cJSON alone takes trailing garbage, invalid UTF-8, raw control characters, and cuts strings at
 * \u0000 (RFC 8259 allows none of these but the last, which no field of ours may hold). These
 * functions refuse all of that, so that what two readers see in one document is the same. */
#ifndef MAILBUS_JSON_H
#define MAILBUS_JSON_H

#include <cjson/cJSON.h>

#include "mailbus/buf.h"

/* Parse one JSON document that fills `data`: RFC 8259's grammar to the letter, valid UTF-8, no raw
 * control character but white space between tokens, no \u0000 escape, no lone surrogate, nothing
 * behind it, nesting at most MAILBUS_JSON_MAX_DEPTH. The tree is the caller's: cJSON_Delete.
 * EINVAL with the byte's offset and what is wrong there; ENOMEM. */
#define MAILBUS_JSON_MAX_DEPTH 64
MAILBUS_MUST_USE mailbus_code_t mailbus_json_parse(const char *data, size_t size, cJSON **ret_tree,
                                                   mailbus_error_t *error);

/* As mailbus_json_parse, and the document must be an object whose own keys are all different
 * (the first or the last winning is how two readers come to disagree). ETOOBIG beyond 1000 keys. */
MAILBUS_MUST_USE mailbus_code_t mailbus_json_parse_object(const char *data, size_t size,
                                                          cJSON **ret_tree, mailbus_error_t *error);

/* The string under `key` (case-sensitive), or NULL where there is none or it is not a string. Lent.
 */
const char *mailbus_json_string(const cJSON *object, const char *key);
/* The item under `key` (case-sensitive), or NULL. Lent. */
const cJSON *mailbus_json_item(const cJSON *object, const char *key);

/* Append `text` as a JSON string with its quotes. Control characters, quote and backslash are
 * escaped; everything else goes through as it is, so `text` must be valid UTF-8
 * (mailbus_utf8_valid). */
void mailbus_json_write_string(mailbus_buf_t *buf, const char *text, size_t size);

/* True where all of `data` is well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong). */
bool mailbus_utf8_valid(const char *data, size_t size);

#endif
