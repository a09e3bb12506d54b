/* The publisher on its real socket, with plain libzmq peers on the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus_fixture.h"
#include "publisher.h"

#define NEVER_MS 3600000 /* no heads but the first and the last */

static publisher_t *publisher_with(fixture_t *fixture, const char *endpoint, int heads_ms, int hwm,
                                   int linger_ms)
{
    const publisher_options_t options = {
        .endpoint = endpoint,
        .send_hwm = hwm,
        .queue_events = 100000,
        .heads_interval_ms = heads_ms,
        .linger_ms = linger_ms,
    };
    publisher_t *publisher = NULL;
    mailbus_error_t error = {.text = ""};
    if (publisher_new(fixture->context, &options, fixture->journal, fixture->metrics, NULL,
                      &publisher, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    /* The first heads are out before anybody could hear them. */
    fixture_wait_least(fixture_counter(fixture, "mailbus_bus_heads_total", ""), 1);
    return publisher;
}

static mb_metric_t *subscriptions(fixture_t *fixture)
{
    return fixture_gauge(fixture, "mailbus_bus_subscriptions", "");
}

/* A subscriber to everything, known to the publisher. */
static void *subscriber(fixture_t *fixture, const publisher_t *publisher)
{
    void *socket = fixture_connect(fixture, ZMQ_SUB, publisher_endpoint(publisher));
    fixture_wait_least(subscriptions(fixture), 1);
    return socket;
}

static void publish(publisher_t *publisher, event_t *event)
{
    publisher_committed(publisher, &event, 1, NULL);
}

static void publish_numbered(publisher_t *publisher, uint64_t sequence, size_t size)
{
    event_t *event = fixture_numbered("message.received", sequence, sequence - 1, size);
    publish(publisher, event);
    event_release(&event);
}

/* The sequence that bus.heads names, from its header. */
static uint64_t heads_sequence(mb_message_t *message)
{
    mailbus_heads_t *heads = NULL;
    assert_int_equal(message->count, 3);
    assert_int_equal(mailbus_heads_decode(mb_message_data(message, 1), mb_message_size(message, 1),
                                          mb_message_data(message, 2), mb_message_size(message, 2),
                                          &heads, NULL),
                     MAILBUS_OK);
    uint64_t sequence = heads->sequence;
    mailbus_heads_free(&heads);
    return sequence;
}

static uint64_t event_sequence(mb_message_t *message)
{
    mailbus_event_t *event = NULL;
    assert_int_equal(message->count, 3);
    assert_int_equal(mailbus_event_decode(mb_message_data(message, 0), mb_message_size(message, 0),
                                          mb_message_data(message, 1), mb_message_size(message, 1),
                                          mb_message_data(message, 2), mb_message_size(message, 2),
                                          &event, NULL),
                     MAILBUS_OK);
    uint64_t sequence = event->sequence;
    mailbus_event_free(&event);
    return sequence;
}

static void test_an_event_is_three_frames_and_its_body_is_byte_for_byte(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 1000);
    void *socket = subscriber(fixture, publisher);
    static const char body[] = "{\"a\": \"\xc3\xa9\0\r\n\xff\"}";
    event_t *event = fixture_event("message.received", "evt_1", body, sizeof body);
    event->sequence = 1;
    event->recorded_ms = 1791800000000;
    publish(publisher, event);
    mb_message_t message;
    fixture_receive(socket, &message);
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(event_header(event, journal_stream(fixture->journal), &header, NULL), 0);
    assert_int_equal(message.count, 3);
    assert_true(fixture_frame_is(&message, 0, "message.received"));
    assert_true(fixture_frame_is(&message, 1, header.data));
    assert_int_equal(mb_message_size(&message, 2), sizeof body);
    assert_memory_equal(mb_message_data(&message, 2), body, sizeof body);
    mb_message_close(&message);
    mailbus_buf_free(&header);
    event_release(&event);
    zmq_close(socket);
    publisher_destroy(&publisher);
}

static void test_an_empty_body_goes_out_as_an_empty_frame(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 1000);
    void *socket = subscriber(fixture, publisher);
    publish_numbered(publisher, 1, 0);
    mb_message_t message;
    fixture_receive(socket, &message);
    assert_int_equal(message.count, 3);
    assert_int_equal(mb_message_size(&message, 2), 0);
    mb_message_close(&message);
    zmq_close(socket);
    publisher_destroy(&publisher);
}

/* Whatever heads say, the events up to there came before them. */
static void test_heads_never_run_ahead_of_the_events(void **state)
{
    enum { EVENTS = 5000 };
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", 1, 100000, 1000);
    void *socket = subscriber(fixture, publisher);
    for (uint64_t i = 1; i <= EVENTS; i++) {
        publish_numbered(publisher, i, 100);
    }
    uint64_t seen = 0;
    int heads = 0;
    while (seen < EVENTS || heads == 0) {
        mb_message_t message;
        fixture_receive(socket, &message);
        if (fixture_frame_is(&message, 0, MAILBUS_TOPIC_HEADS)) {
            heads++;
            assert_true(heads_sequence(&message) <= seen);
        } else {
            assert_int_equal(event_sequence(&message), seen + 1);
            seen++;
        }
        mb_message_close(&message);
    }
    zmq_close(socket);
    publisher_destroy(&publisher);
}

static void test_heads_come_at_the_start_and_at_the_end(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 5000);
    assert_int_equal(mb_metric_value(fixture_counter(fixture, "mailbus_bus_heads_total", "")), 1);
    void *socket = subscriber(fixture, publisher);
    publish_numbered(publisher, 1, 10);
    publisher_destroy(&publisher);
    mb_message_t message;
    fixture_receive(socket, &message);
    assert_int_equal(event_sequence(&message), 1);
    mb_message_close(&message);
    fixture_receive(socket, &message);
    assert_true(fixture_frame_is(&message, 0, MAILBUS_TOPIC_HEADS));
    assert_int_equal(heads_sequence(&message), 1);
    mb_message_close(&message);
    zmq_close(socket);
}

static void test_a_stop_sends_everything_that_is_queued(void **state)
{
    enum { EVENTS = 900 };
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 2000, 10000);
    void *socket = subscriber(fixture, publisher);
    for (uint64_t i = 1; i <= EVENTS; i++) {
        publish_numbered(publisher, i, 2000);
    }
    publisher_destroy(&publisher);
    for (uint64_t i = 1; i <= EVENTS; i++) {
        mb_message_t message;
        fixture_receive(socket, &message);
        assert_int_equal(event_sequence(&message), i);
        mb_message_close(&message);
    }
    zmq_close(socket);
}

/* A subscriber that never reads costs the mark's worth of bodies and what TCP holds, not more. */
static void test_a_stopped_subscriber_costs_no_more_than_the_mark(void **state)
{
    enum { HWM = 20, SIZE = 64 * 1024, EVENTS = 2000 };
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", 5, HWM, 0);
    void *socket = zmq_socket(fixture->context, ZMQ_SUB);
    fixture_option(socket, ZMQ_LINGER, 0);
    fixture_option(socket, ZMQ_RCVHWM, 1);
    fixture_option(socket, ZMQ_RCVBUF, 4096);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "message.", 8), 0);
    assert_int_equal(zmq_connect(socket, publisher_endpoint(publisher)), 0);
    fixture_wait_least(subscriptions(fixture), 1);
    for (uint64_t i = 1; i <= EVENTS; i++) {
        publish_numbered(publisher, i, SIZE);
        fixture_wait_least(fixture_counter(fixture, "mailbus_bus_published_total", ""), i);
    }
    mb_metric_t *heads = fixture_counter(fixture, "mailbus_bus_heads_total", "");
    fixture_wait_least(heads, mb_metric_value(heads) + 2); /* the gauge is set then */
    uint64_t held = mb_metric_value(fixture_gauge(fixture, "mailbus_bus_in_flight_bytes", ""));
    assert_true(held > 0);
    assert_true(held < (HWM + 4) * (SIZE + 1024));
    zmq_close(socket);
    fixture_wait_most(fixture_gauge(fixture, "mailbus_bus_in_flight_bytes", ""), 0);
    publisher_destroy(&publisher);
}

static void test_hostile_messages_are_ignored_and_events_go_on(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 1000);
    void *honest = subscriber(fixture, publisher);
    void *hostile = fixture_connect(fixture, ZMQ_XSUB, publisher_endpoint(publisher));
    static const char *const many[] = {"x", "y", "z", "1", "2", "3", "4", "5", "6", "7", NULL};
    static const char *const binary[] = {"\x7f\x80\xff", NULL};
    static const char *const empty[] = {"", NULL};
    fixture_send(hostile, many);
    fixture_send(hostile, binary);
    fixture_send(hostile, empty);
    fixture_wait_least(fixture_counter(fixture, "mailbus_bus_ignored_total", ""), 2);
    /* A cancellation of what was never subscribed to; then a frame above the limit, for which
     * libzmq cuts the connection. */
    static const char unknown[] = "\0never";
    assert_true(zmq_send(hostile, unknown, sizeof unknown - 1, 0) >= 0);
    char *large = calloc(1, 100000);
    assert_true(zmq_send(hostile, large, 100000, 0) >= 0);
    free(large);
    int fd = fixture_tcp(publisher_endpoint(publisher));
    assert_true(fixture_tcp_closes(fd, "GET / HTTP/1.0\r\n\r\n", 18));
    close(fd);
    publish_numbered(publisher, 1, 10);
    mb_message_t message;
    fixture_receive(honest, &message);
    assert_int_equal(event_sequence(&message), 1);
    mb_message_close(&message);
    zmq_close(hostile);
    zmq_close(honest);
    publisher_destroy(&publisher);
}

static void test_a_failed_handshake_is_counted(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 1000);
    mb_metric_t *failures =
        fixture_counter(fixture, "mailbus_bus_handshake_failures_total", "socket=\"publisher\"");
    uint64_t before = mb_metric_value(failures);
    /* ZMTP's greeting with a mechanism that is not ours. */
    char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01PLAIN";
    int fd = fixture_tcp(publisher_endpoint(publisher));
    assert_true(fixture_tcp_closes(fd, greeting, sizeof greeting));
    close(fd);
    fixture_wait_least(failures, before + 1);
    publisher_destroy(&publisher);
}

/* Prefixes live in libzmq's own tree, which has no bound. */
static void test_too_many_subscriptions_are_forgotten_and_honest_ones_come_back(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", 20, 1000, 0);
    void *honest = subscriber(fixture, publisher);
    void *hostile = zmq_socket(fixture->context, ZMQ_SUB);
    fixture_option(hostile, ZMQ_LINGER, 0);
    fixture_option(hostile, ZMQ_SNDHWM, 0); /* of subscriptions */
    assert_int_equal(zmq_connect(hostile, publisher_endpoint(publisher)), 0);
    mb_metric_t *rebinds =
        fixture_counter(fixture, "mailbus_bus_rebinds_total", "socket=\"publisher\"");
    uint64_t before = mb_metric_value(rebinds);
    for (int i = 0; i < 1500; i++) {
        char prefix[1000];
        memset(prefix, 'x', sizeof prefix);
        snprintf(prefix, sizeof prefix, "%d", i);
        assert_int_equal(zmq_setsockopt(hostile, ZMQ_SUBSCRIBE, prefix, sizeof prefix), 0);
    }
    fixture_wait_least(rebinds, before + 1);
    zmq_close(hostile);
    mb_message_t message;
    while (fixture_try_receive(honest, &message, 0)) { /* what came before the cut */
        mb_message_close(&message);
    }
    fixture_receive(honest, &message); /* the next heads */
    mb_message_close(&message);
    zmq_close(honest);
    publisher_destroy(&publisher);
}

/* A frame of ZMTP 3.0: 1 and a prefix subscribes, 0 and a prefix cancels. */
static bool send_subscription(int fd, uint8_t what, const char prefix[1000])
{
    uint8_t frame[9 + 1001] = {2, 0, 0, 0, 0, 0, 0, 1001 >> 8, 1001 & 255, what};
    memcpy(frame + 10, prefix, 1000);
    return send(fd, frame, sizeof frame, MSG_NOSIGNAL) == (ssize_t)sizeof frame;
}

/* A subscriber's connection, made by hand: libzmq's own would not send what follows. */
static int shake_hands(const publisher_t *publisher)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL";
    static const char ready[] = "\4\x19\5READY\13Socket-Type\0\0\0\3SUB";
    uint8_t answer[256];
    int fd = fixture_tcp(publisher_endpoint(publisher));
    assert_int_equal(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
    assert_int_equal(recv(fd, answer, sizeof greeting, MSG_WAITALL), sizeof greeting);
    assert_int_equal(send(fd, ready, sizeof ready - 1, MSG_NOSIGNAL), sizeof ready - 1);
    assert_int_equal(recv(fd, answer, 2, MSG_WAITALL), 2); /* READY: a short command, its size */
    assert_int_equal(recv(fd, answer + 2, answer[1], MSG_WAITALL), answer[1]);
    return fd;
}

/* libzmq hands on a cancellation of what the peer never subscribed to, as if it were one. */
static void test_false_cancellations_make_no_room_for_subscriptions(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 1000);
    mb_metric_t *rebinds =
        fixture_counter(fixture, "mailbus_bus_rebinds_total", "socket=\"publisher\"");
    const uint64_t before = mb_metric_value(rebinds);
    int fd = shake_hands(publisher);
    bool open = true; /* until the publisher cuts it */
    for (int i = 0; i < 1500 && open; i++) {
        char prefix[1000] = "";
        char never[1000] = "never";
        snprintf(prefix, sizeof prefix, "%d", i);
        open = send_subscription(fd, 1, prefix) && send_subscription(fd, 0, never);
    }
    fixture_wait_least(rebinds, before + 1);
    close(fd);
    publisher_destroy(&publisher);
}

static void rebind_on(fixture_t *fixture, const char *endpoint)
{
    publisher_t *publisher = publisher_with(fixture, endpoint, 20, 1000, 0);
    char before[256];
    snprintf(before, sizeof before, "%s", publisher_endpoint(publisher));
    void *socket = subscriber(fixture, publisher);
    mb_message_t message;
    for (int round = 1; round <= 5; round++) {
        mb_metric_t *rebinds =
            fixture_counter(fixture, "mailbus_bus_rebinds_total", "socket=\"publisher\"");
        uint64_t count = mb_metric_value(rebinds);
        publisher_rebind(publisher);
        fixture_wait_least(rebinds, count + 1);
        /* The subscriber is cut, finds the same endpoint and hears heads again. */
        while (fixture_try_receive(socket, &message, 0)) {
            mb_message_close(&message);
        }
        fixture_receive(socket, &message);
        mb_message_close(&message);
        assert_string_equal(publisher_endpoint(publisher), before);
    }
    assert_true(publisher_bound(publisher));
    zmq_close(socket);
    publisher_destroy(&publisher);
}

static void test_a_rebind_keeps_the_endpoint(void **state)
{
    rebind_on(*state, "tcp://127.0.0.1:*");
}

static void test_a_rebind_keeps_the_ipc_file(void **state)
{
    char folder[] = "/tmp/mailbus-publisher-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/publish", folder);
    rebind_on(*state, endpoint);
    unlink(endpoint + strlen("ipc://"));
    assert_int_equal(rmdir(folder), 0);
}

static void test_events_wait_for_the_end_of_a_rebind(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *publisher = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 1000, 0);
    mb_metric_t *published = fixture_counter(fixture, "mailbus_bus_published_total", "");
    uint64_t before = mb_metric_value(published);
    publisher_rebind(publisher);
    for (uint64_t i = 1; i <= 100; i++) {
        publish_numbered(publisher, i, 10);
    }
    fixture_wait_least(published, before + 100);
    publisher_destroy(&publisher);
}

static void test_a_taken_endpoint_is_an_error_with_words(void **state)
{
    fixture_t *fixture = *state;
    publisher_t *first = publisher_with(fixture, "tcp://127.0.0.1:*", NEVER_MS, 10, 0);
    const publisher_options_t options = {.endpoint = publisher_endpoint(first),
                                         .send_hwm = 10,
                                         .queue_events = 10,
                                         .heads_interval_ms = NEVER_MS};
    publisher_t *second = NULL;
    mailbus_error_t error = {.text = ""};
    assert_int_equal(publisher_new(fixture->context, &options, fixture->journal, fixture->metrics,
                                   NULL, &second, &error),
                     MAILBUS_EEXIST);
    assert_null(second);
    assert_non_null(strstr(error.text, publisher_endpoint(first)));
    publisher_destroy(&first);
}

static void test_a_plain_socket_is_not_bound_beyond_loopback(void **state)
{
    fixture_t *fixture = *state;
    const publisher_options_t options = {.endpoint = "tcp://0.0.0.0:*",
                                         .send_hwm = 10,
                                         .queue_events = 10,
                                         .heads_interval_ms = NEVER_MS};
    publisher_t *publisher = NULL;
    mailbus_error_t error = {.text = ""};
    assert_int_equal(publisher_new(fixture->context, &options, fixture->journal, fixture->metrics,
                                   NULL, &publisher, &error),
                     MAILBUS_EACCESS);
    assert_non_null(strstr(error.text, "bus.curve_dir"));
}

int main(void)
{
#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(test_an_event_is_three_frames_and_its_body_is_byte_for_byte),
        ON_FIXTURE(test_an_empty_body_goes_out_as_an_empty_frame),
        ON_FIXTURE(test_heads_never_run_ahead_of_the_events),
        ON_FIXTURE(test_heads_come_at_the_start_and_at_the_end),
        ON_FIXTURE(test_a_stop_sends_everything_that_is_queued),
        ON_FIXTURE(test_a_stopped_subscriber_costs_no_more_than_the_mark),
        ON_FIXTURE(test_hostile_messages_are_ignored_and_events_go_on),
        ON_FIXTURE(test_a_failed_handshake_is_counted),
        ON_FIXTURE(test_too_many_subscriptions_are_forgotten_and_honest_ones_come_back),
        ON_FIXTURE(test_false_cancellations_make_no_room_for_subscriptions),
        ON_FIXTURE(test_a_rebind_keeps_the_endpoint),
        ON_FIXTURE(test_a_rebind_keeps_the_ipc_file),
        ON_FIXTURE(test_events_wait_for_the_end_of_a_rebind),
        ON_FIXTURE(test_a_taken_endpoint_is_an_error_with_words),
        ON_FIXTURE(test_a_plain_socket_is_not_bound_beyond_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
