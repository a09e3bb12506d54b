#include "webhook_signature.h"

#include <string.h>

static const char prefix[] = "whsec_";

mailbus_code_t mb_webhook_key_parse(const char *secret, mb_webhook_key_t *ret_key,
                                    mailbus_error_t *error)
{
    size_t skip = sizeof prefix - 1;
    if (strncmp(secret, prefix, skip) != 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the secret does not begin with %s", prefix);
    }
    mb_webhook_key_t key = {.size = 0};
    mailbus_code_t code = mb_base64_decode(secret + skip, strlen(secret) - skip, key.data,
                                           sizeof key.data, &key.size);
    if (code == MAILBUS_EINVAL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "what follows %s in the secret is not base64 (is it cut off?)", prefix);
    }
    if (code == MAILBUS_ETOOBIG || key.size < MB_WEBHOOK_KEY_MIN) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the key in the secret has %s than %d bytes",
                            code == MAILBUS_ETOOBIG ? "more" : "fewer",
                            code == MAILBUS_ETOOBIG ? MB_WEBHOOK_KEY_MAX : MB_WEBHOOK_KEY_MIN);
    }
    *ret_key = key;
    return MAILBUS_OK;
}

mailbus_code_t mb_webhook_digest(const mb_webhook_key_t *key, const char *id, const char *timestamp,
                                 const void *body, size_t size, uint8_t digest[MB_SHA256_SIZE])
{
    const mb_part_t parts[] = {
        {id, strlen(id)}, {".", 1}, {timestamp, strlen(timestamp)}, {".", 1}, {body, size},
    };
    return mb_hmac_sha256(key->data, key->size, parts, sizeof parts / sizeof *parts, digest);
}

mailbus_code_t mb_webhook_sign(const mb_webhook_key_t *key, const char *id, const char *timestamp,
                               const void *body, size_t size, mailbus_buf_t *out)
{
    uint8_t digest[MB_SHA256_SIZE];
    mailbus_code_t code = mb_webhook_digest(key, id, timestamp, body, size, digest);
    if (code == MAILBUS_OK) {
        mailbus_buf_text(out, "v1,");
        mb_base64_encode(digest, sizeof digest, out);
        code = out->failed ? MAILBUS_ENOMEM : MAILBUS_OK;
    }
    return code;
}
