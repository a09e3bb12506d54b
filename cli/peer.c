#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum { STOPPED_MS = 500 }; /* so late nobody wakes who was not stopped, or as good as */

struct peer {
    void *socket;
    mb_monitor_t *monitor;
    char endpoint[256];
    char setting[32];
    char key_name[MB_KEY_NAME_MAX + 1];
    bool curve;
    bool connected; /* a connection was made, whether or not a handshake followed */
    bool shaken;    /* a handshake succeeded, and the connection lives */
    int failure;    /* ZMQ_EVENT_HANDSHAKE_FAILED_… since the last success; 0: none */
};

enum {
    WATCHED = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
              MB_MONITOR_HANDSHAKE_FAILED,
};

mailbus_code_t peer_new(void *context, int type, const peer_options_t *options, peer_t **ret_self,
                        mailbus_error_t *error)
{
    peer_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    snprintf(self->endpoint, sizeof self->endpoint, "%s", options->endpoint);
    snprintf(self->setting, sizeof self->setting, "%s", options->setting);
    snprintf(self->key_name, sizeof self->key_name, "%s", options->key_name);
    self->curve = options->socket.own != NULL;
    mailbus_code_t code =
        mb_socket_new_client(context, type, &options->socket, &self->socket, error);
    if (code == MAILBUS_OK) {
        code = mb_monitor_new(context, self->socket, WATCHED, &self->monitor, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_socket_connect(self->socket, options->endpoint, error);
    }
    if (code != MAILBUS_OK) {
        peer_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void peer_destroy(peer_t **self_p)
{
    peer_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    mb_monitor_destroy(&self->monitor);
    mb_socket_close(&self->socket);
    free(self);
    *self_p = NULL;
}

void *peer_socket(const peer_t *self)
{
    return self->socket;
}

static void read_monitor(peer_t *self)
{
    mb_monitor_event_t event;
    while (mb_monitor_next(self->monitor, &event) == MAILBUS_OK) {
        if (event.event == ZMQ_EVENT_CONNECTED) {
            self->connected = true;
        } else if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->shaken = true;
            self->failure = 0;
        } else if (event.event == ZMQ_EVENT_DISCONNECTED) {
            if (self->shaken) { /* it was a gateway, and has gone */
                self->shaken = false;
                self->connected = false;
            }
        } else {
            self->failure = event.event;
        }
    }
}

/* A refusal that comes again at every attempt: no need to wait out the time. */
static bool is_refused(const peer_t *self)
{
    return self->failure == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
           self->failure == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
}

mailbus_code_t peer_diagnose(const peer_t *self, mailbus_error_t *error)
{
    if (self->failure != 0 && self->curve) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "%s does not let the key '%s' in (%s failed): is it allowed there "
                            "('mailbus keys list'), was the gateway reloaded since, and is "
                            "server.key the gateway's?",
                            self->endpoint, self->key_name, mb_monitor_failure(self->failure));
    }
    if (self->failure != 0) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "%s wants a key: set bus.curve_dir to a folder with server.key and "
                            "clients/%s.key_secret ('mailbus keys new %s' on the gateway's side)",
                            self->endpoint, self->key_name, self->key_name);
    }
    if (self->shaken) {
        return mailbus_fail(error, MAILBUS_ETIMEOUT,
                            "%s takes the connection but does not answer: is it the gateway's %s?",
                            self->endpoint, self->setting);
    }
    if (self->connected) {
        return mailbus_fail(error, MAILBUS_ETIMEOUT,
                            "something listens on %s, but does not answer as a gateway%s does: is "
                            "it the gateway's %s?",
                            self->endpoint, self->curve ? " with keys" : "", self->setting);
    }
    return mailbus_fail(error, MAILBUS_ETIMEOUT,
                        "nobody listens on %s: start mailbus-gateway, or say where it is with "
                        "--set %s=ENDPOINT",
                        self->endpoint, self->setting);
}

mailbus_code_t peer_wait(peer_t *self, short events, int signal_fd, int wait_ms,
                         mailbus_error_t *error)
{
    int64_t end = mb_clock_monotonic_ms() + wait_ms;
    zmq_pollitem_t items[] = {
        {.socket = self->socket, .events = events},
        {.socket = mb_monitor_socket(self->monitor), .events = ZMQ_POLLIN},
        {.fd = signal_fd, .events = ZMQ_POLLIN},
    };
    while (true) {
        int64_t left = end - mb_clock_monotonic_ms();
        /* A socket takes messages for a peer that is not there; sending waits until one is. */
        items[0].events = (events & ZMQ_POLLOUT) != 0 && !self->shaken ? 0 : events;
        if (zmq_poll(items, 3, left > 0 ? (long)left : 0) < 0 && zmq_errno() != EINTR) {
            return mb_socket_fail(error, "can't wait");
        }
        if (mb_clock_monotonic_ms() - end > STOPPED_MS && left > 0) {
            end = mb_clock_monotonic_ms() + wait_ms; /* we were stopped (Ctrl-Z), not the gateway */
            left = wait_ms;
        }
        if ((items[2].revents & ZMQ_POLLIN) != 0) {
            return mailbus_fail(error, MAILBUS_ESTOPPED, "stopped");
        }
        read_monitor(self);
        if ((items[0].revents & items[0].events) != 0) {
            return MAILBUS_OK;
        }
        if (is_refused(self)) {
            return peer_diagnose(self, error);
        }
        if (left <= 0) {
            mailbus_error_t why;
            (void)peer_diagnose(self, &why);
            return mailbus_fail(error, MAILBUS_ETIMEOUT, "%s", why.text);
        }
    }
}
