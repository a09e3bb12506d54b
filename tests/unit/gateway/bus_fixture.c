#include "bus_fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"

int fixture_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->context = zmq_ctx_new();
    self->metrics = mb_metrics_new();
    const journal_options_t options = {
        .backend = "memory",
        .path = "",
        .keep_bodies_ms = 86400000,
        .keep_ids_ms = 86400000,
        .queue_events = 4096,
        .batch_events = 512,
        .quarantine_events = 10,
    };
    mailbus_error_t error;
    assert_int_equal(journal_open(&options, self->metrics, NULL, &self->journal, &error), 0);
    assert_int_equal(journal_start(self->journal, &error), 0);
    *state = self;
    return 0;
}

static void *term(void *context)
{
    zmq_ctx_term(context);
    return NULL;
}

/* A test that failed leaves sockets open, for which zmq_ctx_term would wait for ever, and the
 * reason would never be printed. */
int fixture_teardown(void **state)
{
    fixture_t *self = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, term, self->context), 0);
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += FIXTURE_DEADLINE_MS / 1000;
    if (pthread_timedjoin_np(thread, NULL, &deadline) != 0) {
        return -1;
    }
    journal_stop(self->journal);
    journal_close(&self->journal);
    mb_metrics_destroy(&self->metrics);
    free(self);
    return 0;
}

event_t *fixture_event(const char *topic, const char *id, const void *body, size_t size)
{
    event_t *event = event_new();
    assert_non_null(event);
    event->topic = strdup(topic);
    event->id = strdup(id);
    event->webhook_id = strdup("msg_1");
    event->source = strdup("/agentmail/inboxes/support%40agentmail.to");
    event->subject = strdup("<m1@example.com>");
    event->body = malloc(size + 1);
    assert_non_null(event->body);
    memcpy(event->body, body, size);
    event->body_size = size;
    mb_sha256(body, size, event->sha256);
    return event;
}

event_t *fixture_numbered(const char *topic, uint64_t sequence, uint64_t previous, size_t size)
{
    char *body = calloc(1, size + 1);
    char id[64];
    snprintf(id, sizeof id, "evt_%llu", (unsigned long long)sequence);
    event_t *event = fixture_event(topic, id, body, size);
    event->sequence = sequence;
    event->previous = previous;
    event->recorded_ms = 1791800000000 + (int64_t)sequence;
    free(body);
    return event;
}

typedef struct {
    atomic_int waiting;
    atomic_ullong sequence;
} commit_t;

static void committed(void *arg, const journal_result_t *result)
{
    commit_t *commit = arg;
    assert_int_equal(result->outcome, JOURNAL_STORED);
    atomic_store(&commit->sequence, result->sequence);
    atomic_fetch_sub(&commit->waiting, 1);
}

static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

static uint64_t wait_commits(commit_t *commit)
{
    int64_t deadline = mb_clock_monotonic_ms() + FIXTURE_DEADLINE_MS;
    while (atomic_load(&commit->waiting) > 0) {
        assert_true(mb_clock_monotonic_ms() < deadline);
        pause_ms(1);
    }
    return atomic_load(&commit->sequence);
}

uint64_t fixture_commit(fixture_t *self, event_t *event)
{
    commit_t commit = {.waiting = 1};
    assert_int_equal(journal_submit(self->journal, event, committed, &commit), MAILBUS_OK);
    return wait_commits(&commit);
}

uint64_t fixture_commit_many(fixture_t *self, const char *topic, size_t count, size_t size)
{
    commit_t commit = {.waiting = (int)count};
    char *body = malloc(size + 1);
    assert_non_null(body);
    memset(body, 'x', size);
    for (size_t i = 0; i < count; i++) {
        char id[192];
        snprintf(id, sizeof id, "%s-%zu", topic, i);
        event_t *event = fixture_event(topic, id, body, size);
        assert_int_equal(journal_submit(self->journal, event, committed, &commit), MAILBUS_OK);
        event_release(&event);
    }
    free(body);
    return wait_commits(&commit);
}

void fixture_option(void *socket, int option, int value)
{
    assert_int_equal(zmq_setsockopt(socket, option, &value, sizeof value), 0);
}

void *fixture_connect(fixture_t *self, int type, const char *endpoint)
{
    void *socket = zmq_socket(self->context, type);
    assert_non_null(socket);
    fixture_option(socket, ZMQ_LINGER, 0);
    if (type == ZMQ_SUB) {
        fixture_option(socket, ZMQ_RCVHWM, 0);
        assert_int_equal(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0), 0);
    }
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    return socket;
}

void fixture_send(void *socket, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        assert_true(zmq_send(socket, *texts, strlen(*texts), texts[1] != NULL ? ZMQ_SNDMORE : 0) >=
                    0);
    }
}

bool fixture_try_receive(void *socket, mb_message_t *ret_message, int wait_ms)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, wait_ms) <= 0) {
        return false;
    }
    return mb_message_receive(socket, ret_message, NULL) == MAILBUS_OK;
}

void fixture_receive(void *socket, mb_message_t *ret_message)
{
    if (!fixture_try_receive(socket, ret_message, FIXTURE_DEADLINE_MS)) {
        fail_msg("nothing came within %d ms", FIXTURE_DEADLINE_MS);
    }
}

bool fixture_frame_is(mb_message_t *message, size_t frame, const char *text)
{
    return frame < message->count && mb_message_size(message, frame) == strlen(text) &&
           memcmp(mb_message_data(message, frame), text, strlen(text)) == 0;
}

mb_metric_t *fixture_counter(fixture_t *self, const char *name, const char *labels)
{
    return mb_counter(self->metrics, name, labels, "");
}

mb_metric_t *fixture_gauge(fixture_t *self, const char *name, const char *labels)
{
    return mb_gauge(self->metrics, name, labels, "");
}

void fixture_wait_least(mb_metric_t *metric, uint64_t value)
{
    int64_t deadline = mb_clock_monotonic_ms() + FIXTURE_DEADLINE_MS;
    while (mb_metric_value(metric) < value) {
        if (mb_clock_monotonic_ms() > deadline) {
            fail_msg("a metric stays at %llu, %llu is wanted",
                     (unsigned long long)mb_metric_value(metric), (unsigned long long)value);
        }
        pause_ms(1);
    }
}

void fixture_wait_most(mb_metric_t *metric, uint64_t value)
{
    int64_t deadline = mb_clock_monotonic_ms() + FIXTURE_DEADLINE_MS;
    while (mb_metric_value(metric) > value) {
        if (mb_clock_monotonic_ms() > deadline) {
            fail_msg("a metric stays at %llu, at most %llu is wanted",
                     (unsigned long long)mb_metric_value(metric), (unsigned long long)value);
        }
        pause_ms(1);
    }
}

int fixture_tcp(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    assert_non_null(colon);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool fixture_tcp_closes(int fd, const void *data, size_t size)
{
    int64_t deadline = mb_clock_monotonic_ms() + FIXTURE_DEADLINE_MS;
    if (size > 0 && send(fd, data, size, MSG_NOSIGNAL) < 0) {
        return true;
    }
    while (mb_clock_monotonic_ms() < deadline) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        char buffer[4096];
        if (poll(&item, 1, 100) > 0 && recv(fd, buffer, sizeof buffer, 0) <= 0) {
            return true;
        }
    }
    return false;
}
