/* Stage 2: is this request from somebody who knows a secret? A pure function of (keys, headers,
 * body, now, tolerance); nothing is parsed before it says yes.
 *
 * Schemes, chosen by the headers that a request carries:
 *   svix-id, svix-timestamp, svix-signature       Svix; the same under webhook-… is Standard
 *                                                 Webhooks. "v1" entries are HMAC-SHA256 under a
 *                                                 whsec_ secret, "v1a" ed25519 under a whpk_ key.
 *   X-AgentMail-Signature: [sha256=]<hex>         the AgentMail guide's HMAC over the body alone.
 * Rules:
 *   - A request with any svix-… or webhook-… header is judged by these alone.
 *   - Both sets at once are taken only where they say the same, value by value.
 *   - The guide's scheme counts only where a secret of its kind is configured. It has no timestamp:
 *     what stands against a replay is deduplication alone. With whsec_/whpk_ secrets configured as
 *     well it still counts for requests without svix-…/webhook-… headers, because the operator
 *     asked for both; whoever has one kind of sender configures one kind of secret.
 *   - Comparisons are in constant time, over all pairs, without an early exit.
 * Source: the Standard Webhooks specification; docs.svix.com on manual verification. */
#ifndef GATEWAY_VERIFY_H
#define GATEWAY_VERIFY_H

#include "guard.h"
#include "mailbus/error.h"

#define VERIFY_SECRETS_MAX    4   /* two senders, each in the middle of a rotation */
#define VERIFY_SIGNATURES_MAX 8   /* entries of one signature header */
#define VERIFY_ID_MAX         256 /* bytes of the delivery's id */
#define VERIFY_TIMESTAMP_MAX  12  /* digits */

typedef struct verify_keys verify_keys_t;

/* Parse the blank-separated list of verify.secret. An empty list gives keys that accept nothing.
 * EINVAL names the number of the bad entry and what is wrong, and never quotes it. */
MAILBUS_MUST_USE mailbus_code_t verify_keys_parse(const char *secrets, verify_keys_t **ret_keys,
                                                  mailbus_error_t *error);
/* Keys that accept every request (verify.insecure_accept_all). NULL without memory. */
verify_keys_t *verify_keys_accept_all(void);
void verify_keys_free(verify_keys_t **keys_p);
bool verify_keys_accepts_all(const verify_keys_t *keys);

/* The rules for starting: a secret, or accept_all on a loopback address, and not both. `listen` is
 * http.listen. For the settings' check; the text says what to set. */
MAILBUS_MUST_USE mailbus_code_t verify_check_config(const char *secrets, bool accept_all,
                                                    const char *listen, mailbus_error_t *error);

/* The header fields that matter here, found once, when the header is complete. Values are lent. */
typedef struct {
    const char *value; /* NULL: none */
    unsigned count;
} verify_field_t;
typedef struct {
    verify_field_t svix_id, svix_timestamp, svix_signature;
    verify_field_t webhook_id, webhook_timestamp, webhook_signature;
    verify_field_t guide;
} verify_headers_t;
void verify_headers_collect(const guard_field_t *fields, size_t count, verify_headers_t *ret);

/* For counters and logs; the peer never learns which. */
typedef enum {
    VERIFY_OK,
    VERIFY_MISSING,   /* a header is not there */
    VERIFY_DOUBLED,   /* a header came more than once */
    VERIFY_CONFLICT,  /* svix-… and webhook-… say different things */
    VERIFY_BAD_ID,    /* not 1 to VERIFY_ID_MAX printable characters */
    VERIFY_BAD_TIME,  /* not 1 to VERIFY_TIMESTAMP_MAX digits */
    VERIFY_STALE,     /* further than the tolerance from now, either way */
    VERIFY_TOO_MANY,  /* more than VERIFY_SIGNATURES_MAX entries */
    VERIFY_MALFORMED, /* no entry of a known version that decodes */
    VERIFY_NO_KEY,    /* no secret of this scheme is configured */
    VERIFY_MISMATCH,  /* the signature is wrong */
    VERIFY_UNABLE,    /* the library failed */
    VERIFY_RESULTS,   /* how many there are */
} verify_result_t;
const char *verify_result_name(verify_result_t result); /* "stale": a label value */

/* now_s, tolerance_s: seconds; exactly `tolerance_s` away still passes. `ret_id` (may be NULL) gets
 * the delivery's id where there is a usable one and the answer is OK, else NULL; lent from
 * `headers`. */
verify_result_t verify_request(const verify_keys_t *keys, const verify_headers_t *headers,
                               const void *body, size_t size, int64_t now_s, int64_t tolerance_s,
                               const char **ret_id);

#endif
