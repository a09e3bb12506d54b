/* The secrets, as verify_keys.c parses them and verify.c uses them. */
#ifndef GATEWAY_VERIFY_PRIV_H
#define GATEWAY_VERIFY_PRIV_H

#include <openssl/evp.h>

#include "verify.h"
#include "webhook_signature.h"

typedef struct {
    char *text;
    size_t size;
} guide_secret_t;

struct verify_keys {
    bool accept_all;
    size_t count; /* of all three kinds */
    mb_webhook_key_t hmac[VERIFY_SECRETS_MAX];
    size_t hmac_count;
    EVP_PKEY *ed25519[VERIFY_SECRETS_MAX];
    size_t ed25519_count;
    guide_secret_t guide[VERIFY_SECRETS_MAX];
    size_t guide_count;
};

#endif
