/* The API's calls against a server that behaves in every way. */
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/client.h"
#include "mailbus/json.h"
#include "peer.h"

#define JSON(status, body)                                                                         \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body
#define SENT "{\"message_id\":\"<r@x>\",\"thread_id\":\"t1\"}"

/* A client of a scripted server. */
typedef struct {
    peer_t *peer;
    agentmail_client_t *client;
} setup_t;

static setup_t set_up_with(const peer_answer_t *answers, long timeout_ms, long stall_s)
{
    setup_t setup = {.peer = peer_new(answers)};
    char url[64];
    snprintf(url, sizeof url, "http://%s/v0/", peer_address(setup.peer));
    const agentmail_options_t options = {.base_url = url,
                                         .api_key = "am_secret",
                                         .user_agent = "mailbus-test/1",
                                         .timeout_ms = timeout_ms,
                                         .stall_s = stall_s};
    assert_int_equal(agentmail_client_new(&options, &setup.client, NULL), MAILBUS_OK);
    return setup;
}

static setup_t set_up(const peer_answer_t *answers, long timeout_ms)
{
    return set_up_with(answers, timeout_ms, 0);
}

static void tear_down(setup_t *setup)
{
    agentmail_client_destroy(&setup->client);
    peer_destroy(&setup->peer);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("no \"%s\" in: %s", part, text);
    }
}

static void test_reply_is_one_exact_request(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{JSON("200 OK", SENT), PEER_CLOSE}, {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    agentmail_result_t result;
    agentmail_reply(setup.client, "agent@agentmail.to", "<a/b@x>", "autoreply-evt_1", "{\"a\":1}",
                    7, &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    assert_string_equal(mailbus_json_string(result.json, "message_id"), "<r@x>");
    const char *request = peer_request(setup.peer, 0);
    assert_has(request, "POST /v0/inboxes/agent%40agentmail.to/messages/%3Ca%2Fb%40x%3E/reply "
                        "HTTP/1.1\r\n");
    assert_has(request, "\r\nAuthorization: Bearer am_secret\r\n");
    assert_has(request, "\r\nIdempotency-Key: autoreply-evt_1\r\n");
    assert_has(request, "\r\nContent-Type: application/json\r\n");
    assert_has(request, "\r\nUser-Agent: mailbus-test/1\r\n");
    assert_has(request, "\r\nContent-Length: 7\r\n");
    assert_null(strstr(request, "Expect:"));
    assert_null(strstr(request, "Accept-Encoding:"));
    assert_string_equal(strstr(request, "\r\n\r\n") + 4, "{\"a\":1}");
    agentmail_result_free(&result);
    tear_down(&setup);
}

static void test_calls_name_what_they_mean(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {
        {JSON("200 OK", SENT), PEER_CLOSE},
        {JSON("200 OK", "{\"message_id\":\"<m@x>\",\"subject\":\"s\"}"), PEER_CLOSE},
        {JSON("201 Created", "{\"webhook_id\":\"w1\",\"secret\":\"whsec_x\"}"), PEER_CLOSE},
        {JSON("200 OK", "{\"count\":0,\"webhooks\":[]}"), PEER_CLOSE},
        {"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", PEER_CLOSE},
        {JSON("200 OK", SENT), PEER_CLOSE},
        {NULL, PEER_CLOSE}};
    static const char *const lines[] = {"POST /v0/inboxes/i%40x/messages/send HTTP",
                                        "GET /v0/inboxes/i%40x/messages/%3Cm%40x%3E HTTP",
                                        "POST /v0/webhooks HTTP",
                                        "GET /v0/webhooks HTTP",
                                        "DELETE /v0/webhooks/w1 HTTP",
                                        "POST /v0/inboxes/i%40x/messages/%3Cm%40x%3E/forward HTTP"};
    static const char *const types[] = {"message.received", "message.sent", NULL};
    setup_t setup = set_up(answers, 0);
    agentmail_result_t results[6];
    agentmail_send(setup.client, "i@x", "k", "{}", 2, &results[0]);
    agentmail_get_message(setup.client, "i@x", "<m@x>", &results[1]);
    agentmail_webhook_create(setup.client, "https://h/\"", types, "dev", &results[2]);
    agentmail_webhook_list(setup.client, &results[3]);
    agentmail_webhook_delete(setup.client, "w1", &results[4]);
    agentmail_forward(setup.client, "i@x", "<m@x>", "k", "{}", 2, &results[5]);
    for (size_t i = 0; i < 6; i++) {
        if (results[i].verdict != AGENTMAIL_DONE) {
            fail_msg("%s", results[i].text);
        }
        assert_true(strncmp(peer_request(setup.peer, i), lines[i], strlen(lines[i])) == 0);
        agentmail_result_free(&results[i]);
    }
    assert_has(
        peer_request(setup.peer, 2),
        "{\"url\":\"https://h/\\\"\",\"event_types\":[\"message.received\",\"message.sent\"],"
        "\"client_id\":\"dev\"}");
    tear_down(&setup);
}

/* One answer to a reply. */
typedef struct {
    const char *text;
    peer_end_t end;
    agentmail_verdict_t verdict;
    bool maybe_done;
    double retry_after;
    const char *says;
} row_t;

static const row_t rows[] = {
    {JSON("429 Too Many", "{\"name\":\"R\",\"message\":\"slow\"}"), PEER_CLOSE, AGENTMAIL_RETRY,
     false, 0, "slow"},
    {"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nConnection: close\r\n\r\n", PEER_CLOSE,
     AGENTMAIL_RETRY, false, 7, "HTTP 429"},
    {"HTTP/1.1 503 No\r\nretry-after: 999999\r\nConnection: close\r\n\r\n", PEER_CLOSE,
     AGENTMAIL_RETRY, true, AGENTMAIL_RETRY_AFTER_MAX, "HTTP 503"},
    {"HTTP/1.1 422 No\r\nRetry-After: 7\r\nConnection: close\r\n\r\n", PEER_CLOSE, AGENTMAIL_REJECT,
     false, 0, "HTTP 422"},
    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n", PEER_CLOSE,
     AGENTMAIL_RETRY, false, 0, "api.base_url"},
    /* broken on the way */
    {"", PEER_CLOSE, AGENTMAIL_RETRY, true, 0, "reply: "},
    {"", PEER_RESET, AGENTMAIL_RETRY, true, 0, "reply: "},
    {"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"message_id\":", PEER_RESET, AGENTMAIL_RETRY,
     true, 0, "reply: "},
    {"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" SENT, PEER_CLOSE, AGENTMAIL_RETRY, true, 0,
     "reply: "},
    {"SSH-2.0-OpenSSH_9.2\r\n", PEER_CLOSE, AGENTMAIL_RETRY, true, 0, "reply: "},
    /* without an end */
    {"HTTP/1.1 200 OK\r\n\r\n", PEER_ENDLESS, AGENTMAIL_RETRY, true, 0, "longer than allowed"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", PEER_ENDLESS, AGENTMAIL_RETRY, true,
     0, "longer than allowed"},
    {"HTTP/1.1 200 OK\r\n", PEER_ENDLESS_HEAD, AGENTMAIL_RETRY, true, 0, "header does not end"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{", PEER_HANG, AGENTMAIL_RETRY, true, 0,
     "reply: "},
    {"", PEER_HANG, AGENTMAIL_RETRY, true, 0, "reply: "},
};

static void test_every_way_of_answering_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row_t *row = &rows[i];
        const peer_answer_t answers[] = {{row->text, row->end}, {NULL, PEER_CLOSE}};
        setup_t setup = set_up(answers, row->end == PEER_HANG ? 200 : 0);
        agentmail_result_t result;
        agentmail_reply(setup.client, "i@x", "<m@x>", "k", "{}", 2, &result);
        if (result.verdict != row->verdict || result.maybe_done != row->maybe_done ||
            result.retry_after < row->retry_after || result.retry_after > row->retry_after ||
            strstr(result.text, row->says) == NULL) {
            fail_msg("row %zu: verdict %d, maybe done %d, after %f: %s", i, result.verdict,
                     result.maybe_done, result.retry_after, result.text);
        }
        agentmail_result_free(&result);
        tear_down(&setup);
    }
}

static void test_nothing_listening_is_retry_and_certainly_not_done(void **state)
{
    (void)state;
    const peer_answer_t none[] = {{NULL, PEER_CLOSE}};
    setup_t setup = set_up(none, 0);
    agentmail_result_t result;
    peer_destroy(&setup.peer); /* the port is closed now */
    agentmail_reply(setup.client, "i@x", "<m@x>", "k", "{}", 2, &result);
    assert_int_equal(result.verdict, AGENTMAIL_RETRY);
    assert_false(result.maybe_done);
    assert_int_equal(result.status, 0);
    agentmail_result_free(&result);
    tear_down(&setup);
}

static void test_the_client_works_again_after_a_failure(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{"", PEER_RESET},
                                     {JSON("500 No", ""), PEER_CLOSE},
                                     {JSON("200 OK", SENT), PEER_CLOSE},
                                     {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    const agentmail_verdict_t verdicts[] = {AGENTMAIL_RETRY, AGENTMAIL_RETRY, AGENTMAIL_DONE};
    for (size_t i = 0; i < 3; i++) {
        agentmail_result_t result;
        agentmail_reply(setup.client, "i@x", "<m@x>", "k", "{}", 2, &result);
        assert_int_equal(result.verdict, verdicts[i]);
        agentmail_result_free(&result);
    }
    /* the same bytes each time: what the service compares under one key */
    assert_string_equal(peer_request(setup.peer, 0), peer_request(setup.peer, 2));
    tear_down(&setup);
}

static void test_bad_ids_and_keys_send_nothing(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{JSON("200 OK", SENT), PEER_CLOSE}, {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    char long_id[1100], long_key[AGENTMAIL_KEY_MAX + 2];
    memset(long_id, 'a', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    memset(long_key, 'a', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    const struct {
        const char *inbox, *message, *key;
    } bad[] = {{"", "<m@x>", "k"},        {"i@x", "", "k"},
               {"..", "<m@x>", "k"},      {"i@x", ".", "k"},
               {"i@x", long_id, "k"},     {"i@x", "<m@x>", ""},
               {"i@x", "<m@x>", "a b"},   {"i@x", "<m@x>", "a\r\nX: y"},
               {"i@x", "<m@x>", long_key}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        agentmail_result_t result;
        agentmail_reply(setup.client, bad[i].inbox, bad[i].message, bad[i].key, "{}", 2, &result);
        assert_int_equal(result.verdict, AGENTMAIL_REJECT);
        assert_false(result.maybe_done);
        agentmail_result_free(&result);
    }
    assert_int_equal(peer_count(setup.peer), 0);
    tear_down(&setup);
}

/* --- downloads ----------------------------------------------------------------------------------
 */

#define RAW_AT(url) JSON("200 OK", "{\"message_id\":\"<m@x>\",\"download_url\":\"" url "\"}")

static void test_raw_is_fetched_without_the_key_and_cut(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {{RAW_AT("http://%s/blob?sig=1"), PEER_CLOSE},
                                     {"HTTP/1.1 200 OK\r\n\r\nA: 1\r\n\r\nbody", PEER_ENDLESS},
                                     {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    agentmail_result_t result;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_get_raw(setup.client, "i@x", "<m@x>", 1000, &out, &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    assert_int_equal(out.size, 1000);
    assert_memory_equal(out.data, "A: 1\r\n\r\nbody", 12);
    assert_has(peer_request(setup.peer, 0), "GET /v0/inboxes/i%40x/messages/%3Cm%40x%3E/raw ");
    assert_has(peer_request(setup.peer, 1), "GET /blob?sig=1 ");
    assert_null(strstr(peer_request(setup.peer, 1), "Authorization"));
    assert_null(strstr(peer_request(setup.peer, 1), "am_secret"));
    agentmail_result_free(&result);
    mailbus_buf_free(&out);
    tear_down(&setup);
}

static const agentmail_bounds_t FOUR_BYTES = {.limit = 4};

static void test_an_attachment_over_the_limit_is_refused(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {
        {RAW_AT("http://%s/a"), PEER_CLOSE},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345", PEER_CLOSE},
        {RAW_AT("http://%s/a"), PEER_CLOSE},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n1234", PEER_CLOSE},
        {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    agentmail_result_t result;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_get_attachment(setup.client, "i@x", "<m@x>", "a1", &FOUR_BYTES, &out, &result);
    assert_int_equal(result.verdict, AGENTMAIL_REJECT);
    assert_true(result.too_long);
    assert_int_equal(out.size, 0);
    agentmail_result_free(&result);
    agentmail_get_attachment(setup.client, "i@x", "<m@x>", "a1", &FOUR_BYTES, &out, &result);
    assert_int_equal(result.verdict, AGENTMAIL_DONE);
    assert_string_equal(out.data, "1234");
    agentmail_result_free(&result);
    mailbus_buf_free(&out);
    tear_down(&setup);
}

/* Neither is waited for: the first is not asked for, the second not read. */
static void test_an_attachment_that_is_announced_as_too_long_is_not_read(void **state)
{
    (void)state;
    const peer_answer_t answers[] = {
        {JSON("200 OK", "{\"message_id\":\"m\",\"size\":5,\"download_url\":\"http://%s/a\"}"),
         PEER_CLOSE},
        {RAW_AT("http://%s/a"), PEER_CLOSE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", PEER_HANG},
        {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    agentmail_result_t result;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < 2; i++) {
        agentmail_get_attachment(setup.client, "i@x", "<m@x>", "a1", &FOUR_BYTES, &out, &result);
        assert_int_equal(result.verdict, AGENTMAIL_REJECT);
        assert_true(result.too_long);
        assert_has(result.text, "more than 4 bytes");
        agentmail_result_free(&result);
    }
    assert_int_equal(peer_count(setup.peer), 3);
    mailbus_buf_free(&out);
    tear_down(&setup);
}

static void test_a_download_that_trickles_or_takes_too_long_is_given_up(void **state)
{
    (void)state;
    static const agentmail_bounds_t bounds[] = {
        {.limit = 1000, .least_rate = 1000}, /* for stall_s = 1 s */
        {.limit = 1000, .timeout_ms = 300},
    };
    for (size_t i = 0; i < 2; i++) {
        const peer_answer_t answers[] = {
            {RAW_AT("http://%s/a"), PEER_CLOSE},
            {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", PEER_TRICKLE},
            {NULL, PEER_CLOSE}};
        setup_t setup = set_up_with(answers, 20000, 1);
        agentmail_result_t result;
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        agentmail_get_attachment(setup.client, "i@x", "<m@x>", "a1", &bounds[i], &out, &result);
        assert_int_equal(result.verdict, AGENTMAIL_RETRY);
        assert_false(result.too_long);
        assert_int_equal(out.size, 0);
        agentmail_result_free(&result);
        mailbus_buf_free(&out);
        tear_down(&setup);
    }
}

static void check_download(const char *answer, agentmail_verdict_t verdict, size_t connections)
{
    const peer_answer_t answers[] = {
        {answer, PEER_CLOSE},
        {"HTTP/1.1 403 Expired\r\nConnection: close\r\n\r\n<x/>", PEER_CLOSE},
        {NULL, PEER_CLOSE}};
    setup_t setup = set_up(answers, 0);
    agentmail_result_t result;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_get_raw(setup.client, "i@x", "<m@x>", 1000, &out, &result);
    if (result.verdict != verdict || peer_count(setup.peer) != connections) {
        fail_msg("%s: verdict %d, %zu connections: %s", answer, result.verdict,
                 peer_count(setup.peer), result.text);
    }
    assert_false(result.maybe_done);
    assert_int_equal(out.size, 0);
    agentmail_result_free(&result);
    mailbus_buf_free(&out);
    tear_down(&setup);
}

static void test_downloads_go_nowhere_else(void **state)
{
    (void)state;
    check_download(RAW_AT("http://%s/a"), AGENTMAIL_RETRY, 2); /* its address ran out: 403 */
    check_download(RAW_AT("file:///etc/passwd"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("ftp://%s/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("http://192.0.2.1/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("http://user@%s/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("https://10.0.0.1/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("https://169.254.169.254/latest"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("https://[fe80::1]/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("https://127.0.0.1/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("https://%s/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT("http://127.0.0.1:1/a"), AGENTMAIL_REJECT, 1); /* not the stand-in */
    check_download(RAW_AT("http://localhost/a"), AGENTMAIL_REJECT, 1);
    /* a name like others, that leads to this machine once it is resolved (RFC 6761 §6.3) */
    check_download(RAW_AT("https://files.localhost/a"), AGENTMAIL_REJECT, 1);
    check_download(RAW_AT(""), AGENTMAIL_REJECT, 1);
    check_download(JSON("200 OK", "{\"message_id\":\"<m@x>\"}"), AGENTMAIL_RETRY, 1);
    check_download(JSON("404 No", "{\"name\":\"N\",\"message\":\"gone\"}"), AGENTMAIL_REJECT, 1);
}

/* --- options ------------------------------------------------------------------------------------
 */

static void check_options(const char *url, const char *key, const char *says)
{
    agentmail_client_t *client = NULL;
    mailbus_error_t error = {0};
    const agentmail_options_t options = {.base_url = url, .api_key = key, .user_agent = "t"};
    mailbus_code_t code = agentmail_client_new(&options, &client, &error);
    assert_int_equal(code, says == NULL ? MAILBUS_OK : MAILBUS_EINVAL);
    if (says != NULL) {
        assert_null(client);
        assert_has(error.text, says);
    }
    agentmail_client_destroy(&client);
    assert_null(client);
}

static void test_the_key_never_goes_in_clear(void **state)
{
    (void)state;
    check_options("https://api.agentmail.to/v0", "am_x", NULL);
    check_options("https://10.1.2.3/v0", "am_x", NULL); /* the operator named it */
    check_options("http://127.0.0.1:8090/v0", "am_x", NULL);
    check_options("http://localhost:8090/v0", "am_x", NULL);
    check_options("http://[::1]:8090/v0", "am_x", NULL);
    check_options("http://api.agentmail.to/v0", "am_x", "https://");
    check_options("http://192.168.1.5/v0", "am_x", "https://");
    check_options("http://127.0.0.1.evil.org/v0", "am_x", "https://");
    check_options("https://u:p@api.agentmail.to/v0", "am_x", "user name");
    check_options("https://api.agentmail.to/v0?x=y", "am_x", "query");
    check_options("ws://127.0.0.1/", "am_x", "https://");
    check_options("", "am_x", "URL");
    check_options("https://api.agentmail.to/v0", "", "missing");
    check_options("https://api.agentmail.to/v0", "am_x\r\nX: y", "blanks");
    check_options("https://api.agentmail.to/v0", "am x", "blanks");
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
        cmocka_unit_test(test_reply_is_one_exact_request),
        cmocka_unit_test(test_calls_name_what_they_mean),
        cmocka_unit_test(test_every_way_of_answering_has_its_verdict),
        cmocka_unit_test(test_nothing_listening_is_retry_and_certainly_not_done),
        cmocka_unit_test(test_the_client_works_again_after_a_failure),
        cmocka_unit_test(test_bad_ids_and_keys_send_nothing),
        cmocka_unit_test(test_raw_is_fetched_without_the_key_and_cut),
        cmocka_unit_test(test_an_attachment_over_the_limit_is_refused),
        cmocka_unit_test(test_an_attachment_that_is_announced_as_too_long_is_not_read),
        cmocka_unit_test(test_a_download_that_trickles_or_takes_too_long_is_given_up),
        cmocka_unit_test(test_downloads_go_nowhere_else),
        cmocka_unit_test(test_the_key_never_goes_in_clear),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
