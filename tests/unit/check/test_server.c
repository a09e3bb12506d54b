/* Both sides in one process: many askers, keys that come and go, and figures. */
#include "side.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "folder.h"
#include "keys.h"
#include "zmq_socket.h"

enum {
    ASKERS = 8,
    QUESTIONS = 40,
    RATE_QUESTIONS = 20000,
    UNDER_WAY = 64 /* CHECK.md §7 */,
    DEADLINE_MS = 20000
};

/* A check_decide_fn: odd numbers are refused, until the number in seconds. */
static check_t decide(void *arg, const char *address, char *reason, size_t size,
                      int64_t *ret_until_ms)
{
    atomic_uint *asked = arg;
    unsigned number = 0;
    if (size != MAILBUS_CHECK_REASON_MAX || reason[0] != '\0' ||
        sscanf(address, "%u@", &number) != 1) {
        return CHECK_SILENT; /* another thread than the test's: it sees that nothing comes */
    }
    atomic_fetch_add(asked, 1);
    if (number % 2 == 0) {
        return CHECK_YES;
    }
    snprintf(reason, size, "number %u", number);
    *ret_until_ms = number * (int64_t)1000;
    return CHECK_NO;
}

typedef struct {
    check_client_t *client;
    unsigned first;
    unsigned wrong;
} asker_t;

/* A worker thread: each answer must be the one to its own question. */
static void *ask(void *arg)
{
    asker_t *self = arg;
    for (unsigned n = self->first; n < self->first + QUESTIONS; n++) {
        char address[32];
        char reason[32];
        check_result_t result;
        snprintf(address, sizeof address, "%u@example.com", n);
        snprintf(reason, sizeof reason, "number %u", n);
        check_client_ask(self->client, address, &result);
        bool right = n % 2 == 0 ? result.verdict == CHECK_ALLOWED
                                : result.verdict == CHECK_REFUSED &&
                                      strstr(result.reason, reason) != NULL &&
                                      result.until_ms == n * (int64_t)1000;
        self->wrong += !right;
    }
    return NULL;
}

static void test_many_workers_ask_two_servers_at_once(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    atomic_uint asked[2] = {0, 0};
    side_t *sides[2] = {side_new(none), side_new(none)};
    check_server_t *servers[2];
    char pair[300];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            check_server_new(side_runtime(sides[i]), decide, &asked[i], &servers[i], NULL),
            MAILBUS_OK);
    }
    snprintf(pair, sizeof pair, "send.checks=%s %s", check_server_endpoint(servers[0]),
             check_server_endpoint(servers[1]));
    const char *const pairs[] = {pair, "send.check_timeout=20s", NULL};
    side_t *side = side_new(pairs);
    check_client_t *client = NULL;
    assert_int_equal(check_client_new(side_runtime(side), &client, NULL), MAILBUS_OK);
    pthread_t threads[ASKERS];
    asker_t askers[ASKERS];
    for (unsigned i = 0; i < ASKERS; i++) {
        askers[i] = (asker_t){.client = client, .first = i * QUESTIONS};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (unsigned i = 0; i < ASKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].wrong, 0);
    }
    check_client_destroy(&client);
    /* A no from one may come before the other has read the question. */
    for (int i = 0; i < 2; i++) {
        check_server_destroy(&servers[i]);
        assert_null(servers[i]);
        assert_in_range(atomic_load(&asked[i]), ASKERS * QUESTIONS / 2, ASKERS * QUESTIONS);
        assert_int_equal(side_count(sides[i], "checks", "answer=\"yes\""), ASKERS * QUESTIONS / 2);
        side_free(&sides[i]);
    }
    assert_int_equal(side_count(side, "asked", "answer=\"none\""), 0);
    assert_in_range(side_count(side, "asked", "answer=\"no\""), ASKERS * QUESTIONS / 2,
                    ASKERS * QUESTIONS);
    side_free(&side);
}

static void test_an_empty_endpoint_is_no_server(void **state)
{
    (void)state;
    static const char *const pairs[] = {"check.listen=", NULL};
    side_t *side = side_new(pairs);
    check_server_t *server = (check_server_t *)side;
    assert_int_equal(check_server_new(side_runtime(side), decide, NULL, &server, NULL), MAILBUS_OK);
    assert_null(server);
    assert_int_equal(check_server_reload(server, NULL), MAILBUS_OK);
    check_server_destroy(&server);
    side_free(&side);
}

/* --- keys --------------------------------------------------------------------------------------
 */

static check_client_t *client_named(const char *dir, const char *name, const char *endpoint,
                                    side_t **ret_side)
{
    char checks[300], folder[300], own[100];
    check_client_t *client = NULL;
    mailbus_error_t error = {.text = ""};
    snprintf(checks, sizeof checks, "send.checks=server@%s", endpoint);
    snprintf(folder, sizeof folder, "bus.curve_dir=%s", dir);
    snprintf(own, sizeof own, "bus.curve_name=%s", name);
    const char *const pairs[] = {checks, folder, own, "send.check_timeout=20s", NULL};
    *ret_side = side_new(pairs);
    if (check_client_new(side_runtime(*ret_side), &client, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return client;
}

static check_verdict_t verdict_of(check_client_t *client)
{
    check_result_t result;
    check_client_ask(client, "2@example.com", &result);
    return result.verdict;
}

static void test_keys_are_let_in_revoked_and_let_in_again_while_others_ask(void **state)
{
    (void)state;
    char *dir = folder_make();
    char folder[300];
    atomic_uint asked = 0;
    check_server_t *server = NULL;
    assert_int_equal(mb_keys_new(dir, "server", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_new(dir, "alice", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_new(dir, "bob", NULL), MAILBUS_OK);
    snprintf(folder, sizeof folder, "bus.curve_dir=%s", dir);
    const char *const pairs[] = {folder, "bus.curve_name=server", NULL};
    side_t *side = side_new(pairs);
    assert_int_equal(check_server_new(side_runtime(side), decide, &asked, &server, NULL),
                     MAILBUS_OK);
    side_t *sides[2];
    check_client_t *alice = client_named(dir, "alice", check_server_endpoint(server), &sides[0]);
    check_client_t *bob = client_named(dir, "bob", check_server_endpoint(server), &sides[1]);
    mb_key_pair_t pair;
    assert_int_equal(mb_keys_load_client(dir, "alice", &pair, NULL), MAILBUS_OK);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(verdict_of(alice), CHECK_ALLOWED);
        assert_int_equal(mb_keys_revoke(dir, "alice", NULL), MAILBUS_OK);
        assert_int_equal(check_server_reload(server, NULL), MAILBUS_OK);
        assert_int_equal(verdict_of(alice), CHECK_NOT_NOW); /* by the refusal, not by the timeout */
        assert_int_equal(verdict_of(bob), CHECK_ALLOWED);   /* over the rebind */
        assert_int_equal(mb_keys_allow(dir, "alice", pair.public_key, NULL), MAILBUS_OK);
        assert_int_equal(check_server_reload(server, NULL), MAILBUS_OK);
    }
    assert_int_equal(atomic_load(&asked), 6);
    check_client_destroy(&alice);
    check_client_destroy(&bob);
    check_server_destroy(&server);
    side_free(&sides[0]);
    side_free(&sides[1]);
    side_free(&side);
    folder_remove(&dir);
}

static void test_a_list_of_keys_that_can_not_be_read_changes_nothing(void **state)
{
    (void)state;
    char *dir = folder_make();
    char folder[300], path[400];
    atomic_uint asked = 0;
    check_server_t *server = NULL;
    mailbus_error_t error = {.text = ""};
    assert_int_equal(mb_keys_new(dir, "server", NULL), MAILBUS_OK);
    assert_int_equal(mb_keys_new(dir, "alice", NULL), MAILBUS_OK);
    snprintf(folder, sizeof folder, "bus.curve_dir=%s", dir);
    const char *const pairs[] = {folder, "bus.curve_name=server", NULL};
    side_t *side = side_new(pairs);
    assert_int_equal(check_server_new(side_runtime(side), decide, &asked, &server, NULL),
                     MAILBUS_OK);
    folder_write(folder_path(dir, "clients/typo.key", path, sizeof path), "not a key\n", 0644);
    assert_int_not_equal(check_server_reload(server, &error), MAILBUS_OK);
    assert_non_null(strstr(error.text, "typo.key"));
    side_t *asking = NULL;
    check_client_t *alice = client_named(dir, "alice", check_server_endpoint(server), &asking);
    assert_int_equal(verdict_of(alice), CHECK_ALLOWED);
    check_client_destroy(&alice);
    check_server_destroy(&server);
    side_free(&asking);
    side_free(&side);
    folder_remove(&dir);
}

/* --- figures -----------------------------------------------------------------------------------
 */

static bool wait_readable(void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, DEADLINE_MS) == 1;
}

/* One peer that keeps 64 questions under way: each gets one answer, in their order. */
static void test_twenty_thousand_questions_of_one_peer_are_all_answered(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    atomic_uint asked = 0;
    side_t *side = side_new(none);
    check_server_t *server = NULL;
    void *context = zmq_ctx_new();
    void *dealer = NULL;
    const mb_socket_options_t options = {.max_inbound = MAILBUS_CHECK_MAX};
    assert_int_equal(check_server_new(side_runtime(side), decide, &asked, &server, NULL),
                     MAILBUS_OK);
    assert_int_equal(mb_socket_new_client(context, ZMQ_DEALER, &options, &dealer, NULL),
                     MAILBUS_OK);
    assert_int_equal(mb_socket_connect(dealer, check_server_endpoint(server), NULL), MAILBUS_OK);
    int64_t begin_ms = mb_clock_monotonic_ms();
    for (int sent = 0, received = 0; received < RATE_QUESTIONS;) {
        for (; sent < RATE_QUESTIONS && sent - received < UNDER_WAY; sent++) {
            static const char question[] = "{\"check\":\"may-send\",\"address\":\"2@example.com\"}";
            assert_int_equal(mb_frame_send(dealer, question, sizeof question - 1, false, NULL),
                             MAILBUS_OK);
        }
        mb_message_t message;
        assert_true(wait_readable(dealer));
        while (mb_message_receive(dealer, &message, NULL) == MAILBUS_OK) {
            assert_int_equal(message.count, 1);
            assert_int_equal(mb_message_size(&message, 0), strlen("{\"answer\":\"yes\"}"));
            mb_message_close(&message);
            received++;
        }
    }
    int64_t took_ms = mb_clock_monotonic_ms() - begin_ms;
    print_message("%d questions a second\n",
                  (int)(RATE_QUESTIONS * (int64_t)1000 / (took_ms > 0 ? took_ms : 1)));
    assert_int_equal(atomic_load(&asked), RATE_QUESTIONS);
    assert_int_equal(side_count(side, "checks", "answer=\"yes\""), RATE_QUESTIONS);
    mb_socket_close(&dealer);
    zmq_ctx_term(context);
    check_server_destroy(&server);
    side_free(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_workers_ask_two_servers_at_once),
        cmocka_unit_test(test_an_empty_endpoint_is_no_server),
        cmocka_unit_test(test_keys_are_let_in_revoked_and_let_in_again_while_others_ask),
        cmocka_unit_test(test_a_list_of_keys_that_can_not_be_read_changes_nothing),
        cmocka_unit_test(test_twenty_thousand_questions_of_one_peer_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
