#include "zmq_monitor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zmq_socket.h"

struct mb_monitor {
    void *watched;
    void *pair;
};

/* The name of the inproc endpoint must be unique in the process; an address in memory is, while it
 * is in use, but may come back before libzmq has let go of the old name. */
static uint64_t next_number(void)
{
    static _Atomic uint64_t number;
    return atomic_fetch_add(&number, 1);
}

mailbus_code_t mb_monitor_new(void *context, void *socket, int events, mb_monitor_t **ret_self,
                              mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    char endpoint[64];
    mb_monitor_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a socket monitor");
    }
    snprintf(endpoint, sizeof endpoint, "inproc://mailbus-monitor-%" PRIu64, next_number());
    if (zmq_socket_monitor(socket, endpoint, events) != 0) {
        code = mb_socket_fail(error, "watching a socket");
        goto out;
    }
    self->watched = socket;
    self->pair = zmq_socket(context, ZMQ_PAIR);
    if (self->pair == NULL || zmq_connect(self->pair, endpoint) != 0) {
        code = mb_socket_fail(error, "watching a socket");
        goto out;
    }
    *ret_self = self;
    self = NULL;
out:
    mb_monitor_destroy(&self);
    return code;
}

void mb_monitor_destroy(mb_monitor_t **self_p)
{
    mb_monitor_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->watched != NULL) {
        zmq_socket_monitor(self->watched, NULL, 0);
    }
    mb_socket_close(&self->pair);
    free(self);
}

void *mb_monitor_socket(const mb_monitor_t *self)
{
    return self->pair;
}

mailbus_code_t mb_monitor_next(mb_monitor_t *self, mb_monitor_event_t *ret_event)
{
    mb_message_t message;
    mailbus_code_t code = mb_message_receive(self->pair, &message, NULL);
    if (code != MAILBUS_OK) {
        return code;
    }
    /* Two frames: event (16 bits) and value (32 bits) in the machine's order; the address. */
    assert(message.count == 2 && mb_message_size(&message, 0) == 6);
    const uint8_t *head = mb_message_data(&message, 0);
    uint16_t event;
    memcpy(&event, head, sizeof event);
    memcpy(&ret_event->value, head + sizeof event, sizeof ret_event->value);
    ret_event->event = event;
    size_t size = mb_message_size(&message, 1);
    size = size < sizeof ret_event->address ? size : sizeof ret_event->address - 1;
    memcpy(ret_event->address, mb_message_data(&message, 1), size);
    ret_event->address[size] = '\0';
    mb_message_close(&message);
    return MAILBUS_OK;
}

const char *mb_monitor_failure(int event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return "authentication";
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return "protocol";
    default:
        return "connection lost";
    }
}
