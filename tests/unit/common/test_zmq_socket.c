#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "zmq_socket.h"

enum { DEADLINE_MS = 10000 };

static const mb_socket_options_t small = {.max_inbound = 1024, .linger_ms = 0};

typedef struct {
    void *context;
    void *server;
    void *client;
    char endpoint[256];
    char *folder;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->context = zmq_ctx_new();
    self->folder = folder_make();
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_socket_close(&self->server);
    mb_socket_close(&self->client);
    zmq_ctx_term(self->context);
    folder_remove(&self->folder);
    free(self);
    return 0;
}

static void *server_of(fixture_t *self, int type)
{
    void *socket = NULL;
    assert_int_equal(mb_socket_new_server(self->context, type, &small, &socket, NULL), MAILBUS_OK);
    return socket;
}

static void join(fixture_t *self, int server, int client)
{
    self->server = server_of(self, server);
    assert_int_equal(mb_socket_new_client(self->context, client, &small, &self->client, NULL),
                     MAILBUS_OK);
    assert_int_equal(mb_socket_bind(self->server, "tcp://127.0.0.1:*", false, false, self->endpoint,
                                    sizeof self->endpoint, NULL),
                     MAILBUS_OK);
    assert_int_equal(mb_socket_connect(self->client, self->endpoint, NULL), MAILBUS_OK);
}

static bool wait_for(void *socket, short events, int timeout_ms)
{
    zmq_pollitem_t item = {.socket = socket, .events = events};
    return zmq_poll(&item, 1, timeout_ms) == 1;
}

static int option(void *socket, int name)
{
    int value = -1;
    size_t size = sizeof value;
    assert_int_equal(zmq_getsockopt(socket, name, &value, &size), 0);
    return value;
}

static void test_options_are_set(void **state)
{
    fixture_t *self = *state;
    join(self, ZMQ_ROUTER, ZMQ_DEALER);
    void *both[] = {self->server, self->client};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(option(both[i], ZMQ_HEARTBEAT_IVL), 2000);
        assert_int_equal(option(both[i], ZMQ_HEARTBEAT_TIMEOUT), 6000);
        assert_int_equal(option(both[i], ZMQ_HEARTBEAT_TTL), 6000);
        assert_int_equal(option(both[i], ZMQ_HANDSHAKE_IVL), 3000);
        assert_int_equal(option(both[i], ZMQ_LINGER), 0);
    }
    assert_int_equal(option(self->client, ZMQ_RECONNECT_IVL), 500);
    assert_int_equal(option(self->client, ZMQ_RECONNECT_IVL_MAX), 30000);
    assert_int_equal(option(self->client, ZMQ_IMMEDIATE), 0); /* see zmq_socket.h */
}

static void test_endpoints_come_back_as_they_were_given(void **state)
{
    fixture_t *self = *state;
    join(self, ZMQ_ROUTER, ZMQ_DEALER);
    assert_int_equal(strncmp(self->endpoint, "tcp://127.0.0.1:", 16), 0);
    /* A name or an IPv6 address may lead to either family. */
    static const char *const open[] = {"tcp://[::1]:5", "tcp://localhost:5"};
    for (size_t i = 0; i < 2; i++) {
        void *client = NULL;
        assert_int_equal(mb_socket_new_client(self->context, ZMQ_DEALER, &small, &client, NULL),
                         MAILBUS_OK);
        assert_int_equal(mb_socket_connect(client, open[i], NULL), MAILBUS_OK);
        assert_int_equal(option(client, ZMQ_IPV6), 1);
        mb_socket_close(&client);
    }
}

static void test_without_keys_only_this_machine_is_served(void **state)
{
    fixture_t *self = *state;
    mailbus_error_t error;
    self->server = server_of(self, ZMQ_XPUB);
    static const char *const open[] = {"tcp://*:*", "tcp://0.0.0.0:*", "tcp://[::]:*"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mb_socket_bind(self->server, open[i], false, false, NULL, 0, &error),
                         MAILBUS_EACCESS);
        assert_non_null(strstr(error.text, "bus.curve_dir"));
        assert_non_null(strstr(error.text, "bus.open"));
    }
    assert_int_equal(mb_socket_bind(self->server, "tcp://127.0.0.1:*", false, false, NULL, 0, NULL),
                     MAILBUS_OK);
    assert_int_equal(mb_socket_bind(self->server, "tcp://0.0.0.0:*", false, true, self->endpoint,
                                    sizeof self->endpoint, NULL),
                     MAILBUS_OK);
    assert_null(strstr(self->endpoint, "*"));
}

static void test_bad_endpoints_are_told_apart(void **state)
{
    fixture_t *self = *state;
    mailbus_error_t error;
    self->server = server_of(self, ZMQ_XPUB);
    assert_int_equal(mb_socket_bind(self->server, "http://127.0.0.1:1", true, true, NULL, 0, NULL),
                     MAILBUS_EINVAL);
    assert_int_equal(mb_socket_bind(self->server, "nonsense", true, true, NULL, 0, NULL),
                     MAILBUS_EINVAL);
    assert_int_equal(mb_socket_bind(self->server, "tcp://192.0.2.1:5", true, true, NULL, 0, NULL),
                     MAILBUS_EINVAL);
    assert_int_equal(mb_socket_bind(self->server, "tcp://127.0.0.1:*", false, false, self->endpoint,
                                    sizeof self->endpoint, NULL),
                     MAILBUS_OK);
    void *second = server_of(self, ZMQ_XPUB);
    assert_int_equal(mb_socket_bind(second, self->endpoint, false, false, NULL, 0, &error),
                     MAILBUS_EEXIST);
    assert_non_null(strstr(error.text, self->endpoint));
    assert_int_equal(mb_socket_connect(second, "tcp:/x", NULL), MAILBUS_EINVAL);
    mb_socket_close(&second);
}

static void test_ipc_takes_a_stale_file_and_leaves_a_living_one(void **state)
{
    fixture_t *self = *state;
    char path[200];
    char endpoint[256];
    struct stat status;
    folder_path(self->folder, "bus", path, sizeof path);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    self->server = server_of(self, ZMQ_XPUB);
    assert_int_equal(mb_socket_bind(self->server, endpoint, false, false, self->endpoint,
                                    sizeof self->endpoint, NULL),
                     MAILBUS_OK);
    assert_string_equal(self->endpoint, endpoint);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    void *second = server_of(self, ZMQ_XPUB);
    assert_int_equal(mb_socket_bind(second, endpoint, false, false, NULL, 0, NULL), MAILBUS_EEXIST);
    assert_int_equal(stat(path, &status), 0);
    /* What a killed process leaves: a name whose socket nobody listens on. */
    char stale[200];
    folder_path(self->folder, "stale", stale, sizeof stale);
    assert_int_equal(link(path, stale), 0);
    mb_socket_close(&self->server);
    mb_socket_close(&second);
    zmq_ctx_term(self->context); /* waits until all is closed */
    self->context = zmq_ctx_new();
    snprintf(endpoint, sizeof endpoint, "ipc://%s", stale);
    assert_int_equal(stat(stale, &status), 0);
    self->server = server_of(self, ZMQ_XPUB);
    assert_int_equal(mb_socket_bind(self->server, endpoint, false, false, NULL, 0, NULL),
                     MAILBUS_OK);
    /* A file of another kind is somebody's. */
    (void)unlink(path);
    folder_write(path, "data", 0600);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    assert_int_equal(mb_socket_bind(self->server, endpoint, false, false, NULL, 0, NULL),
                     MAILBUS_EEXIST);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 4);
}

static void test_message_comes_frame_by_frame(void **state)
{
    fixture_t *self = *state;
    mb_message_t message;
    join(self, ZMQ_ROUTER, ZMQ_DEALER);
    assert_int_equal(mb_message_receive(self->server, &message, NULL), MAILBUS_EAGAIN);
    assert_true(wait_for(self->client, ZMQ_POLLOUT, DEADLINE_MS));
    static char big[900]; /* not one of libzmq's small messages, that hold their bytes themselves */
    memset(big, 'b', sizeof big);
    assert_int_equal(mb_frame_send(self->client, "FETCH", 5, true, NULL), MAILBUS_OK);
    assert_int_equal(mb_frame_send(self->client, "", 0, true, NULL), MAILBUS_OK);
    assert_int_equal(mb_frame_send(self->client, big, sizeof big, false, NULL), MAILBUS_OK);
    assert_true(wait_for(self->server, ZMQ_POLLIN, DEADLINE_MS));
    assert_int_equal(mb_message_receive(self->server, &message, NULL), MAILBUS_OK);
    assert_int_equal(message.count, 4);
    assert_false(message.too_many);
    assert_int_equal(mb_message_size(&message, 2), 0);
    assert_memory_equal(mb_message_data(&message, 1), "FETCH", 5);
    assert_memory_equal(mb_message_data(&message, 3), big, sizeof big);
    mb_message_close(&message);
}

static void test_too_many_frames_are_dropped_and_told(void **state)
{
    fixture_t *self = *state;
    mb_message_t message;
    join(self, ZMQ_ROUTER, ZMQ_DEALER);
    assert_true(wait_for(self->client, ZMQ_POLLOUT, DEADLINE_MS));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(mb_frame_send(self->client, "x", 1, i < 99, NULL), MAILBUS_OK);
    }
    assert_int_equal(mb_frame_send(self->client, "next", 4, false, NULL), MAILBUS_OK);
    assert_true(wait_for(self->server, ZMQ_POLLIN, DEADLINE_MS));
    assert_int_equal(mb_message_receive(self->server, &message, NULL), MAILBUS_OK);
    assert_int_equal(message.count, MB_FRAMES_MAX);
    assert_true(message.too_many);
    mb_message_close(&message);
    assert_true(wait_for(self->server, ZMQ_POLLIN, DEADLINE_MS));
    assert_int_equal(mb_message_receive(self->server, &message, NULL), MAILBUS_OK);
    assert_memory_equal(mb_message_data(&message, 1), "next", 4);
    mb_message_close(&message);
}

static void test_larger_than_allowed_never_arrives(void **state)
{
    fixture_t *self = *state;
    mb_message_t message;
    char *big = calloc(1, 2000);
    join(self, ZMQ_ROUTER, ZMQ_DEALER);
    assert_true(wait_for(self->client, ZMQ_POLLOUT, DEADLINE_MS));
    assert_int_equal(mb_frame_send(self->client, big, 2000, false, NULL), MAILBUS_OK);
    /* The connection is cut; what comes over the next one arrives. */
    bool arrived = false;
    for (int i = 0; i < 50 && !arrived; i++) {
        if (wait_for(self->client, ZMQ_POLLOUT, 200)) {
            assert_int_not_equal(mb_frame_send(self->client, "small", 5, false, NULL), MAILBUS_EIO);
        }
        arrived = wait_for(self->server, ZMQ_POLLIN, 200);
    }
    assert_true(arrived);
    assert_int_equal(mb_message_receive(self->server, &message, NULL), MAILBUS_OK);
    assert_int_equal(mb_message_size(&message, 1), 5);
    mb_message_close(&message);
    free(big);
}

static void test_answer_to_the_departed_is_an_error(void **state)
{
    fixture_t *self = *state;
    join(self, ZMQ_ROUTER, ZMQ_DEALER);
    assert_int_equal(mb_frame_send(self->server, "nobody", 6, true, NULL), MAILBUS_EAGAIN);
}

static void receive_text(void *socket, const char *text, bool more)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    assert_int_not_equal(zmq_msg_recv(&frame, socket, 0), -1);
    assert_int_equal(zmq_msg_size(&frame), strlen(text));
    assert_memory_equal(zmq_msg_data(&frame), text, strlen(text));
    assert_int_equal(zmq_msg_more(&frame), more);
    zmq_msg_close(&frame);
}

/* The server goes while the client has read the first frame of a message, and comes back: the rest
 * of the message, and all that was received, is still there. With ZMQ_IMMEDIATE this aborts. */
static void test_a_half_read_message_outlives_a_reconnect(void **state)
{
    enum { MESSAGES = 300 };
    fixture_t *self = *state;
    join(self, ZMQ_XPUB, ZMQ_SUB);
    assert_int_equal(zmq_setsockopt(self->client, ZMQ_RCVTIMEO, &(int){DEADLINE_MS}, sizeof(int)),
                     0);
    assert_int_equal(zmq_setsockopt(self->client, ZMQ_SUBSCRIBE, "", 0), 0);
    assert_int_equal(zmq_setsockopt(self->server, ZMQ_RCVTIMEO, &(int){DEADLINE_MS}, sizeof(int)),
                     0);
    receive_text(self->server, "\1", false);
    assert_int_equal(zmq_setsockopt(self->server, ZMQ_LINGER, &(int){DEADLINE_MS}, sizeof(int)), 0);
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(mb_frame_send(self->server, "a", 1, true, NULL), MAILBUS_OK);
        assert_int_equal(mb_frame_send(self->server, "b", 1, true, NULL), MAILBUS_OK);
        assert_int_equal(mb_frame_send(self->server, "c", 1, false, NULL), MAILBUS_OK);
    }
    receive_text(self->client, "a", true);
    mb_socket_close(&self->server);
    self->server = server_of(self, ZMQ_XPUB);
    while (zmq_bind(self->server, self->endpoint) != 0) {
        assert_int_equal(zmq_errno(), EADDRINUSE); /* until the old socket is gone */
    }
    assert_int_equal(zmq_setsockopt(self->server, ZMQ_RCVTIMEO, &(int){DEADLINE_MS}, sizeof(int)),
                     0);
    /* What happened to the connection reaches the client's socket when it is asked for its events;
     * then it subscribes again. */
    zmq_pollitem_t subscribed = {.socket = self->server, .events = ZMQ_POLLIN};
    for (int tries = 0; tries < DEADLINE_MS / 10 && zmq_poll(&subscribed, 1, 10) == 0; tries++) {
        (void)option(self->client, ZMQ_EVENTS);
    }
    receive_text(self->server, "\1", false);
    receive_text(self->client, "b", true);
    receive_text(self->client, "c", false);
    for (int i = 1; i < MESSAGES; i++) {
        receive_text(self->client, "a", true);
        receive_text(self->client, "b", true);
        receive_text(self->client, "c", false);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_options_are_set),
        TEST(test_endpoints_come_back_as_they_were_given),
        TEST(test_without_keys_only_this_machine_is_served),
        TEST(test_bad_endpoints_are_told_apart),
        TEST(test_ipc_takes_a_stale_file_and_leaves_a_living_one),
        TEST(test_message_comes_frame_by_frame),
        TEST(test_too_many_frames_are_dropped_and_told),
        TEST(test_larger_than_allowed_never_arrives),
        TEST(test_answer_to_the_departed_is_an_error),
        TEST(test_a_half_read_message_outlives_a_reconnect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
