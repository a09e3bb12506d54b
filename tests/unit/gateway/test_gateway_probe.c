/* The check that an unknown key stays out, against sockets that keep it out and one that does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus_fixture.h"
#include "gateway_probe.h"
#include "zap.h"

#define OPEN_TO_ALL 1

/* A bound CURVE server socket. With OPEN_TO_ALL it is as libzmq makes it when nobody thinks of ZAP.
 */
static void *server(fixture_t *fixture, int type, int open_to_all, char *key, char *endpoint)
{
    mb_key_pair_t own;
    assert_int_equal(zmq_curve_keypair(own.public_key, own.secret_key), 0);
    memcpy(key, own.public_key, sizeof own.public_key);
    void *socket = NULL;
    if (open_to_all) {
        socket = zmq_socket(fixture->context, type);
        fixture_option(socket, ZMQ_CURVE_SERVER, 1);
        assert_int_equal(
            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own.secret_key, strlen(own.secret_key)), 0);
    } else {
        const mb_socket_options_t options = {.own = &own, .max_inbound = 1024};
        assert_int_equal(mb_socket_new_server(fixture->context, type, &options, &socket, NULL), 0);
    }
    fixture_option(socket, ZMQ_LINGER, 0);
    assert_int_equal(mb_socket_bind(socket, "tcp://127.0.0.1:*", true, false, endpoint, 256, NULL),
                     0);
    return socket;
}

static mailbus_code_t probe(fixture_t *fixture, int bound, int knocking, int open_to_all,
                            mailbus_error_t *error)
{
    char key[MB_KEY_TEXT], endpoint[256];
    *error = (mailbus_error_t){.text = ""};
    void *socket = server(fixture, bound, open_to_all, key, endpoint);
    mailbus_code_t code = gateway_probe(fixture->context, knocking, endpoint, key, error);
    zmq_close(socket);
    return code;
}

static void test_a_socket_that_enforces_keys_passes(void **state)
{
    fixture_t *fixture = *state;
    mailbus_error_t error;
    char folder[] = "/tmp/mailbus-probe-XXXXXX", clients[64];
    assert_non_null(mkdtemp(folder));
    snprintf(clients, sizeof clients, "%s/clients", folder);
    assert_int_equal(mkdir(clients, 0700), 0);
    mb_zap_t *zap = NULL;
    assert_int_equal(mb_zap_new(fixture->context, folder, NULL, NULL, &zap, &error), MAILBUS_OK);
    assert_int_equal(probe(fixture, ZMQ_XPUB, ZMQ_SUB, 0, &error), MAILBUS_OK);
    assert_int_equal(probe(fixture, ZMQ_ROUTER, ZMQ_DEALER, 0, &error), MAILBUS_OK);
    mb_zap_destroy(&zap);
    rmdir(clients);
    rmdir(folder);
}

static void test_without_an_answer_about_the_key_it_does_not_pass(void **state)
{
    mailbus_error_t error;
    assert_int_equal(probe(*state, ZMQ_ROUTER, ZMQ_DEALER, 0, &error), MAILBUS_ETIMEOUT);
}

static void test_a_socket_that_lets_everybody_in_is_found(void **state)
{
    mailbus_error_t error;
    assert_int_equal(probe(*state, ZMQ_XPUB, ZMQ_SUB, OPEN_TO_ALL, &error), MAILBUS_EACCESS);
    assert_non_null(strstr(error.text, "unknown key"));
    assert_int_equal(probe(*state, ZMQ_ROUTER, ZMQ_DEALER, OPEN_TO_ALL, &error), MAILBUS_EACCESS);
}

static void test_the_wrong_type_of_socket_checks_nothing(void **state)
{
    mailbus_error_t error;
    assert_int_equal(probe(*state, ZMQ_XPUB, ZMQ_DEALER, OPEN_TO_ALL, &error), MAILBUS_ETIMEOUT);
}

int main(void)
{
#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(test_a_socket_that_enforces_keys_passes),
        ON_FIXTURE(test_a_socket_that_lets_everybody_in_is_found),
        ON_FIXTURE(test_without_an_answer_about_the_key_it_does_not_pass),
        ON_FIXTURE(test_the_wrong_type_of_socket_checks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
