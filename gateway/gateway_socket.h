/* A bound bus socket with what both of them need: options, a monitor that counts failed handshakes,
 * and binding anew on the same endpoint while the program runs.
 *
 * It is made by the starting thread and from then on belongs to one other, which also destroys it;
 * only gateway_socket_bound and gateway_socket_endpoint may be asked by any. */
#ifndef GATEWAY_SOCKET_H
#define GATEWAY_SOCKET_H

#include "log.h"
#include "metrics.h"
#include "zmq_socket.h"

typedef struct gateway_socket gateway_socket_t;

typedef struct {
    int type;          /* ZMQ_XPUB or ZMQ_ROUTER */
    const char *stage; /* in log lines, and the label socket="…" of the metrics; a literal */
    const char *endpoint;
    bool open;                /* bind beyond loopback without CURVE */
    const mb_key_pair_t *own; /* CURVE; NULL: plain */
    int send_hwm;
    int receive_hwm;
    int linger_ms;
    int64_t max_inbound; /* bytes of one inbound frame */
} gateway_socket_options_t;

/* Bound when it returns OK; logs message=bound endpoint=…. */
MAILBUS_MUST_USE mailbus_code_t gateway_socket_new(void *context,
                                                   const gateway_socket_options_t *options,
                                                   mb_metrics_t *metrics, mb_log_t *log,
                                                   gateway_socket_t **ret_self,
                                                   mailbus_error_t *error);
/* Close; what is queued is sent for linger_ms at most, in libzmq's own thread. */
void gateway_socket_destroy(gateway_socket_t **self_p);

/* The sockets to poll: NULL while not bound. Ask again after gateway_socket_tend. */
void *gateway_socket_handle(const gateway_socket_t *self);
void *gateway_socket_monitor(const gateway_socket_t *self);
/* Count and log what the monitor saw; bind again where gateway_socket_rebind closed and the
 * endpoint is free by now. Call it in every round of the owner's loop. */
void gateway_socket_tend(gateway_socket_t *self, int64_t now_ms);
/* Close all connections at once, dropping what is queued for them, and bind the same endpoint anew.
 */
void gateway_socket_rebind(gateway_socket_t *self);
/* Any thread. */
bool gateway_socket_bound(const gateway_socket_t *self);
/* The real endpoint, ports filled in. It stays the same over a rebind. Any thread. */
const char *gateway_socket_endpoint(const gateway_socket_t *self);

/* How long the owner may poll while the socket is not bound. */
#define GATEWAY_SOCKET_RETRY_MS 50

#endif
