/* webhook/webhook.h: signed posts, against a server that behaves in every way. */
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"
#include "webhook/webhook.h"

#define SECRET                   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER                    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
#define HTTP(status, head, body) "HTTP/1.1 " status "\r\n" head "Connection: close\r\n\r\n" body

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("no \"%s\" in: %s", part, text);
    }
}

static webhook_t *hook_of(const peer_t *peer, const char *secrets)
{
    char url[96];
    webhook_t *hook = NULL;
    mailbus_error_t error = {0};
    snprintf(url, sizeof url, "http://%s/hook?team=a", peer_address(peer));
    const webhook_options_t options = {
        .url = url, .secrets = secrets, .user_agent = "mailbus-test/1", .timeout_ms = 300};
    if (webhook_new(&options, &hook, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return hook;
}

/* The vector of the Standard Webhooks reference implementations (and of Svix's documentation). */
static void test_signature_is_the_specifications(void **state)
{
    (void)state;
    static const char body[] = "{\"test\": 2432232314}";
    static const char id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    mb_webhook_key_t keys[2];
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    assert_int_equal(mb_webhook_key_parse(SECRET, &keys[0], NULL), MAILBUS_OK);
    assert_int_equal(mb_webhook_key_parse(OTHER, &keys[1], NULL), MAILBUS_OK);
    assert_int_equal(webhook_sign(keys, 1, id, "1614265330", body, sizeof body - 1, &out),
                     MAILBUS_OK);
    assert_string_equal(out.data, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    mailbus_buf_clear(&out);
    assert_int_equal(webhook_sign(keys, 2, id, "1614265330", body, sizeof body - 1, &out),
                     MAILBUS_OK);
    assert_has(out.data, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,");
    mailbus_buf_free(&out);
}

static void test_a_post_is_one_signed_request(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{HTTP("202 Accepted", "", "thanks"), PEER_CLOSE},
                                     {HTTP("200 OK", "", ""), PEER_CLOSE},
                                     {NULL, PEER_CLOSE}};
    peer_t *peer = peer_new(answers);
    webhook_t *hook = hook_of(peer, SECRET "  " OTHER);
    webhook_t *bare = hook_of(peer, "");
    agentmail_result_t result;
    webhook_post(hook, "route-evt_1", "{\"a\":1}", 7, 1614265330, &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    const char *request = peer_request(peer, 0);
    assert_has(request, "POST /hook?team=a HTTP/1.1\r\n");
    assert_has(request, "\r\nwebhook-id: route-evt_1\r\n");
    assert_has(request, "\r\nwebhook-timestamp: 1614265330\r\n");
    assert_has(request, "\r\nwebhook-signature: v1,");
    assert_has(strstr(request, "webhook-signature: v1,") + 22, " v1,");
    assert_has(request, "\r\nContent-Type: application/json\r\n");
    assert_string_equal(strstr(request, "\r\n\r\n") + 4, "{\"a\":1}");
    webhook_post(bare, "x", "{}", 2, 1, &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    assert_null(strstr(peer_request(peer, 1), "signature"));
    webhook_destroy(&hook);
    webhook_destroy(&bare);
    peer_destroy(&peer);
}

static void test_every_way_of_answering_has_its_verdict(void **state)
{
    (void)state;
    static const struct {
        peer_answer_t answer;
        agentmail_verdict_t verdict;
        bool maybe_done, operator_error;
        double retry_after;
        const char *says;
    } rows[] = {
        {{HTTP("204 No Content", "", ""), PEER_CLOSE}, AGENTMAIL_DONE, false, false, 0, "taken"},
        {{HTTP("200 OK", "", "endless"), PEER_ENDLESS}, AGENTMAIL_DONE, false, false, 0, "taken"},
        {{HTTP("302 Found", "Location: http://127.0.0.1:1/\r\n", ""), PEER_CLOSE},
         AGENTMAIL_RETRY,
         false,
         true,
         0,
         "not followed"},
        {{HTTP("400 Bad Request", "", "what\r\n\x1b[31m is\xFF this"), PEER_CLOSE},
         AGENTMAIL_RETRY,
         false,
         false,
         0,
         "it said: what [31m is\xEF\xBF\xBD this"},
        {{HTTP("401 Unauthorized", "", ""), PEER_CLOSE}, AGENTMAIL_RETRY, false, true, 0, "secret"},
        {{HTTP("404 Not Found", "", ""), PEER_CLOSE}, AGENTMAIL_RETRY, false, false, 0, "404"},
        {{HTTP("410 Gone", "", ""), PEER_CLOSE}, AGENTMAIL_REJECT, false, false, 0, "no more"},
        {{HTTP("413 Too Large", "", ""), PEER_CLOSE}, AGENTMAIL_REJECT, false, false, 0, "large"},
        {{HTTP("429 Slow", "Retry-After: 7\r\n", ""), PEER_CLOSE},
         AGENTMAIL_RETRY,
         false,
         false,
         7,
         "too many"},
        {{HTTP("503 Off", "Retry-After: 3\r\n", ""), PEER_CLOSE},
         AGENTMAIL_RETRY,
         true,
         false,
         3,
         "failed"},
        {{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", PEER_RESET},
         AGENTMAIL_RETRY,
         true,
         false,
         0,
         "post: "},
        {{"", PEER_HANG}, AGENTMAIL_RETRY, true, false, 0, "post: "},
        {{"HTTP/1.1 200 OK\r\n", PEER_ENDLESS_HEAD}, AGENTMAIL_RETRY, true, false, 0, "header"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const peer_answer_t answers[] = {rows[i].answer, {NULL, PEER_CLOSE}};
        peer_t *peer = peer_new(answers);
        webhook_t *hook = hook_of(peer, SECRET);
        agentmail_result_t result;
        webhook_post(hook, "id", "{}", 2, 1, &result);
        if (result.verdict != rows[i].verdict || result.maybe_done != rows[i].maybe_done ||
            result.operator_error != rows[i].operator_error ||
            result.retry_after != rows[i].retry_after) {
            fail_msg("row %zu: verdict %d, maybe %d, operator %d, after %g: %s", i,
                     (int)result.verdict, result.maybe_done, result.operator_error,
                     result.retry_after, result.text);
        }
        assert_has(result.text, rows[i].says);
        webhook_destroy(&hook);
        peer_destroy(&peer);
    }
}

static void test_ids_that_would_break_a_header_send_nothing(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{NULL, PEER_CLOSE}};
    peer_t *peer = peer_new(answers);
    webhook_t *hook = hook_of(peer, SECRET);
    char lengthy[WEBHOOK_ID_MAX + 2];
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    const char *const ids[] = {"", "a b", "a\r\nX: y", "\xC3\xA9", lengthy};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        agentmail_result_t result;
        webhook_post(hook, ids[i], "{}", 2, 1, &result);
        assert_int_equal(result.verdict, AGENTMAIL_REJECT);
    }
    assert_int_equal(peer_count(peer), 0);
    webhook_destroy(&hook);
    peer_destroy(&peer);
}

static void test_wrong_addresses_and_secrets_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *url, *secrets, *says;
    } rows[] = {
        {"http://example.com/x", SECRET, "https://"},
        {"ftp://127.0.0.1/", SECRET, "url"},
        {"https://user:x@example.com/", SECRET, "user name"},
        {"https://example.com/", "nonsense", "whsec_"},
        {"https://example.com/", SECRET " whsec_abc", "base64"},
        {"https://example.com/", SECRET " " SECRET " " SECRET " " SECRET " " SECRET, "more than 4"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const webhook_options_t options = {
            .url = rows[i].url, .secrets = rows[i].secrets, .user_agent = "t"};
        webhook_t *hook = NULL;
        mailbus_error_t error = {0};
        assert_int_not_equal(webhook_new(&options, &hook, &error), MAILBUS_OK);
        assert_null(hook);
        assert_has(error.text, rows[i].says);
        assert_null(strstr(error.text, "MfKQ"));
    }
}

static int start(void **state)
{
    (void)state;
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    curl_global_cleanup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_is_the_specifications),
        cmocka_unit_test(test_a_post_is_one_signed_request),
        cmocka_unit_test(test_every_way_of_answering_has_its_verdict),
        cmocka_unit_test(test_ids_that_would_break_a_header_send_nothing),
        cmocka_unit_test(test_wrong_addresses_and_secrets_are_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
