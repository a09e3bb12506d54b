/* What the tests of the bus side share: a journal in memory, events, and plain libzmq peers. */
#ifndef BUS_FIXTURE_H
#define BUS_FIXTURE_H

#include "journal.h"
#include "zmq_socket.h"

#define FIXTURE_DEADLINE_MS 20000

typedef struct {
    void *context;
    mb_metrics_t *metrics;
    journal_t *journal;
} fixture_t;

/* For cmocka's setup and teardown: a started journal in memory, behind *state. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* An event with one reference; the test fails where there is no memory. */
event_t *fixture_event(const char *topic, const char *id, const void *body, size_t size);
/* The same with numbers, for tests without a journal. */
event_t *fixture_numbered(const char *topic, uint64_t sequence, uint64_t previous, size_t size);
/* Have the journal commit an event, and return its number. The reference is the caller's. */
uint64_t fixture_commit(fixture_t *self, event_t *event);
/* Commit `count` events named "<topic>-<n>" with bodies of `size` bytes; the last number. */
uint64_t fixture_commit_many(fixture_t *self, const char *topic, size_t count, size_t size);

/* A connected plain socket without linger. */
void *fixture_connect(fixture_t *self, int type, const char *endpoint);
void fixture_option(void *socket, int option, int value);
/* Send frames: size_t/pointer pairs would read badly, so texts, up to a NULL. */
void fixture_send(void *socket, const char *const *texts);
/* The next message; the test fails after the deadline. mb_message_close is the caller's. */
void fixture_receive(void *socket, mb_message_t *ret_message);
/* False where nothing comes within `wait_ms`. */
bool fixture_try_receive(void *socket, mb_message_t *ret_message, int wait_ms);
bool fixture_frame_is(mb_message_t *message, size_t frame, const char *text);
/* Wait until a metric has at least (or, in the second form, at most) `value`. */
void fixture_wait_least(mb_metric_t *metric, uint64_t value);
void fixture_wait_most(mb_metric_t *metric, uint64_t value);
/* The counter or gauge of that name and labels; registered already, so the help does not matter. */
mb_metric_t *fixture_counter(fixture_t *self, const char *name, const char *labels);
mb_metric_t *fixture_gauge(fixture_t *self, const char *name, const char *labels);

/* A TCP connection to a tcp:// endpoint of this machine, for what is not ZMTP. */
int fixture_tcp(const char *endpoint);
/* Send bytes, then read until the other side closes or the deadline ends; true where it closed. */
bool fixture_tcp_closes(int fd, const void *data, size_t size);

#endif
