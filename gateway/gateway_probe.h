/* The check at start that CURVE really keeps strangers out.
 *
 * libzmq lets everybody in where no ZAP handler runs or the domain is not enforced, without a word.
 * So a client with a key made up on the spot knocks at the bound endpoint, and must not get in. */
#ifndef GATEWAY_PROBE_H
#define GATEWAY_PROBE_H

#include "keys.h"

/* OK where the stranger was turned away. EACCESS where it got in; ETIMEOUT where the socket did not
 * say within GATEWAY_PROBE_MS; both mean: don't start. `endpoint` is a real one, not a wildcard. */
#define GATEWAY_PROBE_MS 5000
MAILBUS_MUST_USE mailbus_code_t gateway_probe(void *context, const char *endpoint,
                                              const char *server_key, mailbus_error_t *error);

#endif
