/* Who may come in: real CURVE handshakes over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "folder.h"
#include "zap.h"
#include "zap_limit.h"
#include "zmq_socket.h"

enum { DEADLINE_MS = 10000 };

typedef struct {
    char *folder;
    void *context;
    mb_metrics_t *metrics;
    mb_zap_t *zap;
    mb_key_pair_t server;
    void *bound;
    char endpoint[256];
} fixture_t;

static void bind_server(fixture_t *self, const char *endpoint)
{
    const mb_socket_options_t options = {.max_inbound = 1024, .own = &self->server};
    mailbus_error_t error;
    assert_int_equal(
        mb_socket_new_server(self->context, ZMQ_ROUTER, &options, &self->bound, &error),
        MAILBUS_OK);
    assert_int_equal(mb_socket_bind(self->bound, endpoint, true, false, self->endpoint,
                                    sizeof self->endpoint, &error),
                     MAILBUS_OK);
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_make();
    self->context = zmq_ctx_new();
    self->metrics = mb_metrics_new();
    assert_int_equal(mb_keys_new(self->folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_load_server(self->folder, &self->server, NULL), MAILBUS_OK);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_socket_close(&self->bound);
    mb_zap_destroy(&self->zap);
    zmq_ctx_term(self->context);
    mb_metrics_destroy(&self->metrics);
    folder_remove(&self->folder);
    free(self);
    return 0;
}

static void start_handler(fixture_t *self)
{
    assert_int_equal(mb_zap_new(self->context, self->folder, self->metrics, NULL, &self->zap, NULL),
                     MAILBUS_OK);
}

static uint64_t refused(fixture_t *self, const char *reason)
{
    char labels[64];
    snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    return mb_metric_value(mb_counter(self->metrics, "mailbus_zap_refused_total", labels, ""));
}

static uint64_t accepted(fixture_t *self)
{
    return mb_metric_value(mb_counter(self->metrics, "mailbus_zap_accepted_total", "", ""));
}

static void wait_refused(fixture_t *self, const char *reason, uint64_t count)
{
    int64_t deadline = mb_clock_monotonic_ms() + DEADLINE_MS;
    while (refused(self, reason) < count) {
        assert_true(mb_clock_monotonic_ms() < deadline);
        usleep(1000);
    }
}

/* A client of the folder's name, or one with a fresh pair, or (own NULL) without any. */
static void *new_client(fixture_t *self, const mb_key_pair_t *own)
{
    const mb_socket_options_t options = {.own = own, .server_key = self->server.public_key};
    void *client = NULL;
    assert_int_equal(mb_socket_new_client(self->context, ZMQ_DEALER, &options, &client, NULL),
                     MAILBUS_OK);
    assert_int_equal(mb_socket_connect(client, self->endpoint, NULL), MAILBUS_OK);
    return client;
}

static mb_key_pair_t stranger(void)
{
    mb_key_pair_t pair;
    assert_int_equal(zmq_curve_keypair(pair.public_key, pair.secret_key), 0);
    return pair;
}

/* True where the client can send within `timeout_ms` and the message arrives. */
static bool gets_in(fixture_t *self, void *client, int timeout_ms)
{
    zmq_pollitem_t item = {.socket = client, .events = ZMQ_POLLOUT};
    if (zmq_poll(&item, 1, timeout_ms) <= 0 ||
        mb_frame_send(client, "hello", 5, false, NULL) != MAILBUS_OK) {
        return false;
    }
    zmq_pollitem_t arrival = {.socket = self->bound, .events = ZMQ_POLLIN};
    mb_message_t message;
    if (zmq_poll(&arrival, 1, timeout_ms) <= 0 ||
        mb_message_receive(self->bound, &message, NULL) != MAILBUS_OK) {
        return false;
    }
    bool same = message.count == 2 && mb_message_size(&message, 1) == 5;
    mb_message_close(&message);
    return same;
}

static void test_without_a_handler_nobody_gets_in(void **state)
{
    fixture_t *self = *state;
    mb_key_pair_t alice;
    assert_int_equal(mb_keys_load_client(self->folder, "alice", &alice, NULL), MAILBUS_OK);
    bind_server(self, "tcp://127.0.0.1:*");
    void *client = new_client(self, &alice);
    assert_false(gets_in(self, client, 1500));
    mb_socket_close(&client);
}

static void test_allowed_key_gets_in(void **state)
{
    fixture_t *self = *state;
    mb_key_pair_t alice;
    assert_int_equal(mb_keys_load_client(self->folder, "alice", &alice, NULL), MAILBUS_OK);
    start_handler(self);
    bind_server(self, "tcp://127.0.0.1:*");
    void *client = new_client(self, &alice);
    assert_true(gets_in(self, client, DEADLINE_MS));
    assert_int_equal(accepted(self), 1);
    mb_socket_close(&client);
}

static void test_unknown_key_gets_nothing(void **state)
{
    fixture_t *self = *state;
    mb_key_pair_t mallory = stranger();
    start_handler(self);
    bind_server(self, "tcp://127.0.0.1:*");
    void *client = new_client(self, &mallory);
    wait_refused(self, "unknown_key", 1);
    assert_false(gets_in(self, client, 300));
    assert_int_equal(accepted(self), 0);
    mb_socket_close(&client);
}

static void test_plain_client_gets_nothing(void **state)
{
    fixture_t *self = *state;
    start_handler(self);
    bind_server(self, "tcp://127.0.0.1:*");
    void *client = new_client(self, NULL);
    assert_false(gets_in(self, client, 1500));
    assert_int_equal(accepted(self), 0);
    mb_socket_close(&client);
}

static void test_other_mechanisms_and_domains_are_refused(void **state)
{
    fixture_t *self = *state;
    start_handler(self);
    /* Sockets that somebody forgot to set up: no CURVE, or another domain. */
    static const char *const domains[] = {MB_ZAP_DOMAIN, "other"};
    static const char *const wanted[] = {"mechanism", "domain"};
    for (size_t i = 0; i < 2; i++) {
        void *server = zmq_socket(self->context, ZMQ_ROUTER);
        int linger = 0;
        size_t size = sizeof self->endpoint;
        zmq_setsockopt(server, ZMQ_LINGER, &linger, sizeof linger);
        zmq_setsockopt(server, ZMQ_ZAP_DOMAIN, domains[i], strlen(domains[i]));
        assert_int_equal(zmq_bind(server, "tcp://127.0.0.1:*"), 0);
        assert_int_equal(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, self->endpoint, &size), 0);
        void *client = new_client(self, NULL);
        wait_refused(self, wanted[i], 1);
        mb_socket_close(&client);
        mb_socket_close(&server);
    }
}

static void test_revoked_key_is_out_after_reload_and_bind(void **state)
{
    fixture_t *self = *state;
    mb_key_pair_t alice;
    bool revoked = true;
    assert_int_equal(mb_keys_load_client(self->folder, "alice", &alice, NULL), MAILBUS_OK);
    start_handler(self);
    bind_server(self, "tcp://127.0.0.1:*");
    void *client = new_client(self, &alice);
    assert_true(gets_in(self, client, DEADLINE_MS));
    assert_int_equal(mb_zap_reload(self->zap, &revoked, NULL), MAILBUS_OK);
    assert_false(revoked);
    assert_int_equal(mb_keys_new(self->folder, "bob", NULL), MAILBUS_OK);
    assert_int_equal(mb_zap_reload(self->zap, &revoked, NULL), MAILBUS_OK);
    assert_false(revoked);
    assert_int_equal(mb_keys_revoke(self->folder, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mb_zap_reload(self->zap, &revoked, NULL), MAILBUS_OK);
    assert_true(revoked);
    /* The open connection lives on until the socket is bound anew: that is why it is told. */
    assert_true(gets_in(self, client, DEADLINE_MS));
    char endpoint[256];
    memcpy(endpoint, self->endpoint, sizeof endpoint);
    mb_socket_close(&self->bound);
    /* libzmq closes in the background: the port is free soon, not at once. */
    int64_t deadline = mb_clock_monotonic_ms() + DEADLINE_MS;
    const mb_socket_options_t options = {.max_inbound = 1024, .own = &self->server};
    assert_int_equal(mb_socket_new_server(self->context, ZMQ_ROUTER, &options, &self->bound, NULL),
                     MAILBUS_OK);
    while (mb_socket_bind(self->bound, endpoint, true, false, self->endpoint, sizeof self->endpoint,
                          NULL) != MAILBUS_OK) {
        assert_true(mb_clock_monotonic_ms() < deadline);
        usleep(1000);
    }
    wait_refused(self, "unknown_key", 1); /* it comes back by itself */
    assert_false(gets_in(self, client, 300));
    mb_socket_close(&client);
    /* and the other one is welcome */
    mb_key_pair_t bob;
    assert_int_equal(mb_keys_load_client(self->folder, "bob", &bob, NULL), MAILBUS_OK);
    client = new_client(self, &bob);
    assert_true(gets_in(self, client, DEADLINE_MS));
    mb_socket_close(&client);
}

static void test_broken_file_keeps_the_old_list(void **state)
{
    fixture_t *self = *state;
    char path[600];
    bool revoked = false;
    mb_key_pair_t alice;
    mailbus_error_t error;
    assert_int_equal(mb_keys_load_client(self->folder, "alice", &alice, NULL), MAILBUS_OK);
    start_handler(self);
    folder_write(folder_path(self->folder, "clients/alice.key", path, sizeof path), "oops", 0644);
    assert_int_equal(mb_zap_reload(self->zap, &revoked, &error), MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, "alice"));
    bind_server(self, "tcp://127.0.0.1:*");
    void *client = new_client(self, &alice);
    assert_true(gets_in(self, client, DEADLINE_MS));
    mb_socket_close(&client);
}

static void test_hostile_requests_get_no_yes(void **state)
{
    fixture_t *self = *state;
    mb_key_pair_t alice;
    uint8_t key[32];
    assert_int_equal(mb_keys_load_client(self->folder, "alice", &alice, NULL), MAILBUS_OK);
    assert_non_null(zmq_z85_decode(key, alice.public_key));
    start_handler(self);
    void *peer = zmq_socket(self->context, ZMQ_REQ);
    int linger = 0;
    zmq_setsockopt(peer, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_connect(peer, "inproc://zeromq.zap.01"), 0);
    const struct {
        const char *frames[10];
        const char *status;
    } cases[] = {
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "CURVE", "KEY"}, "200"},
        {{"1.1", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "CURVE", "KEY"}, "400"},
        {{"1.0", "1", "", "127.0.0.1", "", "CURVE", "KEY"}, "400"},
        {{"1.0", "1", "mailbus2", "127.0.0.1", "", "CURVE", "KEY"}, "400"},
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "CURVE", "short"}, "400"},
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "CURVE"}, "400"},
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "NULL"}, "400"},
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "PLAIN", "u", "p"}, "400"},
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "CURVE", "KEY", "more"}, "400"},
        {{"1.0", "1", MB_ZAP_DOMAIN, "127.0.0.1", "", "CURVE", "KEY", "a", "b", "c"}, "400"},
        {{"1.0"}, "400"},
        {{""}, "400"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t f = 0; f < 10 && cases[i].frames[f] != NULL; f++) {
            const char *frame = cases[i].frames[f];
            bool is_key = strcmp(frame, "KEY") == 0;
            bool more = f + 1 < 10 && cases[i].frames[f + 1] != NULL;
            assert_true(zmq_send(peer, is_key ? (const void *)key : frame,
                                 is_key ? sizeof key : strlen(frame), more ? ZMQ_SNDMORE : 0) >= 0);
        }
        zmq_pollitem_t item = {.socket = peer, .events = ZMQ_POLLIN};
        assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
        mb_message_t answer;
        assert_int_equal(mb_message_receive(peer, &answer, NULL), MAILBUS_OK);
        assert_int_equal(answer.count, 6);
        assert_memory_equal(mb_message_data(&answer, 2), cases[i].status, 3);
        bool named = mb_message_size(&answer, 4) == 5; /* the client's name is its user id */
        assert_int_equal(named, strcmp(cases[i].status, "200") == 0);
        mb_message_close(&answer);
    }
    mb_socket_close(&peer);
}

static void test_second_handler_is_refused(void **state)
{
    fixture_t *self = *state;
    mb_zap_t *second = NULL;
    start_handler(self);
    assert_int_equal(mb_zap_new(self->context, self->folder, NULL, NULL, &second, NULL),
                     MAILBUS_EEXIST);
    assert_null(second);
}

static void test_flood_of_refusals_is_logged_in_part(void **state)
{
    (void)state;
    zap_limit_t limit = {.per_minute = 3};
    uint64_t skipped = 99;
    for (int i = 0; i < 3; i++) {
        assert_true(zap_limit_pass(&limit, 1000 + i, &skipped));
        assert_int_equal(skipped, 0);
    }
    for (int i = 0; i < 500; i++) {
        assert_false(zap_limit_pass(&limit, 1100 + i, &skipped));
    }
    assert_false(zap_limit_pass(&limit, 60999, &skipped));
    assert_true(zap_limit_pass(&limit, 61000, &skipped));
    assert_int_equal(skipped, 501);
    assert_true(zap_limit_pass(&limit, 61001, &skipped));
    assert_int_equal(skipped, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_handler_nobody_gets_in),
        TEST(test_allowed_key_gets_in),
        TEST(test_unknown_key_gets_nothing),
        TEST(test_plain_client_gets_nothing),
        TEST(test_other_mechanisms_and_domains_are_refused),
        TEST(test_revoked_key_is_out_after_reload_and_bind),
        TEST(test_broken_file_keeps_the_old_list),
        TEST(test_hostile_requests_get_no_yes),
        TEST(test_second_handler_is_refused),
        cmocka_unit_test(test_flood_of_refusals_is_logged_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
