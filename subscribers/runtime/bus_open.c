/* Starting and stopping the bus thread: sockets, subscriptions, metrics. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus_internal.h"
#include "clock.h"
#include "encoding.h"

static void wake(void *arg)
{
    const bus_t *self = arg;
    uint64_t one = 1;
    if (write(self->wake, &one, sizeof one) < 0) {
        /* Full: it is awake. */
    }
}

static void register_metrics(bus_t *self, mb_metrics_t *metrics)
{
    static const char name[] = "mailbus_subscriber_events_total";
    static const char help[] = "Events that came from the gateway, by what was done with them";
    self->taken = mb_counter(metrics, name, "result=\"taken\"", help);
    self->seen = mb_counter(metrics, name, "result=\"seen\"", help);
    self->gaps = mb_counter(metrics, name, "result=\"gap\"", help);
    self->foreign = mb_counter(metrics, name, "result=\"other_stream\"", help);
    self->malformed = mb_counter(metrics, name, "result=\"malformed\"", help);
    self->other_shard = mb_counter(metrics, name, "result=\"other_shard\"", help);
    self->dropped_full = mb_counter(metrics, name, "result=\"inbox_full\"", help);
    self->pages = mb_counter(metrics, "mailbus_subscriber_pages_total", "",
                             "Pages fetched from the gateway's replay");
    self->requests_failed = mb_counter(metrics, "mailbus_subscriber_requests_failed_total", "",
                                       "Replay requests without a good answer");
    self->lost = mb_counter(metrics, "mailbus_subscriber_sequences_trimmed_total", "",
                            "Sequences that the gateway no longer kept when they were asked for");
    self->streams = mb_counter(metrics, "mailbus_subscriber_new_streams_total", "",
                               "Times that the gateway had another journal");
    self->head_gauge = mb_gauge(metrics, "mailbus_subscriber_head", "",
                                "Last sequence of the gateway's journal that was heard of");
    self->cursor_gauge = mb_gauge(metrics, "mailbus_subscriber_cursor", "",
                                  "Everything that matches is here up to this sequence");
    self->lag_gauge = mb_gauge(metrics, "mailbus_subscriber_lag", "",
                               "Sequences between the cursor and the head");
    self->connected = mb_gauge(metrics, "mailbus_subscriber_connections", "",
                               "Open connections to the gateway, two when all is well");
    self->refused = mb_counter(metrics, "mailbus_subscriber_handshakes_failed_total", "",
                               "Connections that the gateway refused");
}

static mailbus_code_t subscribe(bus_t *self, const char *topic, mailbus_error_t *error)
{
    if (zmq_setsockopt(self->sub, ZMQ_SUBSCRIBE, topic, strlen(topic)) != 0) {
        return mb_socket_fail(error, "subscribing");
    }
    return MAILBUS_OK;
}

static mailbus_code_t subscribe_all(bus_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = subscribe(self, MAILBUS_TOPIC_HEADS, error);
    const char *const *lists[] = {self->options.topics, self->options.prefixes};
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; code == MAILBUS_OK && lists[l] != NULL && lists[l][i] != NULL; i++) {
            code = subscribe(self, lists[l][i], error);
        }
    }
    return code;
}

static mailbus_code_t open_socket(bus_t *self, void *context, int type, const char *endpoint,
                                  void **ret_socket, mb_monitor_t **ret_monitor,
                                  mailbus_error_t *error)
{
    const mb_socket_options_t options = {.receive_hwm = BUS_RECEIVE_HWM,
                                         .linger_ms = BUS_LINGER_MS,
                                         .max_inbound = BUS_MESSAGE_MAX,
                                         .own = self->options.own,
                                         .server_key = self->options.server_key};
    mailbus_code_t code = mb_socket_new_client(context, type, &options, ret_socket, error);
    if (code == MAILBUS_OK) {
        code = mb_monitor_new(context, *ret_socket,
                              MB_MONITOR_HANDSHAKE_FAILED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                  ZMQ_EVENT_DISCONNECTED,
                              ret_monitor, error);
    }
    if (code == MAILBUS_OK && type == ZMQ_SUB) {
        code = subscribe_all(self, error);
    }
    return code != MAILBUS_OK ? code : mb_socket_connect(*ret_socket, endpoint, error);
}

static mailbus_code_t open_all(bus_t *self, void *context, mailbus_error_t *error)
{
    uint64_t random;
    mailbus_code_t code = mb_random(&random, sizeof random);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "no random bytes from the system");
    }
    snprintf(self->request_prefix, sizeof self->request_prefix, "%016" PRIx64, random);
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->wake < 0) {
        return mailbus_fail(error, MAILBUS_EIO, "eventfd: %s", strerror(errno));
    }
    self->gap = gap_new(self->options.topics, self->options.prefixes);
    if (self->gap == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the cursor");
    }
    code = bus_note_load(self, error);
    if (code == MAILBUS_OK) {
        code = open_socket(self, context, ZMQ_SUB, self->options.publish, &self->sub,
                           &self->sub_monitor, error);
    }
    if (code == MAILBUS_OK) {
        code = open_socket(self, context, ZMQ_DEALER, self->options.replay, &self->dealer,
                           &self->dealer_monitor, error);
    }
    return code;
}

mailbus_code_t bus_new(void *context, const bus_options_t *options, inbox_t *inbox,
                       mb_metrics_t *metrics, mb_log_t *log, bus_t **ret_self,
                       mailbus_error_t *error)
{
    bus_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the bus");
    }
    self->options = *options;
    self->inbox = inbox;
    self->log = log;
    self->wake = -1;
    self->heads_ms = mb_clock_monotonic_ms();
    pthread_mutex_init(&self->lock, NULL);
    register_metrics(self, metrics);
    mailbus_code_t code = open_all(self, context, error);
    if (code == MAILBUS_OK) {
        /* A stored cursor is a position; what came since is fetched. */
        self->positioned = gap_stream(self->gap)[0] != '\0';
        self->note_saved_ms = self->heads_ms;
        bus_want(self, BUS_ASK_PAGE);
        inbox_on_finished(inbox, wake, self);
        int failed = pthread_create(&self->thread, NULL, bus_run, self);
        self->started = failed == 0;
        if (failed != 0) {
            code = mailbus_fail(error, MAILBUS_EIO, "no thread for the bus: %s", strerror(failed));
        }
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        bus_destroy(&self);
    }
    return code;
}

void bus_destroy(bus_t **self_p)
{
    bus_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->started) {
        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_mutex_unlock(&self->lock);
        wake(self);
        pthread_join(self->thread, NULL);
    }
    inbox_on_finished(self->inbox, NULL, NULL);
    mb_monitor_destroy(&self->sub_monitor);
    mb_monitor_destroy(&self->dealer_monitor);
    mb_socket_close(&self->sub);
    mb_socket_close(&self->dealer);
    bus_batch_clear(self);
    gap_destroy(&self->gap);
    mailbus_buf_free(&self->note);
    mailbus_buf_free(&self->saved);
    if (self->wake >= 0) {
        close(self->wake);
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
}
