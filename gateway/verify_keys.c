/* The secrets of stage 2: parsing, and what must be configured before the gateway starts. */
#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "httpd.h"
#include "verify_priv.h"

#define ED25519_KEY_SIZE 32 /* RFC 8032 §5.1.5 */
#define GUIDE_SECRET_MIN 8  /* shorter ones are typing errors, or can be guessed */
#define BLANKS           " \t\r\n"

static mailbus_code_t add_ed25519(verify_keys_t *self, const char *secret, mailbus_error_t *error)
{
    const char *text = secret + strlen("whpk_");
    uint8_t raw[ED25519_KEY_SIZE];
    size_t size = 0;
    if (mb_base64_decode(text, strlen(text), raw, sizeof raw, &size) != MAILBUS_OK ||
        size != sizeof raw) {
        return mailbus_fail(error, MAILBUS_EINVAL, "whpk_ must be followed by 32 bytes in base64");
    }
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
    if (key == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "OpenSSL does not take this ed25519 key");
    }
    self->ed25519[self->ed25519_count++] = key;
    return MAILBUS_OK;
}

static mailbus_code_t add_guide(verify_keys_t *self, const char *secret, mailbus_error_t *error)
{
    const size_t size = strlen(secret);
    /* "WHSEC_…", "whsec-…" taken as a plain secret would let nobody in, with nothing to show why.
     */
    if (strncasecmp(secret, "whsec", 5) == 0 || strncasecmp(secret, "whpk", 4) == 0) {
        return mailbus_fail(
            error, MAILBUS_EINVAL,
            "this looks like a mistyped whsec_ or whpk_ secret: both are lower-case, "
            "with an underscore");
    }
    if (strncasecmp(secret, "whsk", 4) == 0) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "this is the sender's private key; give its public half, whpk_…");
    }
    if (size < GUIDE_SECRET_MIN) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the secret is shorter than %d characters",
                            GUIDE_SECRET_MIN);
    }
    char *text = strdup(secret);
    if (text == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->guide[self->guide_count++] = (guide_secret_t){text, size};
    return MAILBUS_OK;
}

static mailbus_code_t add_secret(verify_keys_t *self, const char *secret, mailbus_error_t *error)
{
    if (self->count == VERIFY_SECRETS_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "one too many, at most %d are taken",
                            VERIFY_SECRETS_MAX);
    }
    mailbus_code_t code;
    if (strncmp(secret, "whsec_", 6) == 0) {
        code = mb_webhook_key_parse(secret, &self->hmac[self->hmac_count], error);
        self->hmac_count += code == MAILBUS_OK;
    } else if (strncmp(secret, "whpk_", 5) == 0) {
        code = add_ed25519(self, secret, error);
    } else {
        code = add_guide(self, secret, error);
    }
    self->count += code == MAILBUS_OK;
    return code;
}

mailbus_code_t verify_keys_parse(const char *secrets, verify_keys_t **ret_keys,
                                 mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    verify_keys_t *self = calloc(1, sizeof *self);
    char *copy = strdup(secrets);
    if (self == NULL || copy == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        goto out;
    }
    unsigned number = 0;
    char *rest = copy;
    for (char *secret; (secret = strtok_r(rest, BLANKS, &rest)) != NULL;) {
        number++;
        mailbus_error_t why;
        code = add_secret(self, secret, &why);
        if (code != MAILBUS_OK) {
            code = mailbus_fail(error, code, "verify.secret, number %u: %s", number, why.text);
            goto out;
        }
    }
    *ret_keys = self;
    self = NULL;
out:
    if (copy != NULL) {
        OPENSSL_cleanse(copy, strlen(secrets));
    }
    free(copy);
    verify_keys_free(&self);
    return code;
}

verify_keys_t *verify_keys_accept_all(void)
{
    verify_keys_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->accept_all = true;
    }
    return self;
}

void verify_keys_free(verify_keys_t **keys_p)
{
    verify_keys_t *self = *keys_p;
    *keys_p = NULL;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->ed25519_count; i++) {
        EVP_PKEY_free(self->ed25519[i]);
    }
    for (size_t i = 0; i < self->guide_count; i++) {
        OPENSSL_cleanse(self->guide[i].text, self->guide[i].size);
        free(self->guide[i].text);
    }
    OPENSSL_cleanse(self, sizeof *self);
    free(self);
}

bool verify_keys_accepts_all(const verify_keys_t *keys)
{
    return keys->accept_all;
}

mailbus_code_t verify_check_config(const char *secrets, bool accept_all, const char *listen,
                                   mailbus_error_t *error)
{
    verify_keys_t *keys = NULL;
    mailbus_code_t code = verify_keys_parse(secrets, &keys, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    assert(keys != NULL);
    const bool configured = keys->count > 0;
    verify_keys_free(&keys);
    if (accept_all && configured) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "verify.secret and verify.insecure_accept_all=yes contradict each "
                            "other: take one of them away");
    }
    if (accept_all && !mb_is_loopback(listen)) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "verify.insecure_accept_all=yes is refused on http.listen=%s: without "
                            "signatures only a loopback address may listen",
                            listen);
    }
    if (!accept_all && !configured) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "no secret: set MAILBUS_VERIFY_SECRET (or MAILBUS_VERIFY_SECRET_FILE) "
                            "to the webhook's signing secret, whsec_…");
    }
    return MAILBUS_OK;
}
