/* The block list's calls, and a call that is given up. */
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/client.h"
#include "clock.h"
#include "mailbus/json.h"
#include "peer.h"

static agentmail_client_t *new_client(const peer_t *peer, const atomic_bool *stopped)
{
    char url[64];
    agentmail_client_t *client = NULL;
    snprintf(url, sizeof url, "http://%s/v0", peer_address(peer));
    const agentmail_options_t options = {.base_url = url,
                                         .api_key = "am_secret",
                                         .user_agent = "mailbus-test/1",
                                         .timeout_ms = 30000,
                                         .stopped = stopped};
    assert_int_equal(agentmail_client_new(&options, &client, NULL), MAILBUS_OK);
    return client;
}

static void test_entries_are_created_and_deleted_by_their_name(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"entry\":\"a/b@x.y\"}", PEER_CLOSE},
        {"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", PEER_CLOSE},
        {"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"message\":\"no\"}", PEER_CLOSE},
        {"HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n{\"message\":\"there\"}", PEER_CLOSE},
        {NULL, PEER_CLOSE}};
    peer_t *peer = peer_new(answers);
    agentmail_client_t *client = new_client(peer, NULL);
    agentmail_result_t result;
    agentmail_block_create(client, "a/b@x.y", "complaint \"x\"", &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    const char *request = peer_request(peer, 0);
    assert_non_null(strstr(request, "POST /v0/lists/send/block HTTP/1.1\r\n"));
    assert_string_equal(strstr(request, "\r\n\r\n") + 4,
                        "{\"entry\":\"a/b@x.y\",\"reason\":\"complaint \\\"x\\\"\"}");
    agentmail_result_free(&result);
    agentmail_block_delete(client, "a/b@x.y", &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    assert_non_null(
        strstr(peer_request(peer, 1), "DELETE /v0/lists/send/block/a%2Fb%40x.y HTTP/1.1\r\n"));
    agentmail_result_free(&result);
    agentmail_block_delete(client, "a@x.y", &result);
    assert_int_equal(result.status, 404);
    agentmail_result_free(&result);
    agentmail_block_create(client, "a@x.y", "", &result);
    assert_int_equal(result.status, 409);
    agentmail_result_free(&result);
    agentmail_client_destroy(&client);
    peer_destroy(&peer);
}

static void test_an_entry_that_names_nothing_is_not_sent(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{NULL, PEER_CLOSE}};
    peer_t *peer = peer_new(answers);
    agentmail_client_t *client = new_client(peer, NULL);
    agentmail_result_t result;
    agentmail_block_delete(client, "", &result);
    assert_int_equal(result.verdict, AGENTMAIL_REJECT);
    agentmail_block_create(client, "j\xff@x.y", "", &result);
    assert_int_equal(result.verdict, AGENTMAIL_REJECT);
    assert_int_equal(peer_count(peer), 0);
    agentmail_client_destroy(&client);
    peer_destroy(&peer);
}

static void test_a_call_ends_soon_once_it_is_stopped(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{"", PEER_HANG}, {NULL, PEER_CLOSE}};
    peer_t *peer = peer_new(answers);
    atomic_bool stopped = true;
    agentmail_client_t *client = new_client(peer, &stopped);
    agentmail_result_t result;
    int64_t before_ms = mb_clock_monotonic_ms();
    agentmail_block_create(client, "a@x.y", "", &result);
    assert_in_range(mb_clock_monotonic_ms() - before_ms, 0, 15000); /* the timeout is 30 s */
    assert_int_equal(result.verdict, AGENTMAIL_RETRY);
    assert_non_null(strstr(result.text, "stopped before there was an answer"));
    agentmail_client_destroy(&client);
    peer_destroy(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_created_and_deleted_by_their_name),
        cmocka_unit_test(test_an_entry_that_names_nothing_is_not_sent),
        cmocka_unit_test(test_a_call_ends_soon_once_it_is_stopped),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
