/* Where a client may connect to: a URL in an answer must not make us ask our own network. */
#ifndef AGENTMAIL_GUARD_H
#define AGENTMAIL_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "mailbus/error.h"

/* An address of the public internet: not one of IANA's special-purpose registries (RFC 6890 and its
 * updates: loopback, private, link-local, shared, documentation, multicast, reserved), also not
 * where it is wrapped in an IPv6 one (mapped, NAT64, 6to4). */
bool agentmail_address_is_public(const struct sockaddr *address);
bool agentmail_address_is_loopback(const struct sockaddr *address);

/* What a URL may be. Both refuse user names and fragments. */
typedef struct {
    bool https;    /* else http */
    bool loopback; /* the host is localhost, 127/8 or ::1 as written */
} agentmail_url_t;
MAILBUS_MUST_USE mailbus_code_t agentmail_url_check(const char *url, agentmail_url_t *ret_url,
                                                    mailbus_error_t *error);
/* True where both name the same scheme, host and port (as written, in any case). False for what is
 * no URL, and without memory. */
bool agentmail_url_same_origin(const char *url, const char *other);

#endif
