/* Fields of a parsed JSON object, read strictly: an error names the field and what is wrong with
 * it, and never repeats what the peer sent. Not a public header. */
#ifndef FIELD_H
#define FIELD_H

#include "mailbus/heads.h"
#include "mailbus/json.h"

/* What a string may hold besides being UTF-8 and of the right length. */
typedef enum {
    FIELD_TEXT,      /* no control characters */
    FIELD_PRINTABLE, /* ASCII from space to tilde */
    FIELD_GRAPHIC,   /* ASCII from ! to tilde */
} field_charset_t;

/* The string under `key`: 1 to `most` bytes of `charset`. Lent from the tree. */
MAILBUS_MUST_USE mailbus_code_t proto_field_string(const cJSON *object, const char *key,
                                                   size_t most, field_charset_t charset,
                                                   const char **ret_value, mailbus_error_t *error);
/* As proto_field_string; NULL where there is no such key, or its value is null. */
MAILBUS_MUST_USE mailbus_code_t proto_field_optional(const cJSON *object, const char *key,
                                                     size_t most, field_charset_t charset,
                                                     const char **ret_value,
                                                     mailbus_error_t *error);
/* The decimal number, not below `least`, that stands as a string under `key`. */
MAILBUS_MUST_USE mailbus_code_t proto_field_sequence(const cJSON *object, const char *key,
                                                     uint64_t least, uint64_t *ret_value,
                                                     mailbus_error_t *error);
/* The UUID under `key`, in the one form that can be compared byte by byte: lower case, 8-4-4-4-12
 * (RFC 9562 §4). Lent. */
MAILBUS_MUST_USE mailbus_code_t proto_field_uuid(const cJSON *object, const char *key,
                                                 const char **ret_value, mailbus_error_t *error);
/* An RFC 3339 time under `key`. Lent. */
MAILBUS_MUST_USE mailbus_code_t proto_field_time(const cJSON *object, const char *key,
                                                 const char **ret_value, mailbus_error_t *error);
/* The id that ties an answer to its request. `may_be_empty`: an ERROR about a request whose id
 * could not be read carries "". */
MAILBUS_MUST_USE mailbus_code_t proto_field_request(const cJSON *object, bool may_be_empty,
                                                    char *ret_request, mailbus_error_t *error);
/* The heads of all topics, `stream` and `sequence` being the journal's. The caller frees. */
MAILBUS_MUST_USE mailbus_code_t proto_field_heads(const cJSON *topics, const char *stream,
                                                  uint64_t sequence, mailbus_heads_t **ret_heads,
                                                  mailbus_error_t *error);

#endif
