/* From an HTTP answer to DONE, RETRY or REJECT: no sockets here. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/client.h"
#include "agentmail/text.h"
#include "mailbus/json.h"

void agentmail_result_free(agentmail_result_t *result)
{
    cJSON_Delete(result->json);
    *result = (agentmail_result_t){.verdict = AGENTMAIL_RETRY};
}

double agentmail_retry_after(const char *value, long long now)
{
    if (value == NULL) {
        return 0;
    }
    value += strspn(value, " \t");
    size_t digits = strspn(value, "0123456789");
    double seconds = 0;
    if (digits > 0 && value[digits + strspn(value + digits, " \t")] == '\0') {
        seconds = digits > 10 ? AGENTMAIL_RETRY_AFTER_MAX : (double)strtoll(value, NULL, 10);
    } else if (digits == 0) {
        time_t date = curl_getdate(value, NULL);
        seconds = date == -1 ? 0 : (double)(date - now);
    }
    if (seconds < 0) {
        return 0;
    }
    return seconds > AGENTMAIL_RETRY_AFTER_MAX ? AGENTMAIL_RETRY_AFTER_MAX : seconds;
}

/* --- statuses -----------------------------------------------------------------------------------
 */

typedef struct {
    long first, last;
    agentmail_verdict_t verdict;
    bool maybe_done;
    bool operator_error;
    const char *meaning; /* where the answer has no words of its own */
} row_t;

/* The first row that fits. */
static const row_t rows[] = {
    {200, 299, AGENTMAIL_DONE, false, false, "done"},
    {300, 399, AGENTMAIL_RETRY, false, true,
     "redirected, which is not followed: check api.base_url"},
    {401, 401, AGENTMAIL_RETRY, false, true, "the API key is not valid: check api.key"},
    {402, 402, AGENTMAIL_RETRY, false, true, "the account's plan does not allow it"},
    {403, 403, AGENTMAIL_RETRY, false, true,
     "the API key is not allowed to do this: check api.key"},
    {408, 408, AGENTMAIL_RETRY, true, false, "the service did not get the request in time"},
    {409, 409, AGENTMAIL_REJECT, true, false,
     "the idempotency key was used before with another request"},
    {425, 425, AGENTMAIL_RETRY, false, false, "too early"},
    {429, 429, AGENTMAIL_RETRY, false, false, "too many requests"},
    {404, 404, AGENTMAIL_REJECT, false, false, "there is no such inbox, message or webhook"},
    {400, 499, AGENTMAIL_REJECT, false, false, "the service does not take this request"},
    {500, 599, AGENTMAIL_RETRY, true, false, "the service failed"},
};

static const row_t *row_of(long status)
{
    static const row_t unknown = {0, 0, AGENTMAIL_RETRY, true, false, "not an HTTP answer"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (status >= rows[i].first && status <= rows[i].last) {
            return &rows[i];
        }
    }
    return &unknown;
}

/* --- the API's errors: {name, code?, message, fix?} ---------------------------------------------
 */

/* The member as one line, cut to what a log line can carry. */
static void append_member(const cJSON *json, const char *key, const char *before,
                          mailbus_buf_t *out)
{
    const char *text = mailbus_json_string(json, key);
    if (text != NULL && text[0] != '\0') {
        mailbus_buf_text(out, before);
        agentmail_text_line(text, strlen(text), 200, out);
    }
}

/* Blocked by a list or suppressed. `code` is optional, the error's name then says it. */
static bool is_message_rejected(const cJSON *json, const char *code)
{
    const char *name = mailbus_json_string(json, "name");
    return strcmp(code, "message_rejected") == 0 ||
           (code[0] == '\0' && name != NULL && agentmail_text_equal(name, "MessageRejectedError"));
}

static bool has_expected(const cJSON *json, const char *expected)
{
    return cJSON_IsObject(json) &&
           (expected[0] == '\0' || mailbus_json_string(json, expected) != NULL);
}

static void copy_text(char *to, size_t room, const char *from)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    agentmail_text_line(from, strlen(from), room - 1, &line);
    snprintf(to, room, "%s", line.data == NULL ? "" : line.data);
    mailbus_buf_free(&line);
}

void agentmail_result_judge(const char *doing, long status, const char *body, size_t size,
                            const char *expected, agentmail_result_t *result)
{
    const row_t *row = row_of(status);
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    cJSON *json = NULL;
    if (size > 0 && mailbus_json_parse(body, size, &json, NULL) != MAILBUS_OK) {
        json = NULL; /* a proxy's page: the status has to do */
    }
    *result = (agentmail_result_t){.verdict = row->verdict,
                                   .status = status,
                                   .maybe_done = row->maybe_done,
                                   .operator_error = row->operator_error};
    const char *code = mailbus_json_string(json, "code");
    copy_text(result->code, sizeof result->code, code == NULL ? "" : code);
    if (status == 403 && is_message_rejected(json, result->code)) {
        result->verdict = AGENTMAIL_REJECT;
        result->operator_error = false;
    }
    mailbus_buf_printf(&text, "%s: HTTP %ld", doing, status);
    if (result->verdict == AGENTMAIL_DONE) {
        if (expected != NULL && !has_expected(json, expected)) {
            result->verdict = AGENTMAIL_RETRY;
            result->maybe_done = true;
            mailbus_buf_text(&text, ", but the answer is not the service's");
        } else {
            result->json = json;
            json = NULL;
        }
    } else {
        if (status != 403 || result->operator_error) {
            mailbus_buf_printf(&text, ", %s", row->meaning);
        }
        append_member(json, "code", "; code ", &text);
        append_member(json, "message", "; ", &text);
        append_member(json, "fix", "; fix: ", &text);
    }
    copy_text(result->text, sizeof result->text, text.data == NULL ? doing : text.data);
    mailbus_buf_free(&text);
    cJSON_Delete(json);
}
