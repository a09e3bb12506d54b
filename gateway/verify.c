#include "verify.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "verify_priv.h"

#define HMAC_SIZE    MB_SHA256_SIZE
#define ED25519_SIZE 64 /* bytes of a signature, RFC 8032 §5.1.6 */

/* ---- headers ----------------------------------------------------------------------------- */

void verify_headers_collect(const guard_field_t *fields, size_t count, verify_headers_t *ret)
{
    *ret = (verify_headers_t){0};
    const struct {
        const char *name;
        verify_field_t *field;
    } wanted[] = {
        {"svix-id", &ret->svix_id},
        {"svix-timestamp", &ret->svix_timestamp},
        {"svix-signature", &ret->svix_signature},
        {"webhook-id", &ret->webhook_id},
        {"webhook-timestamp", &ret->webhook_timestamp},
        {"webhook-signature", &ret->webhook_signature},
        {"x-agentmail-signature", &ret->guide},
    };
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++) {
            if (fields[i].name_size == strlen(wanted[k].name) &&
                strncasecmp(fields[i].name, wanted[k].name, fields[i].name_size) == 0) {
                wanted[k].field->value = fields[i].value;
                wanted[k].field->count++;
            }
        }
    }
}

/* The three headers of one delivery, whichever of the two sets of names they came under. */
typedef struct {
    const char *id, *timestamp, *signature;
} delivery_t;

/* One value out of its two names: NULL where there is none. */
static verify_result_t choose(const verify_field_t *svix, const verify_field_t *webhook,
                              const char **ret_value)
{
    if (svix->count > 1 || webhook->count > 1) {
        return VERIFY_DOUBLED;
    }
    if (svix->count == 1 && webhook->count == 1 && strcmp(svix->value, webhook->value) != 0) {
        return VERIFY_CONFLICT;
    }
    *ret_value = svix->count == 1 ? svix->value : webhook->value;
    return VERIFY_OK;
}

static verify_result_t read_delivery(const verify_headers_t *headers, delivery_t *ret)
{
    const unsigned svix =
        headers->svix_id.count + headers->svix_timestamp.count + headers->svix_signature.count;
    const unsigned webhook = headers->webhook_id.count + headers->webhook_timestamp.count +
                             headers->webhook_signature.count;
    verify_result_t result = choose(&headers->svix_id, &headers->webhook_id, &ret->id);
    if (result == VERIFY_OK) {
        result = choose(&headers->svix_timestamp, &headers->webhook_timestamp, &ret->timestamp);
    }
    if (result == VERIFY_OK) {
        result = choose(&headers->svix_signature, &headers->webhook_signature, &ret->signature);
    }
    if (result == VERIFY_OK && svix > 0 && webhook > 0 && svix != webhook) {
        result = VERIFY_CONFLICT; /* one set must not fill the other's holes */
    }
    if (result == VERIFY_OK &&
        (ret->id == NULL || ret->timestamp == NULL || ret->signature == NULL)) {
        result = VERIFY_MISSING;
    }
    return result;
}

static bool is_usable_id(const char *id)
{
    const size_t size = strnlen(id, VERIFY_ID_MAX + 1);
    if (size == 0 || size > VERIFY_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (id[i] <= ' ' || id[i] > '~') {
            return false;
        }
    }
    return true;
}

static verify_result_t check_time(const char *text, int64_t now_s, int64_t tolerance_s)
{
    const size_t size = strnlen(text, VERIFY_TIMESTAMP_MAX + 1);
    if (size == 0 || size > VERIFY_TIMESTAMP_MAX) {
        return VERIFY_BAD_TIME;
    }
    int64_t time_s = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return VERIFY_BAD_TIME;
        }
        time_s = time_s * 10 + (text[i] - '0');
    }
    const int64_t distance = time_s > now_s ? time_s - now_s : now_s - time_s;
    return distance <= tolerance_s ? VERIFY_OK : VERIFY_STALE;
}

/* ---- signatures -------------------------------------------------------------------------- */

typedef struct {
    uint8_t v1[VERIFY_SIGNATURES_MAX][HMAC_SIZE];
    size_t v1_count;
    uint8_t v1a[VERIFY_SIGNATURES_MAX][ED25519_SIZE];
    size_t v1a_count;
} signatures_t;

static void add_signature(const char *entry, size_t size, signatures_t *ret)
{
    size_t decoded = 0;
    if (size > 3 && memcmp(entry, "v1,", 3) == 0 &&
        mb_base64_decode(entry + 3, size - 3, ret->v1[ret->v1_count], HMAC_SIZE, &decoded) ==
            MAILBUS_OK &&
        decoded == HMAC_SIZE) {
        ret->v1_count++;
    }
    if (size > 4 && memcmp(entry, "v1a,", 4) == 0 &&
        mb_base64_decode(entry + 4, size - 4, ret->v1a[ret->v1a_count], ED25519_SIZE, &decoded) ==
            MAILBUS_OK &&
        decoded == ED25519_SIZE) {
        ret->v1a_count++;
    }
}

/* Entries of other versions, and ones that don't decode, are passed over: the specification wants
 * new versions to be able to stand beside the old ones. */
static verify_result_t read_signatures(const char *text, signatures_t *ret)
{
    ret->v1_count = 0;
    ret->v1a_count = 0;
    size_t entries = 0;
    while (*text != '\0') {
        const size_t size = strcspn(text, " ");
        if (size > 0 && ++entries > VERIFY_SIGNATURES_MAX) {
            return VERIFY_TOO_MANY;
        }
        add_signature(text, size, ret);
        text += size;
        text += *text == ' ';
    }
    return ret->v1_count + ret->v1a_count > 0 ? VERIFY_OK : VERIFY_MALFORMED;
}

static bool match_v1(const verify_keys_t *keys, const signatures_t *signatures,
                     const delivery_t *delivery, const void *body, size_t size, bool *unable)
{
    bool match = false;
    for (size_t k = 0; k < keys->hmac_count && signatures->v1_count > 0; k++) {
        uint8_t digest[HMAC_SIZE];
        if (mb_webhook_digest(&keys->hmac[k], delivery->id, delivery->timestamp, body, size,
                              digest) != MAILBUS_OK) {
            *unable = true;
            continue;
        }
        for (size_t i = 0; i < signatures->v1_count; i++) {
            match |= CRYPTO_memcmp(digest, signatures->v1[i], HMAC_SIZE) == 0;
        }
    }
    return match;
}

static bool match_v1a(const verify_keys_t *keys, const signatures_t *signatures,
                      const delivery_t *delivery, const void *body, size_t size, bool *unable)
{
    if (keys->ed25519_count == 0 || signatures->v1a_count == 0) {
        return false;
    }
    bool match = false;
    /* ed25519 in OpenSSL wants the message in one piece. */
    mailbus_buf_t content = MAILBUS_BUF_INIT;
    mailbus_buf_text(&content, delivery->id);
    mailbus_buf_char(&content, '.');
    mailbus_buf_text(&content, delivery->timestamp);
    mailbus_buf_char(&content, '.');
    mailbus_buf_append(&content, body, size);
    *unable |= content.failed;
    for (size_t k = 0; k < keys->ed25519_count && !content.failed; k++) {
        for (size_t i = 0; i < signatures->v1a_count; i++) {
            EVP_MD_CTX *context = EVP_MD_CTX_new();
            if (context == NULL ||
                EVP_DigestVerifyInit(context, NULL, NULL, NULL, keys->ed25519[k]) != 1) {
                *unable = true;
            } else {
                match |= EVP_DigestVerify(context, signatures->v1a[i], ED25519_SIZE,
                                          (const unsigned char *)content.data, content.size) == 1;
            }
            EVP_MD_CTX_free(context);
        }
    }
    mailbus_buf_free(&content);
    return match;
}

static verify_result_t verify_delivery(const verify_keys_t *keys, const verify_headers_t *headers,
                                       const void *body, size_t size, int64_t now_s,
                                       int64_t tolerance_s, const char **ret_id)
{
    delivery_t delivery = {NULL, NULL, NULL};
    verify_result_t result = read_delivery(headers, &delivery);
    if (result == VERIFY_OK && !is_usable_id(delivery.id)) {
        result = VERIFY_BAD_ID;
    }
    if (result == VERIFY_OK) {
        result = check_time(delivery.timestamp, now_s, tolerance_s);
    }
    signatures_t signatures;
    if (result == VERIFY_OK) {
        result = read_signatures(delivery.signature, &signatures);
    }
    if (result != VERIFY_OK) {
        return result;
    }
    if (keys->hmac_count + keys->ed25519_count == 0) {
        return VERIFY_NO_KEY;
    }
    bool unable = false;
    bool match = match_v1(keys, &signatures, &delivery, body, size, &unable);
    match |= match_v1a(keys, &signatures, &delivery, body, size, &unable);
    if (!match) {
        return unable ? VERIFY_UNABLE : VERIFY_MISMATCH;
    }
    *ret_id = delivery.id;
    return VERIFY_OK;
}

static verify_result_t verify_guide(const verify_keys_t *keys, const verify_field_t *field,
                                    const void *body, size_t size)
{
    if (field->count > 1) {
        return VERIFY_DOUBLED;
    }
    const char *text = field->value;
    if (strncmp(text, "sha256=", 7) == 0) {
        text += 7;
    }
    uint8_t given[HMAC_SIZE];
    size_t given_size = 0;
    if (mb_hex_decode(text, strlen(text), given, sizeof given, &given_size) != MAILBUS_OK ||
        given_size != sizeof given) {
        return VERIFY_MALFORMED;
    }
    if (keys->guide_count == 0) {
        return VERIFY_NO_KEY;
    }
    bool match = false;
    bool unable = false;
    const mb_part_t part = {body, size};
    for (size_t i = 0; i < keys->guide_count; i++) {
        uint8_t digest[HMAC_SIZE];
        if (mb_hmac_sha256(keys->guide[i].text, keys->guide[i].size, &part, 1, digest) !=
            MAILBUS_OK) {
            unable = true;
            continue;
        }
        match |= CRYPTO_memcmp(digest, given, HMAC_SIZE) == 0;
    }
    return match ? VERIFY_OK : unable ? VERIFY_UNABLE : VERIFY_MISMATCH;
}

/* With accept_all nothing is judged; an id that could stand in the journal is still taken. */
static const char *unjudged_id(const verify_headers_t *headers)
{
    const char *id = NULL;
    if (choose(&headers->svix_id, &headers->webhook_id, &id) != VERIFY_OK || id == NULL ||
        !is_usable_id(id)) {
        return NULL;
    }
    return id;
}

verify_result_t verify_request(const verify_keys_t *keys, const verify_headers_t *headers,
                               const void *body, size_t size, int64_t now_s, int64_t tolerance_s,
                               const char **ret_id)
{
    const char *id = NULL;
    verify_result_t result;
    const bool is_delivery = headers->svix_id.count > 0 || headers->svix_timestamp.count > 0 ||
                             headers->svix_signature.count > 0 || headers->webhook_id.count > 0 ||
                             headers->webhook_timestamp.count > 0 ||
                             headers->webhook_signature.count > 0;
    if (keys->accept_all) {
        id = unjudged_id(headers);
        result = VERIFY_OK;
    } else if (is_delivery) {
        result = verify_delivery(keys, headers, body, size, now_s, tolerance_s, &id);
    } else if (headers->guide.count > 0) {
        result = verify_guide(keys, &headers->guide, body, size);
    } else {
        result = VERIFY_MISSING;
    }
    if (ret_id != NULL) {
        *ret_id = id;
    }
    return result;
}

const char *verify_result_name(verify_result_t result)
{
    static const char *const names[VERIFY_RESULTS] = {
        [VERIFY_OK] = "ok",
        [VERIFY_MISSING] = "missing",
        [VERIFY_DOUBLED] = "doubled",
        [VERIFY_CONFLICT] = "conflict",
        [VERIFY_BAD_ID] = "bad_id",
        [VERIFY_BAD_TIME] = "bad_timestamp",
        [VERIFY_STALE] = "stale",
        [VERIFY_TOO_MANY] = "too_many",
        [VERIFY_MALFORMED] = "malformed",
        [VERIFY_NO_KEY] = "no_key",
        [VERIFY_MISMATCH] = "mismatch",
        [VERIFY_UNABLE] = "unable",
    };
    return names[result];
}
