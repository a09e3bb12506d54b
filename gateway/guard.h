/* Stage 1, the header rules: what libmicrohttpd's lenient parser lets through and two readers of
 * one request could understand in two ways (RFC 9112 §11.2, request smuggling) is refused before
 * anything else is looked at. Pure functions over the header fields as they came.
 *
 * Every refusal closes the connection: behind an ambiguous request nobody knows where the next one
 * begins. */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One header field as it came. Lent; name and value are followed by a NUL. */
typedef struct {
    const char *name;
    size_t name_size;
    const char *value;
    size_t value_size;
} guard_field_t;

#define GUARD_FIELDS_MAX                                                                           \
    100 /* proxies and CDNs add up to 40; the connection's 16 KiB hold more                        \
         */

typedef enum {
    GUARD_OK,
    GUARD_TOO_MANY_FIELDS,
    GUARD_BAD_NAME,          /* not RFC 9110's token */
    GUARD_BAD_VALUE,         /* a control character in a value */
    GUARD_LOOKALIKE,         /* "Content-Length2", a folded "Transfer-Encodingchunked" */
    GUARD_DOUBLED,           /* a field that may come once came twice */
    GUARD_TRANSFER_ENCODING, /* webhook senders send a length */
    GUARD_BAD_LENGTH,        /* Content-Length is not a plain decimal number */
    GUARD_BAD_VERSION,       /* neither HTTP/1.0 nor HTTP/1.1 */
    GUARD_NO_LENGTH,         /* POST without Content-Length */
    GUARD_TOO_LARGE,         /* a declared length above the limit */
    GUARD_BAD_TYPE,          /* Content-Type is there and is not JSON, or the body is encoded */
} guard_result_t;

/* The framing rules, for every request whatever its method and path. On OK `ret_has_length` and
 * `ret_length` tell the declared length. */
guard_result_t guard_check_framing(const char *version, const guard_field_t *fields, size_t count,
                                   bool *ret_has_length, uint64_t *ret_length);
/* What a webhook's POST must have besides: a length of at most `max_body` bytes, and a body that is
 * JSON: Content-Type absent, application/json or application/<something>+json, with or without
 * parameters; Content-Encoding absent or identity. */
guard_result_t guard_check_post(const guard_field_t *fields, size_t count, bool has_length,
                                uint64_t length, uint64_t max_body);
/* The only field of that name (any case), or NULL where there is none. */
const guard_field_t *guard_find(const guard_field_t *fields, size_t count, const char *name);

#endif
