/* Whose request is it, when it came through a proxy? For limits and logs only, never for trust. */
#ifndef GATEWAY_PROXY_H
#define GATEWAY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "guard.h"
#include "mailbus/error.h"

/* An IP address; IPv4 in its mapped form, ::ffff:a.b.c.d, so that there is one kind only. */
typedef struct {
    uint8_t bytes[16];
} proxy_address_t;

#define PROXY_ADDRESS_TEXT 46 /* INET6_ADDRSTRLEN */
#define PROXY_NETWORKS_MAX 64 /* a CDN publishes about 25 */

/* All zeros for a family that is no IP. */
proxy_address_t proxy_from_socket(const struct sockaddr *address);
void proxy_format(const proxy_address_t *address, char text[PROXY_ADDRESS_TEXT]);
/* One number for each IPv4 address and each IPv6 /64, which is what one customer gets. */
uint64_t proxy_limit_key(const proxy_address_t *address);

typedef struct {
    struct {
        uint8_t bytes[16];
        unsigned bits; /* of the mapped form */
    } networks[PROXY_NETWORKS_MAX];
    size_t count;
} proxy_list_t;

/* Blank-separated addresses and networks, "10.0.0.0/8 2001:db8::/32 127.0.0.1". EINVAL names the
 * bad one. */
MAILBUS_MUST_USE mailbus_code_t proxy_list_parse(const char *text, proxy_list_t *ret_list,
                                                 mailbus_error_t *error);
bool proxy_is_trusted(const proxy_list_t *list, const proxy_address_t *address);

/* The client of a request from `peer`. Where the peer is trusted, X-Forwarded-For is read from the
 * right (only the right end was written by somebody we trust) past further trusted addresses to the
 * first one that is not. What can't be read ends the walk at the last address that could. */
proxy_address_t proxy_client(const proxy_list_t *list, const proxy_address_t *peer,
                             const guard_field_t *fields, size_t count);

#endif
