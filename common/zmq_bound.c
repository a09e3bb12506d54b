#include "zmq_bound.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "httpd.h"
#include "zmq_monitor.h"

#define ENDPOINT_SIZE 256

/* A peer that takes nothing from its connection for so long is disconnected by the kernel, whatever
 * heartbeats say: libzmq sends none while older data waits, so a stopped process with a full TCP
 * window would be kept for ever. */
#define STALLED_PEER_MS 30000

/* How long closing may take until the endpoint is free again. libzmq closes in its own thread. */
#define RELEASE_MS 2000

/* Failed handshakes are all counted, but one line a second a socket is enough for a log. */
#define LOG_INTERVAL_MS 1000

/* Monitor events taken in one round, so that a flood of connections does not starve the bus. */
#define EVENTS_PER_ROUND 256

struct mb_bound {
    /* Set once. */
    void *context;
    mb_bound_options_t options; /* endpoint: as asked for, until bound */
    mb_key_pair_t own;
    char endpoint[ENDPOINT_SIZE];
    mb_log_t *log;
    mb_metric_t *handshake_failures;
    mb_metric_t *rebinds;
    /* The owner's. */
    void *socket;
    mb_monitor_t *monitor;
    int64_t logged_ms; /* when a failed handshake was logged last */
    uint64_t unlogged;
    int64_t retry_ms; /* when binding is tried next; while not bound */
    /* For everybody. */
    atomic_bool bound;
};

/* Open, bind and watch. The first time `endpoint` may hold a wildcard; afterwards it is real. */
static mailbus_code_t socket_open(mb_bound_t *self, mailbus_error_t *error)
{
    const mb_bound_options_t *wanted = &self->options;
    const mb_socket_options_t options = {
        .send_hwm = wanted->send_hwm,
        .receive_hwm = wanted->receive_hwm,
        .linger_ms = wanted->linger_ms,
        .max_inbound = wanted->max_inbound,
        .own = wanted->own,
    };
    void *socket = NULL;
    mb_monitor_t *monitor = NULL;
    char endpoint[ENDPOINT_SIZE];
    mailbus_code_t code =
        mb_socket_new_server(self->context, wanted->type, &options, &socket, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    if (zmq_setsockopt(socket, ZMQ_TCP_MAXRT, &(int){STALLED_PEER_MS}, sizeof(int)) != 0) {
        code = mb_socket_fail(error, "setting a socket option");
        goto out;
    }
    code = mb_monitor_new(self->context, socket, MB_MONITOR_HANDSHAKE_FAILED | ZMQ_EVENT_CLOSED,
                          &monitor, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = mb_socket_bind(socket, self->endpoint, wanted->own != NULL, wanted->open, endpoint,
                          sizeof endpoint, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    if (strcmp(self->endpoint, endpoint) != 0) { /* only the first time: others read it later */
        memcpy(self->endpoint, endpoint, sizeof self->endpoint);
    }
    self->socket = socket;
    self->monitor = monitor;
    atomic_store(&self->bound, true);
    socket = NULL;
    monitor = NULL;
out:
    mb_monitor_destroy(&monitor);
    mb_socket_close(&socket);
    return code;
}

static void register_metrics(mb_bound_t *self, mb_metrics_t *metrics)
{
    char labels[64];
    snprintf(labels, sizeof labels, "socket=\"%s\"", self->options.stage);
    self->handshake_failures =
        mb_counter(metrics, "mailbus_bus_handshake_failures_total", labels,
                   "Connections to a bus socket that failed in the handshake: a wrong key, "
                   "another protocol, or gone too early");
    self->rebinds = mb_counter(metrics, "mailbus_bus_rebinds_total", labels,
                               "Times that a bus socket was closed and bound again");
}

mailbus_code_t mb_bound_new(void *context, const mb_bound_options_t *options, mb_metrics_t *metrics,
                            mb_log_t *log, mb_bound_t **ret_self, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    mb_bound_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a bus socket");
    }
    self->context = context;
    self->log = log;
    self->options = *options;
    atomic_init(&self->bound, false);
    self->logged_ms = INT64_MIN / 2;
    if (options->own != NULL) {
        self->own = *options->own;
        self->options.own = &self->own;
    }
    if (strlen(options->endpoint) >= sizeof self->endpoint) {
        code = mailbus_fail(error, MAILBUS_ETOOBIG, "the endpoint is longer than %d bytes",
                            ENDPOINT_SIZE - 1);
        goto out;
    }
    snprintf(self->endpoint, sizeof self->endpoint, "%s", options->endpoint);
    self->options.endpoint = self->endpoint;
    register_metrics(self, metrics);
    code = socket_open(self, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    mb_log(log, MB_INFO, options->stage, "bound", MB_S("endpoint", self->endpoint),
           MB_S("security", options->own != NULL ? "curve" : "none"));
    if (options->own == NULL && !mb_is_loopback(self->endpoint)) {
        mb_log(log, MB_WARN, options->stage, options->open_warning,
               MB_S("endpoint", self->endpoint));
    }
    *ret_self = self;
    self = NULL;
out:
    mb_bound_destroy(&self);
    return code;
}

void mb_bound_destroy(mb_bound_t **self_p)
{
    mb_bound_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    mb_monitor_destroy(&self->monitor);
    mb_socket_close(&self->socket);
    free(self);
}

void *mb_bound_handle(const mb_bound_t *self)
{
    return self->socket;
}

void *mb_bound_monitor(const mb_bound_t *self)
{
    return self->monitor != NULL ? mb_monitor_socket(self->monitor) : NULL;
}

static void handshake_failed(mb_bound_t *self, const mb_monitor_event_t *event, int64_t now_ms)
{
    mb_metric_add(self->handshake_failures, 1);
    if (now_ms - self->logged_ms < LOG_INTERVAL_MS) {
        self->unlogged++;
        return;
    }
    mb_log(self->log, MB_WARN, self->options.stage, "handshake failed",
           MB_S("reason", mb_monitor_failure(event->event)), MB_S("endpoint", event->address),
           MB_U("not_logged_before", self->unlogged));
    self->logged_ms = now_ms;
    self->unlogged = 0;
}

/* Take what the monitor saw. True where it saw the listener close. */
static bool monitor_read(mb_bound_t *self, int64_t now_ms)
{
    bool closed = false;
    mb_monitor_event_t event;
    for (int i = 0; i < EVENTS_PER_ROUND && mb_monitor_next(self->monitor, &event) == MAILBUS_OK;
         i++) {
        if (event.event & MB_MONITOR_HANDSHAKE_FAILED) {
            handshake_failed(self, &event, now_ms);
        } else if (event.event == ZMQ_EVENT_CLOSED) {
            closed = true;
        }
    }
    return closed;
}

void mb_bound_tend(mb_bound_t *self, int64_t now_ms)
{
    if (self->socket != NULL) {
        monitor_read(self, now_ms);
        return;
    }
    if (now_ms < self->retry_ms) {
        return;
    }
    mailbus_error_t error;
    if (socket_open(self, &error) == MAILBUS_OK) {
        mb_log(self->log, MB_INFO, self->options.stage, "bound again",
               MB_S("endpoint", self->endpoint));
        return;
    }
    self->retry_ms = now_ms + MB_BOUND_RETRY_MS;
    if (now_ms - self->logged_ms >= LOG_INTERVAL_MS) {
        mb_log(self->log, MB_ERROR, self->options.stage, "can't bind again, still trying",
               MB_S("endpoint", self->endpoint), MB_S("error", error.text));
        self->logged_ms = now_ms;
    }
}

/* Unbind and wait until libzmq's thread has closed the listener: an ipc listener removes its file
 * when it closes, which must not be the file of the next one. */
static void release_endpoint(mb_bound_t *self)
{
    if (zmq_unbind(self->socket, self->endpoint) != 0) {
        return;
    }
    int64_t deadline = mb_clock_monotonic_ms() + RELEASE_MS;
    bool closed = false;
    while (!closed && mb_clock_monotonic_ms() < deadline) {
        zmq_pollitem_t item = {.socket = mb_monitor_socket(self->monitor), .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, MB_BOUND_RETRY_MS);
        closed = monitor_read(self, mb_clock_monotonic_ms());
    }
}

void mb_bound_rebind(mb_bound_t *self)
{
    mb_metric_add(self->rebinds, 1);
    if (self->socket == NULL) {
        return;
    }
    atomic_store(&self->bound, false);
    release_endpoint(self);
    mb_monitor_destroy(&self->monitor);
    /* Whoever is no longer allowed gets nothing more: no linger. */
    const int none = 0;
    zmq_setsockopt(self->socket, ZMQ_LINGER, &none, sizeof none);
    mb_socket_close(&self->socket);
    self->retry_ms = 0;
}

bool mb_bound_is_bound(const mb_bound_t *self)
{
    return atomic_load(&self->bound);
}

const char *mb_bound_endpoint(const mb_bound_t *self)
{
    return self->endpoint;
}
