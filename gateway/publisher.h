/* Stage 5: the publisher. One thread owns the XPUB socket; it sends events in the order of their
 * sequences, and `bus.heads` once a second. What it can't send (a full queue, a slow subscriber)
 * the subscriber fetches: nothing here can lose an event for good. */
#ifndef GATEWAY_PUBLISHER_H
#define GATEWAY_PUBLISHER_H

#include "journal.h"
#include "zmq_socket.h"

typedef struct publisher publisher_t;

typedef struct {
    const char *endpoint;
    bool open;                /* bind beyond loopback without CURVE (bus.open) */
    const mb_key_pair_t *own; /* CURVE; NULL: plain */
    int send_hwm;             /* messages a subscriber may lag before it is served by replay */
    size_t queue_events;   /* between journal and publisher; beyond it events are not published */
    int heads_interval_ms; /* 1000 */
    int linger_ms;
} publisher_options_t;

/* Bound and running when it returns OK. `context` and `journal` are lent. */
MAILBUS_MUST_USE mailbus_code_t publisher_new(void *context, const publisher_options_t *options,
                                              journal_t *journal, mb_metrics_t *metrics,
                                              mb_log_t *log, publisher_t **ret_self,
                                              mailbus_error_t *error);
/* Send what is queued and the last heads, linger, close. */
void publisher_destroy(publisher_t **self_p);
/* A journal_committed_fn; arg is the publisher. Never blocks. */
void publisher_committed(void *self, event_t *const *events, size_t count,
                         const mailbus_heads_t *heads);
/* Close and bind the socket again (after a key was revoked). Returns at once; the publisher's
 * thread does it. What was queued for connected subscribers is dropped: they fetch it. */
void publisher_rebind(publisher_t *self);
/* False while a rebind is under way. Any thread. */
bool publisher_bound(const publisher_t *self);
/* The real endpoint, ports filled in. */
const char *publisher_endpoint(const publisher_t *self);

#endif
