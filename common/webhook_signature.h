/* Signing as the Standard Webhooks specification (Svix) says: used to verify, to sign, and by
 * tests. */
#ifndef MB_WEBHOOK_SIGNATURE_H
#define MB_WEBHOOK_SIGNATURE_H

#include "encoding.h"

#define MB_WEBHOOK_KEY_MIN 24 /* bytes of a whsec_ key: the specification's bounds */
#define MB_WEBHOOK_KEY_MAX 64

typedef struct {
    uint8_t data[MB_WEBHOOK_KEY_MAX];
    size_t size;
} mb_webhook_key_t;

/* The key of a "whsec_<base64>" secret. EINVAL with what is wrong; the text never quotes the
 * secret. */
MAILBUS_MUST_USE mailbus_code_t mb_webhook_key_parse(const char *secret, mb_webhook_key_t *ret_key,
                                                     mailbus_error_t *error);
/* HMAC-SHA256 over "<id>.<timestamp>.<body>". */
MAILBUS_MUST_USE mailbus_code_t mb_webhook_digest(const mb_webhook_key_t *key, const char *id,
                                                  const char *timestamp, const void *body,
                                                  size_t size, uint8_t digest[MB_SHA256_SIZE]);
/* Append "v1,<base64>" to `out`. */
MAILBUS_MUST_USE mailbus_code_t mb_webhook_sign(const mb_webhook_key_t *key, const char *id,
                                                const char *timestamp, const void *body,
                                                size_t size, mailbus_buf_t *out);

#endif
