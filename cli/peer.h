/* One socket to a gateway, with what its monitor has seen: so that a failure can be told in words.
 */
#ifndef CLI_PEER_H
#define CLI_PEER_H

#include "zmq_monitor.h"
#include "zmq_socket.h"

typedef struct peer peer_t;

typedef struct {
    const char *endpoint; /* lent while peer_new runs, as all of this */
    const char *setting;  /* the key that holds it: "bus.replay" */
    const char *key_name; /* bus.curve_name */
    mb_socket_options_t socket;
} peer_options_t;

MAILBUS_MUST_USE mailbus_code_t peer_new(void *context, int type, const peer_options_t *options,
                                         peer_t **ret_self, mailbus_error_t *error);
void peer_destroy(peer_t **self_p);
void *peer_socket(const peer_t *self);
/* Wait for ZMQ_POLLIN or ZMQ_POLLOUT. ESTOPPED: a signal came; EACCESS: the other side refused the
 * keys; ETIMEOUT: nothing in `wait_ms`, with what may be wrong. */
MAILBUS_MUST_USE mailbus_code_t peer_wait(peer_t *self, short events, int signal_fd, int wait_ms,
                                          mailbus_error_t *error);
/* What may be wrong, as far as the monitor saw it. */
mailbus_code_t peer_diagnose(const peer_t *self, mailbus_error_t *error);

#endif
