/* Base64 (RFC 4648), hex, URL encoding, random bytes, UUIDs, digests. */
#ifndef MB_ENCODING_H
#define MB_ENCODING_H

#include "mailbus/buf.h"

#define MB_SHA256_SIZE 32

/* Strict decoding of standard base64: alphabet of RFC 4648 §4, padded, no white space, no set bits
 * behind the end. Writes at most `capacity` bytes; ETOOBIG where they don't fit. */
MAILBUS_MUST_USE mailbus_code_t mb_base64_decode(const char *text, size_t size, uint8_t *out,
                                                 size_t capacity, size_t *ret_size);
void mb_base64_encode(const uint8_t *data, size_t size, mailbus_buf_t *out);
void mb_hex_encode(const uint8_t *data, size_t size, mailbus_buf_t *out); /* lower case */
/* Hex digits of either case, an even number of them; EINVAL otherwise. */
MAILBUS_MUST_USE mailbus_code_t mb_hex_decode(const char *text, size_t size, uint8_t *out,
                                              size_t capacity, size_t *ret_size);
/* Percent-encode everything but RFC 3986's unreserved characters: one segment of a path or query.
 */
void mb_url_encode(const char *text, mailbus_buf_t *out);
/* Decode %XX (and, where `plus_is_space`, +). EINVAL on a broken escape or a NUL. */
MAILBUS_MUST_USE mailbus_code_t mb_url_decode(const char *text, size_t size, bool plus_is_space,
                                              mailbus_buf_t *out);
/* Random bytes from the system; EIO where there are none. */
MAILBUS_MUST_USE mailbus_code_t mb_random(void *data, size_t size);
/* A random UUID (RFC 9562 version 4) in lower-case text with its NUL: 37 bytes. */
MAILBUS_MUST_USE mailbus_code_t mb_uuid(char text[37]);
void mb_sha256(const void *data, size_t size, uint8_t digest[MB_SHA256_SIZE]);
/* HMAC-SHA256 over the parts one after the other (any of them may be NULL/0). */
typedef struct {
    const void *data;
    size_t size;
} mb_part_t;
MAILBUS_MUST_USE mailbus_code_t mb_hmac_sha256(const void *key, size_t key_size,
                                               const mb_part_t *parts, size_t count,
                                               uint8_t digest[MB_SHA256_SIZE]);

#endif
