/* What an answer means: one row each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/client.h"
#include "mailbus/json.h"

typedef struct {
    long status;
    const char *body;
    const char *expected; /* what the call gives back */
    agentmail_verdict_t verdict;
    bool maybe_done;
    bool operator_error;
    const char *text; /* a part of the text for people */
} row_t;

#define ID "message_id"

static const row_t rows[] = {
    {200, "{\"message_id\":\"<a@b>\",\"thread_id\":\"t\"}", ID, AGENTMAIL_DONE, false, false, ""},
    {201, "{\"webhook_id\":\"w\"}", "webhook_id", AGENTMAIL_DONE, false, false, ""},
    {204, "", NULL, AGENTMAIL_DONE, false, false, ""},
    {200, "{\"count\":0,\"webhooks\":[]}", "", AGENTMAIL_DONE, false, false, ""},
    /* 2xx, but not the service's answer: sent perhaps, so the same again under the same key */
    {200, "", ID, AGENTMAIL_RETRY, true, false, "not the service's"},
    {200, "<html>Welcome to the hotel</html>", ID, AGENTMAIL_RETRY, true, false, "not the service"},
    {200, "{\"message_id\":\"<a@b>\"", ID, AGENTMAIL_RETRY, true, false, "not the service's"},
    {200, "{}", ID, AGENTMAIL_RETRY, true, false, "not the service's"},
    {200, "{\"message_id\":5}", ID, AGENTMAIL_RETRY, true, false, "not the service's"},
    {200, "[]", "", AGENTMAIL_RETRY, true, false, "not the service's"},
    /* redirects are not followed */
    {301, "", ID, AGENTMAIL_RETRY, false, true, "api.base_url"},
    {307, "", ID, AGENTMAIL_RETRY, false, true, "api.base_url"},
    /* never */
    {400, "{\"name\":\"ValidationError\",\"message\":\"bad to\"}", ID, AGENTMAIL_REJECT, false,
     false, "bad to"},
    {404, "{\"name\":\"NotFoundError\",\"message\":\"no inbox\"}", ID, AGENTMAIL_REJECT, false,
     false, "no inbox"},
    {405, "", ID, AGENTMAIL_REJECT, false, false, "does not take"},
    {410, "", ID, AGENTMAIL_REJECT, false, false, "HTTP 410"},
    {413, "", ID, AGENTMAIL_REJECT, false, false, "HTTP 413"},
    {415, "", ID, AGENTMAIL_REJECT, false, false, "HTTP 415"},
    {422, "{\"name\":\"E\",\"code\":\"no_recipients\",\"message\":\"none\",\"fix\":\"add one\"}",
     ID, AGENTMAIL_REJECT, false, false, "code no_recipients; none; fix: add one"},
    {409, "{\"name\":\"ConflictError\",\"message\":\"key used\"}", ID, AGENTMAIL_REJECT, true,
     false, "idempotency key"},
    /* the operator mends the key, then it works */
    {401, "{\"name\":\"Unauthorized\",\"message\":\"no\"}", ID, AGENTMAIL_RETRY, false, true,
     "api.key"},
    {402, "", ID, AGENTMAIL_RETRY, false, true, "plan"},
    {403, "{\"name\":\"ForbiddenError\",\"message\":\"no\"}", ID, AGENTMAIL_RETRY, false, true,
     "api.key"},
    {403, "<html>", ID, AGENTMAIL_RETRY, false, true, "api.key"},
    /* blocked or suppressed */
    {403, "{\"name\":\"X\",\"code\":\"message_rejected\",\"message\":\"blocked\"}", ID,
     AGENTMAIL_REJECT, false, false, "blocked"},
    {403, "{\"name\":\"MessageRejectedError\",\"message\":\"blocked\"}", ID, AGENTMAIL_REJECT,
     false, false, "blocked"},
    {403, "{\"name\":\"MessageRejectedError\",\"code\":\"other\",\"message\":\"x\"}", ID,
     AGENTMAIL_RETRY, false, true, "other"},
    /* later */
    {408, "", ID, AGENTMAIL_RETRY, true, false, "HTTP 408"},
    {425, "", ID, AGENTMAIL_RETRY, false, false, "HTTP 425"},
    {429, "{\"name\":\"RateLimitError\",\"message\":\"slow down\"}", ID, AGENTMAIL_RETRY, false,
     false, "slow down"},
    {500, "", ID, AGENTMAIL_RETRY, true, false, "service failed"},
    {502, "<html>Bad gateway</html>", ID, AGENTMAIL_RETRY, true, false, "HTTP 502"},
    {503, "", ID, AGENTMAIL_RETRY, true, false, "HTTP 503"},
    {599, "", ID, AGENTMAIL_RETRY, true, false, "HTTP 599"},
    {999, "", ID, AGENTMAIL_RETRY, true, false, "not an HTTP answer"},
};

static void test_every_answer_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row_t *row = &rows[i];
        agentmail_result_t result;
        agentmail_result_judge("reply", row->status, row->body, strlen(row->body), row->expected,
                               &result);
        if (result.verdict != row->verdict || result.maybe_done != row->maybe_done ||
            result.operator_error != row->operator_error || result.status != row->status ||
            strstr(result.text, row->text) == NULL || strncmp(result.text, "reply: ", 7) != 0) {
            fail_msg("row %zu (%ld %s): verdict %d maybe %d operator %d text %s", i, row->status,
                     row->body, result.verdict, result.maybe_done, result.operator_error,
                     result.text);
        }
        agentmail_result_free(&result);
    }
}

static void test_done_hands_the_answer_over(void **state)
{
    (void)state;
    agentmail_result_t result;
    const char *body = "{\"message_id\":\"<a@b>\"}";
    agentmail_result_judge("send", 200, body, strlen(body), ID, &result);
    assert_string_equal(mailbus_json_string(result.json, "message_id"), "<a@b>");
    agentmail_result_free(&result);
    assert_null(result.json);
}

static void test_hostile_error_texts_are_one_bounded_line(void **state)
{
    (void)state;
    agentmail_result_t result;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    mailbus_buf_text(&body, "{\"code\":\"a\\r\\nb\",\"message\":\"x\\nlevel=error \\u001b[2J");
    for (int i = 0; i < 5000; i++) {
        mailbus_buf_char(&body, 'y');
    }
    mailbus_buf_text(&body, "\",\"fix\":[1]}");
    agentmail_result_judge("reply", 422, body.data, body.size, ID, &result);
    assert_string_equal(result.code, "a b");
    assert_null(strpbrk(result.text, "\r\n\x1b"));
    assert_true(strlen(result.text) < sizeof result.text);
    agentmail_result_free(&result);
    mailbus_buf_free(&body);
}

/* 12 October 2026 09:31:04 UTC */
#define NOW 1791797464LL

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        double seconds;
    } values[] = {
        {NULL, 0},
        {"", 0},
        {"0", 0},
        {"5", 5},
        {" 120 ", 120},
        {"86400", 86400},
        {"86401", AGENTMAIL_RETRY_AFTER_MAX},
        {"99999999999999999999999", AGENTMAIL_RETRY_AFTER_MAX},
        {"-5", 0},
        {"5.5", 0},
        {"5s", 0},
        {"soon", 0},
        {"0x10", 0},
        {"Mon, 12 Oct 2026 09:32:04 GMT", 60},
        {"Mon, 12 Oct 2026 09:30:04 GMT", 0},
        {"Mon, 12 Oct 2093 09:30:04 GMT", AGENTMAIL_RETRY_AFTER_MAX},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        double seconds = agentmail_retry_after(values[i].value, NOW);
        if (seconds < values[i].seconds || seconds > values[i].seconds) {
            fail_msg("%s: %f", values[i].value == NULL ? "NULL" : values[i].value, seconds);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_answer_has_its_verdict),
        cmocka_unit_test(test_done_hands_the_answer_over),
        cmocka_unit_test(test_hostile_error_texts_are_one_bounded_line),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
