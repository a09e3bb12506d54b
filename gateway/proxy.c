#include "proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
#define MAPPED_BITS 96

static bool is_mapped(const proxy_address_t *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static proxy_address_t from_ipv4(const void *four_bytes)
{
    proxy_address_t result;
    memcpy(result.bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(result.bytes + sizeof mapped_prefix, four_bytes, 4);
    return result;
}

proxy_address_t proxy_from_socket(const struct sockaddr *address)
{
    proxy_address_t result = {{0}};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, address, sizeof ipv4);
        result = from_ipv4(&ipv4.sin_addr);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, address, sizeof ipv6);
        memcpy(result.bytes, &ipv6.sin6_addr, sizeof result.bytes);
    }
    return result;
}

void proxy_format(const proxy_address_t *address, char text[PROXY_ADDRESS_TEXT])
{
    const bool mapped = is_mapped(address);
    const void *bytes = mapped ? address->bytes + sizeof mapped_prefix : address->bytes;
    if (inet_ntop(mapped ? AF_INET : AF_INET6, bytes, text, PROXY_ADDRESS_TEXT) == NULL) {
        text[0] = '\0';
    }
}

uint64_t proxy_limit_key(const proxy_address_t *address)
{
    /* The mapped form's first half is all zeros, so IPv4 takes the second: it begins with 0000ffff,
     * and no IPv6 network in use begins so. */
    const size_t from = is_mapped(address) ? 8 : 0;
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++) {
        key = key << 8 | address->bytes[from + i];
    }
    return key;
}

/* An address without anything around it. */
static bool parse_address(const char *text, proxy_address_t *ret_address)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        *ret_address = from_ipv4(&ipv4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &ipv6) == 1) {
        memcpy(ret_address->bytes, &ipv6, sizeof ret_address->bytes);
        return true;
    }
    return false;
}

/* One to three digits as a number; false for anything else. */
static bool parse_bits(const char *text, unsigned max, unsigned *ret_bits)
{
    const size_t size = strlen(text);
    if (size == 0 || size > 3 || strspn(text, "0123456789") != size) {
        return false;
    }
    const unsigned long bits = strtoul(text, NULL, 10);
    *ret_bits = (unsigned)bits;
    return bits <= max;
}

static mailbus_code_t parse_network(char *text, proxy_list_t *list, mailbus_error_t *error)
{
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    proxy_address_t address;
    bool good = parse_address(text, &address);
    unsigned bits = 128;
    if (good && slash != NULL) {
        const bool ipv4 = strchr(text, ':') == NULL;
        good = parse_bits(slash + 1, ipv4 ? 32 : 128, &bits);
        bits += ipv4 ? MAPPED_BITS : 0;
    }
    if (slash != NULL) {
        *slash = '/';
    }
    if (!good) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "http.trusted_proxies: \"%.60s\" is no address or network, such as "
                            "10.0.0.0/8 or 2001:db8::1",
                            text);
    }
    if (list->count == PROXY_NETWORKS_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "http.trusted_proxies: more than %d entries",
                            PROXY_NETWORKS_MAX);
    }
    memcpy(list->networks[list->count].bytes, address.bytes, sizeof address.bytes);
    list->networks[list->count].bits = bits;
    list->count++;
    return MAILBUS_OK;
}

mailbus_code_t proxy_list_parse(const char *text, proxy_list_t *ret_list, mailbus_error_t *error)
{
    proxy_list_t list = {.count = 0};
    mailbus_code_t code = MAILBUS_OK;
    char *copy = strdup(text);
    if (copy == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    char *rest = copy;
    char *entry;
    while (code == MAILBUS_OK && (entry = strtok_r(rest, " \t\r\n", &rest)) != NULL) {
        code = parse_network(entry, &list, error);
    }
    if (code == MAILBUS_OK) {
        *ret_list = list;
    }
    free(copy);
    return code;
}

static bool in_network(const uint8_t *network, unsigned bits, const uint8_t *address)
{
    const size_t whole = bits / 8;
    if (memcmp(network, address, whole) != 0) {
        return false;
    }
    const unsigned rest = bits % 8;
    return rest == 0 || ((network[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool proxy_is_trusted(const proxy_list_t *list, const proxy_address_t *address)
{
    for (size_t i = 0; i < list->count; i++) {
        if (in_network(list->networks[i].bytes, list->networks[i].bits, address->bytes)) {
            return true;
        }
    }
    return false;
}

/* One entry of X-Forwarded-For: an address, with or without a port, as different proxies write it:
 * a.b.c.d, a.b.c.d:port, v6, [v6], [v6]:port. */
static bool parse_entry(const char *text, size_t size, proxy_address_t *ret_address)
{
    while (size > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    char copy[PROXY_ADDRESS_TEXT + 8]; /* with brackets and a port */
    if (size == 0 || size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    char *begin = copy;
    char *colon = strrchr(copy, ':');
    if (*begin == '[') {
        char *bracket = strchr(copy, ']');
        if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':')) {
            return false;
        }
        *bracket = '\0';
        begin++;
    } else if (colon != NULL && strchr(copy, ':') == colon) {
        *colon = '\0';
    }
    return parse_address(begin, ret_address);
}

/* Walk one header field from the right. True: go on with the field before it. */
static bool walk(const proxy_list_t *list, const guard_field_t *field, proxy_address_t *client)
{
    size_t end = field->value_size;
    for (;;) {
        size_t begin = end;
        while (begin > 0 && field->value[begin - 1] != ',') {
            begin--;
        }
        proxy_address_t entry;
        if (!parse_entry(field->value + begin, end - begin, &entry)) {
            return false;
        }
        *client = entry;
        if (!proxy_is_trusted(list, &entry)) {
            return false;
        }
        if (begin == 0) {
            return true;
        }
        end = begin - 1;
    }
}

proxy_address_t proxy_client(const proxy_list_t *list, const proxy_address_t *peer,
                             const guard_field_t *fields, size_t count)
{
    static const char name[] = "X-Forwarded-For";
    proxy_address_t client = *peer;
    if (list->count == 0 || !proxy_is_trusted(list, peer)) {
        return client;
    }
    for (size_t i = count; i > 0; i--) {
        const guard_field_t *field = &fields[i - 1];
        if (field->name_size == sizeof name - 1 &&
            strncasecmp(field->name, name, field->name_size) == 0 && !walk(list, field, &client)) {
            break;
        }
    }
    return client;
}
