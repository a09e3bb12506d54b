/* The publisher's thread owns the XPUB socket. Everybody else talks to it through the queue, two
 * flags and an eventfd. */
#include "publisher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "gateway_account.h"
#include "publisher_message.h"
#include "publisher_queue.h"
#include "wake.h"
#include "zmq_bound.h"

/* One inbound frame. A subscription is a topic (128 bytes) and its first byte; the handshake of
 * CURVE and the properties of ZMTP fit as well. */
#define INBOUND_MAX 1024

/* Bytes of bodies that wait between journal and publisher. The queue's length alone would let a
 * burst of the largest events take gigabytes. */
#define QUEUE_BYTES_MAX (64u * 1024 * 1024)

/* Bytes of bodies that libzmq holds for slow subscribers. A body is held once, however many
 * subscribers lag; the high-water mark bounds their number and this their size. Beyond it events
 * are not published until the laggards have taken theirs or are disconnected. */
#define IN_FLIGHT_MAX (256u * 1024 * 1024)

/* Bytes of all prefixes that were ever new since the socket was bound. libzmq keeps them in a tree
 * of some 50 bytes a byte, without a bound of its own. Honest subscribers need a few hundred;
 * beyond this the publisher binds anew, which forgets them all (and honest ones subscribe again).
 * A cancellation gives nothing back: libzmq hands on those of prefixes that the peer never
 * subscribed to as well, and nothing tells them apart. */
#define SUBSCRIBED_BYTES_MAX (1024u * 1024)

/* Events and inbound messages in one round, so that neither starves the other or the heads. */
#define EVENTS_PER_ROUND  256
#define INBOUND_PER_ROUND 1024

struct publisher {
    /* Set once. */
    journal_t *journal;
    char stream[MAILBUS_UUID_SIZE];
    int heads_interval_ms;
    mb_log_t *log;
    mb_metric_t *published, *dropped_queue, *dropped_memory, *heads_sent, *subscriptions, *ignored,
        *in_flight;
    /* For everybody. */
    publisher_queue_t *queue;
    int wake_fd;
    atomic_bool stopping;
    atomic_bool rebind;
    /* The thread's. */
    pthread_t thread;
    bool running; /* there is a thread to join */
    mb_bound_t *socket;
    gateway_account_t *account;
    mailbus_buf_t buffer;
    size_t subscribed;       /* distinct prefixes, as far as peers are honest */
    size_t subscribed_bytes; /* of all that were new since the socket was bound */
    int64_t heads_due_ms;
    bool heads_failed; /* said in the log */
};

static void *handle(const publisher_t *self)
{
    return mb_bound_handle(self->socket);
}

static void publish_event(publisher_t *self, event_t *event)
{
    zmq_msg_t frames[3];
    if (handle(self) == NULL || gateway_account_bytes(self->account) > IN_FLIGHT_MAX ||
        publisher_event_frames(event, self->stream, self->account, &self->buffer, frames) !=
            MAILBUS_OK ||
        !publisher_send(handle(self), frames)) {
        mb_metric_add(self->dropped_memory, 1);
        mb_log(self->log, MB_DEBUG, "publisher", "not published", MB_S("id", event->id),
               MB_S("topic", event->topic), MB_U("sequence", event->sequence));
        return;
    }
    mb_metric_add(self->published, 1);
    mb_log(self->log, MB_DEBUG, "publisher", "published", MB_S("id", event->id),
           MB_S("topic", event->topic), MB_U("sequence", event->sequence),
           MB_U("previous", event->previous));
}

/* Publish one round's worth. False where nothing waited. */
static bool publish_queued(publisher_t *self)
{
    event_t *events[EVENTS_PER_ROUND];
    size_t count = publisher_queue_take(self->queue, events, EVENTS_PER_ROUND);
    for (size_t i = 0; i < count; i++) {
        publish_event(self, events[i]);
        event_release(&events[i]);
    }
    return count > 0;
}

static void publish_heads(publisher_t *self)
{
    zmq_msg_t frames[3];
    mailbus_heads_t *heads = NULL;
    mailbus_code_t code = publisher_queue_heads(self->queue, &heads);
    if (code == MAILBUS_OK) {
        code = publisher_heads_frames(heads, &self->buffer, frames);
        mailbus_heads_free(&heads);
    }
    if (code == MAILBUS_OK) {
        if (publisher_send(handle(self), frames)) {
            mb_metric_add(self->heads_sent, 1);
        }
    } else if (!self->heads_failed) {
        self->heads_failed = true;
        mb_log(self->log, MB_ERROR, "publisher",
               "bus.heads can't be made: subscribers don't notice loss at the tail",
               MB_S("error", mailbus_code_name(code)),
               MB_U("topics_at_most", MAILBUS_HEADS_MAX_TOPICS));
    }
    mb_metric_set(self->in_flight, (int64_t)gateway_account_bytes(self->account));
}

/* XPUB hands on the first subscription to a prefix and the last cancellation, as one frame: 1 or 0,
 * then the prefix. Anything else is a peer's own message, which nobody here wants. */
static void note_inbound(publisher_t *self, mb_message_t *message)
{
    const uint8_t *data = mb_message_data(message, 0);
    size_t size = message->count == 1 ? mb_message_size(message, 0) : 0;
    if (message->too_many || size == 0 || data[0] > 1) {
        mb_metric_add(self->ignored, 1);
        return;
    }
    if (data[0] == 1) {
        self->subscribed++;
        self->subscribed_bytes += size;
    } else if (self->subscribed > 0) {
        self->subscribed--;
    }
    mb_metric_set(self->subscriptions, (int64_t)self->subscribed);
}

static void forget_subscriptions(publisher_t *self)
{
    self->subscribed = 0;
    self->subscribed_bytes = 0;
    mb_metric_set(self->subscriptions, 0);
    mb_bound_rebind(self->socket);
}

static void read_inbound(publisher_t *self)
{
    mb_message_t message;
    for (int i = 0; i < INBOUND_PER_ROUND; i++) {
        if (mb_message_receive(handle(self), &message, NULL) != MAILBUS_OK) {
            return;
        }
        note_inbound(self, &message);
        mb_message_close(&message);
        if (self->subscribed_bytes > SUBSCRIBED_BYTES_MAX) {
            mb_log(self->log, MB_WARN, "publisher",
                   "too many subscriptions: all are dropped, and who needs them asks again",
                   MB_U("subscriptions", self->subscribed),
                   MB_U("bytes_at_most", SUBSCRIBED_BYTES_MAX));
            forget_subscriptions(self);
            return;
        }
    }
}

static void wait_for_work(publisher_t *self, int64_t now_ms)
{
    zmq_pollitem_t items[3] = {{.fd = self->wake_fd, .events = ZMQ_POLLIN}};
    int count = 1;
    int64_t timeout = self->heads_due_ms > now_ms ? self->heads_due_ms - now_ms : 0;
    if (handle(self) != NULL) {
        items[count++] = (zmq_pollitem_t){.socket = handle(self), .events = ZMQ_POLLIN};
        items[count++] =
            (zmq_pollitem_t){.socket = mb_bound_monitor(self->socket), .events = ZMQ_POLLIN};
    } else {
        timeout = MB_BOUND_RETRY_MS;
    }
    if (zmq_poll(items, count, (long)timeout) > 0 && (items[0].revents & ZMQ_POLLIN)) {
        mb_wake_clear(self->wake_fd);
    }
}

/* One round of everything that may be due. True where more waits already. */
static bool tend(publisher_t *self)
{
    int64_t now_ms = mb_clock_monotonic_ms();
    if (atomic_exchange(&self->rebind, false)) {
        forget_subscriptions(self);
    }
    mb_bound_tend(self->socket, now_ms);
    if (handle(self) == NULL) {
        return false; /* events wait in the queue */
    }
    read_inbound(self);
    if (handle(self) == NULL) {
        return false;
    }
    bool more = publish_queued(self);
    if (now_ms >= self->heads_due_ms) {
        publish_heads(self);
        self->heads_due_ms = now_ms + self->heads_interval_ms;
    }
    return more;
}

static void *publisher_run(void *arg)
{
    publisher_t *self = arg;
    while (!atomic_load(&self->stopping)) {
        if (!tend(self)) {
            wait_for_work(self, mb_clock_monotonic_ms());
        }
    }
    while (publish_queued(self)) {
    }
    if (handle(self) != NULL) {
        publish_heads(self);
    }
    mb_bound_destroy(&self->socket);
    return NULL;
}

static void register_metrics(publisher_t *self, mb_metrics_t *metrics)
{
    static const char *const dropped = "mailbus_bus_dropped_total";
    static const char *const help = "Events that were not published; subscribers fetch them";
    self->published =
        mb_counter(metrics, "mailbus_bus_published_total", "", "Events sent on the bus");
    self->dropped_queue = mb_counter(metrics, dropped, "reason=\"queue\"", help);
    self->dropped_memory = mb_counter(metrics, dropped, "reason=\"memory\"", help);
    self->heads_sent =
        mb_counter(metrics, "mailbus_bus_heads_total", "", "bus.heads messages sent on the bus");
    self->subscriptions = mb_gauge(metrics, "mailbus_bus_subscriptions", "",
                                   "Different prefixes that are subscribed to");
    self->ignored = mb_counter(metrics, "mailbus_bus_ignored_total", "",
                               "Messages to the publisher that were no subscription");
    self->in_flight = mb_gauge(metrics, "mailbus_bus_in_flight_bytes", "",
                               "Bodies that were published and that some subscriber has not taken");
}

static mailbus_code_t publisher_open(publisher_t *self, void *context,
                                     const publisher_options_t *options, mb_metrics_t *metrics,
                                     mailbus_error_t *error)
{
    const mb_bound_options_t socket_options = {
        .type = ZMQ_XPUB,
        .stage = "publisher",
        .endpoint = options->endpoint,
        .open = options->open,
        .open_warning = "open without keys: everybody who reaches it reads all mail",
        .own = options->own,
        .send_hwm = options->send_hwm,
        .linger_ms = options->linger_ms,
        .max_inbound = INBOUND_MAX,
    };
    mailbus_heads_t *heads = NULL;
    mailbus_code_t code = journal_heads(self->journal, &heads);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "the journal's heads can't be read: %s",
                            mailbus_code_name(code));
    }
    code = publisher_queue_new(options->queue_events, QUEUE_BYTES_MAX, heads, &self->queue, error);
    mailbus_heads_free(&heads);
    if (code != MAILBUS_OK) {
        return code;
    }
    self->account = gateway_account_new(NULL);
    if (self->account == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the publisher");
    }
    code = mb_wake_new(&self->wake_fd, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    return mb_bound_new(context, &socket_options, metrics, self->log, &self->socket, error);
}

mailbus_code_t publisher_new(void *context, const publisher_options_t *options, journal_t *journal,
                             mb_metrics_t *metrics, mb_log_t *log, publisher_t **ret_self,
                             mailbus_error_t *error)
{
    publisher_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the publisher");
    }
    self->wake_fd = -1;
    self->journal = journal;
    self->log = log;
    self->heads_interval_ms = options->heads_interval_ms;
    atomic_init(&self->stopping, false);
    atomic_init(&self->rebind, false);
    memcpy(self->stream, journal_stream(journal), sizeof self->stream);
    register_metrics(self, metrics);
    mailbus_code_t code = publisher_open(self, context, options, metrics, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    if (pthread_create(&self->thread, NULL, publisher_run, self) != 0) {
        code = mailbus_fail(error, MAILBUS_EIO, "the publisher's thread can't be started");
        goto out;
    }
    self->running = true;
    *ret_self = self;
    self = NULL;
out:
    publisher_destroy(&self);
    return code;
}

void publisher_destroy(publisher_t **self_p)
{
    publisher_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->running) {
        atomic_store(&self->stopping, true);
        mb_wake(self->wake_fd);
        pthread_join(self->thread, NULL);
    }
    mb_bound_destroy(&self->socket);
    publisher_queue_destroy(&self->queue);
    gateway_account_release(&self->account);
    mailbus_buf_free(&self->buffer);
    if (self->wake_fd >= 0) {
        close(self->wake_fd);
    }
    free(self);
}

void publisher_committed(void *self_v, event_t *const *events, size_t count,
                         const mailbus_heads_t *heads)
{
    (void)heads; /* they are ahead of what was sent: the queue has its own */
    publisher_t *self = self_v;
    bool was_empty;
    size_t dropped = publisher_queue_put(self->queue, events, count, &was_empty);
    mb_metric_add(self->dropped_queue, dropped);
    if (was_empty && count > 0) {
        mb_wake(self->wake_fd);
    }
}

void publisher_rebind(publisher_t *self)
{
    atomic_store(&self->rebind, true);
    mb_wake(self->wake_fd);
}

bool publisher_bound(const publisher_t *self)
{
    return mb_bound_is_bound(self->socket);
}

const char *publisher_endpoint(const publisher_t *self)
{
    return mb_bound_endpoint(self->socket);
}
