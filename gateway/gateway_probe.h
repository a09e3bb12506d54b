/* The check at start that CURVE really keeps strangers out.
 *
 * libzmq lets everybody in where no ZAP handler runs or the domain is not enforced, without a word.
 * So a client with a key made up on the spot knocks at the bound endpoint, and must not get in. */
#ifndef GATEWAY_PROBE_H
#define GATEWAY_PROBE_H

#include "keys.h"

/* `type` is what connects to that endpoint (ZMQ_SUB, ZMQ_DEALER): with any other, libzmq turns the
 * stranger away for its type, and the key is never asked for.
 * OK where the stranger was turned away for its key. EACCESS where it got in; EIO or ETIMEOUT where
 * that did not show within GATEWAY_PROBE_MS; all of these mean: don't start. `endpoint` is a real
 * one, not a wildcard. */
#define GATEWAY_PROBE_MS 5000
MAILBUS_MUST_USE mailbus_code_t gateway_probe(void *context, int type, const char *endpoint,
                                              const char *server_key, mailbus_error_t *error);

#endif
