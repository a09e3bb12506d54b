#include "agentmail/guard.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { URL_MAX = 8192 }; /* bytes: signed download addresses have one or two thousand */

/* A block of addresses: the first `bits` bits of `prefix`. */
typedef struct {
    uint8_t prefix[16];
    unsigned bits;
} block_t;

/* IANA IPv4 Special-Purpose Address Registry, multicast and class E. */
static const block_t special4[] = {
    {{0}, 8},             /* this network, RFC 791 */
    {{10}, 8},            /* private, RFC 1918 */
    {{100, 64}, 10},      /* shared, RFC 6598 */
    {{127}, 8},           /* loopback, RFC 1122 */
    {{169, 254}, 16},     /* link-local and cloud metadata, RFC 3927 */
    {{172, 16}, 12},      /* private, RFC 1918 */
    {{192, 0, 0}, 24},    /* protocol assignments, RFC 6890 */
    {{192, 0, 2}, 24},    /* documentation, RFC 5737 */
    {{192, 88, 99}, 24},  /* 6to4 relays, RFC 7526 */
    {{192, 168}, 16},     /* private, RFC 1918 */
    {{198, 18}, 15},      /* benchmarks, RFC 2544 */
    {{198, 51, 100}, 24}, /* documentation, RFC 5737 */
    {{203, 0, 113}, 24},  /* documentation, RFC 5737 */
    {{224}, 4},           /* multicast, RFC 5771 */
    {{240}, 4},           /* reserved and broadcast, RFC 1112 */
};

/* Of IPv6 only 2000::/3 is given out; these parts of it are special. */
static const block_t special6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* protocol assignments and Teredo, RFC 2928, 4380 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation, RFC 3849 */
    {{0x3f, 0xff, 0x00}, 20},       /* documentation, RFC 9637 */
};
static const block_t global6 = {{0x20}, 3};
/* IPv6 addresses with an IPv4 one inside, and where it begins. */
static const struct {
    block_t block;
    unsigned at;
} wrapped[] = {
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, 12}, /* mapped, RFC 4291 */
    {{{0, 0x64, 0xff, 0x9b}, 96}, 12},                      /* NAT64, RFC 6052 */
    {{{0x20, 0x02}, 16}, 2},                                /* 6to4, RFC 3056 */
};

static bool in_block(const uint8_t *address, const block_t *block)
{
    unsigned bytes = block->bits / 8;
    unsigned rest = block->bits % 8;
    if (memcmp(address, block->prefix, bytes) != 0) {
        return false;
    }
    return rest == 0 || ((address[bytes] ^ block->prefix[bytes]) >> (8 - rest)) == 0;
}

static bool in_any(const uint8_t *address, const block_t *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (in_block(address, &blocks[i])) {
            return true;
        }
    }
    return false;
}

static bool is_public4(const uint8_t *address)
{
    return !in_any(address, special4, sizeof special4 / sizeof special4[0]);
}

static bool is_public6(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof wrapped / sizeof wrapped[0]; i++) {
        if (in_block(address, &wrapped[i].block)) {
            return is_public4(address + wrapped[i].at);
        }
    }
    return in_block(address, &global6) &&
           !in_any(address, special6, sizeof special6 / sizeof special6[0]);
}

/* The bytes of an address in network order; 4, 16 or 0 (another family). */
static size_t address_bytes(const struct sockaddr *address, uint8_t bytes[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        memcpy(bytes, &in.sin_addr, 4);
        return 4;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        memcpy(bytes, &in.sin6_addr, 16);
        return 16;
    }
    return 0;
}

bool agentmail_address_is_public(const struct sockaddr *address)
{
    uint8_t bytes[16];
    size_t size = address_bytes(address, bytes);
    return size == 4 ? is_public4(bytes) : size == 16 && is_public6(bytes);
}

bool agentmail_address_is_loopback(const struct sockaddr *address)
{
    static const uint8_t one[16] = {[15] = 1};
    uint8_t bytes[16];
    size_t size = address_bytes(address, bytes);
    if (size == 4) {
        return bytes[0] == 127;
    }
    return size == 16 && (memcmp(bytes, one, 16) == 0 ||
                          (in_block(bytes, &wrapped[0].block) && bytes[12] == 127));
}

static bool host_is_loopback(const char *host)
{
    uint8_t bytes[4];
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, bytes) == 1 && bytes[0] == 127);
}

mailbus_code_t agentmail_url_check(const char *url, agentmail_url_t *ret_url,
                                   mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    char *scheme = NULL;
    char *host = NULL;
    char *part = NULL;
    if (strlen(url) > URL_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "a URL of more than %d bytes", URL_MAX);
    }
    CURLU *parsed = curl_url();
    if (parsed == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (const char *p = url; *p != '\0'; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7F) {
            code = mailbus_fail(error, MAILBUS_EINVAL, "a URL with blanks or control characters");
            goto out;
        }
    }
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "not a URL like https://host/path");
        goto out;
    }
    bool https = strcmp(scheme, "https") == 0;
    if (!https && strcmp(scheme, "http") != 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "a URL must begin with https://, not %.16s://",
                            scheme);
    } else if (curl_url_get(parsed, CURLUPART_USER, &part, 0) == CURLUE_OK ||
               curl_url_get(parsed, CURLUPART_FRAGMENT, &part, 0) == CURLUE_OK) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "a URL must have no user name and no fragment");
    } else {
        *ret_url = (agentmail_url_t){.https = https, .loopback = host_is_loopback(host)};
    }
out:
    curl_free(scheme);
    curl_free(host);
    curl_free(part);
    curl_url_cleanup(parsed);
    return code;
}

static bool same_part(CURLU *url, CURLU *other, CURLUPart part)
{
    char *text = NULL;
    char *other_text = NULL;
    bool same = curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(other, part, &other_text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                strcasecmp(text, other_text) == 0;
    curl_free(text);
    curl_free(other_text);
    return same;
}

bool agentmail_url_same_origin(const char *url, const char *other)
{
    CURLU *parsed = curl_url();
    CURLU *parsed_other = curl_url();
    bool same = parsed != NULL && parsed_other != NULL &&
                curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_set(parsed_other, CURLUPART_URL, other, 0) == CURLUE_OK &&
                same_part(parsed, parsed_other, CURLUPART_SCHEME) &&
                same_part(parsed, parsed_other, CURLUPART_HOST) &&
                same_part(parsed, parsed_other, CURLUPART_PORT);
    curl_url_cleanup(parsed);
    curl_url_cleanup(parsed_other);
    return same;
}
