/* What happens on a socket's connections (zmq_socket_monitor), for the thread that owns the socket.
 *
 * Failed handshakes can be seen nowhere else. Events wait in a bounded queue that libzmq's I/O
 * thread fills and blocks on when it is full, so the owner polls mb_monitor_socket and reads until
 * EAGAIN. */
#ifndef MB_ZMQ_MONITOR_H
#define MB_ZMQ_MONITOR_H

#include <stdint.h>
#include <zmq.h>

#include "mailbus/error.h"

typedef struct mb_monitor mb_monitor_t;

typedef struct {
    int event;      /* one of ZMQ_EVENT_… */
    uint32_t value; /* its meaning depends on the event: errno, ZAP status, descriptor */
    char address[128];
} mb_monitor_event_t;

/* Watch `socket` for `events` (ZMQ_EVENT_… or'ed together). ENOMEM or EIO. */
MAILBUS_MUST_USE mailbus_code_t mb_monitor_new(void *context, void *socket, int events,
                                               mb_monitor_t **ret_self, mailbus_error_t *error);
/* Before the watched socket is closed: else libzmq blocks on events that nobody reads. */
void mb_monitor_destroy(mb_monitor_t **self_p);
/* The socket to poll for ZMQ_POLLIN. */
void *mb_monitor_socket(const mb_monitor_t *self);
/* The next event; EAGAIN where there is none. Never blocks. */
MAILBUS_MUST_USE mailbus_code_t mb_monitor_next(mb_monitor_t *self, mb_monitor_event_t *ret_event);
/* True for the three kinds of failed handshake. */
#define MB_MONITOR_HANDSHAKE_FAILED                                                                \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |                  \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
/* "authentication", "protocol" or "connection lost": what a failed handshake failed on. */
const char *mb_monitor_failure(int event);

#endif
