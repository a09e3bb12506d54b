/* A bound socket with what all that serve strangers need: options, a monitor that counts failed
 * handshakes, and binding anew on the same endpoint while the program runs.
 *
 * It is made by the starting thread and from then on belongs to one other, which also destroys it;
 * only mb_bound_is_bound and mb_bound_endpoint may be asked by any. */
#ifndef MB_ZMQ_BOUND_H
#define MB_ZMQ_BOUND_H

#include "log.h"
#include "metrics.h"
#include "zmq_socket.h"

typedef struct mb_bound mb_bound_t;

typedef struct {
    int type;          /* ZMQ_XPUB or ZMQ_ROUTER */
    const char *stage; /* in log lines, and the label socket="…" of the metrics; a literal */
    const char *endpoint;
    bool open;                /* bind beyond loopback without CURVE */
    const char *open_warning; /* what is then logged; a literal */
    const mb_key_pair_t *own; /* CURVE; NULL: plain */
    int send_hwm;
    int receive_hwm;
    int linger_ms;
    int64_t max_inbound; /* bytes of one inbound frame */
} mb_bound_options_t;

/* Bound when it returns OK; logs message=bound endpoint=…. */
MAILBUS_MUST_USE mailbus_code_t mb_bound_new(void *context, const mb_bound_options_t *options,
                                             mb_metrics_t *metrics, mb_log_t *log,
                                             mb_bound_t **ret_self, mailbus_error_t *error);
/* Close; what is queued is sent for linger_ms at most, in libzmq's own thread. */
void mb_bound_destroy(mb_bound_t **self_p);

/* The sockets to poll: NULL while not bound. Ask again after mb_bound_tend. */
void *mb_bound_handle(const mb_bound_t *self);
void *mb_bound_monitor(const mb_bound_t *self);
/* Count and log what the monitor saw; bind again where mb_bound_rebind closed and the
 * endpoint is free by now. Call it in every round of the owner's loop. */
void mb_bound_tend(mb_bound_t *self, int64_t now_ms);
/* Close all connections at once, dropping what is queued for them, and bind the same endpoint anew.
 */
void mb_bound_rebind(mb_bound_t *self);
/* Any thread. */
bool mb_bound_is_bound(const mb_bound_t *self);
/* The real endpoint, ports filled in. It stays the same over a rebind. Any thread. */
const char *mb_bound_endpoint(const mb_bound_t *self);

/* How long the owner may poll while the socket is not bound. */
#define MB_BOUND_RETRY_MS 50

#endif
