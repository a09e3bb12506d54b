/* What GitHub's answers mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"
#include "route/github.h"

enum { SAID_MAX = 200 }; /* bytes of GitHub's own words in a text */

typedef struct {
    long first, last;
    agentmail_verdict_t verdict;
    bool maybe_done, operator_error;
    const char *meaning;
} row_t;

/* The first row that fits; limits come before. */
static const row_t rows[] = {
    {200, 299, AGENTMAIL_DONE, false, false, "done"},
    {300, 399, AGENTMAIL_RETRY, false, true,
     "the repository has moved, which is not followed: give its new name"},
    {401, 401, AGENTMAIL_RETRY, false, true, "the token is not valid (any more)"},
    {403, 403, AGENTMAIL_RETRY, false, true, "the token may not write issues there"},
    {404, 404, AGENTMAIL_REJECT, false, false,
     "there is no such repository, or the token may not see it"},
    {410, 410, AGENTMAIL_REJECT, false, false, "the repository takes no issues"},
    {408, 408, AGENTMAIL_RETRY, true, false, "the service did not get the request in time"},
    {400, 499, AGENTMAIL_REJECT, false, false, "GitHub does not take this"},
    {500, 599, AGENTMAIL_RETRY, true, false, "the service failed"},
    {0, 0, AGENTMAIL_RETRY, true, false, "not an HTTP answer"},
};

static const row_t *row_of(long status)
{
    const row_t *row = rows;
    while (row->first != 0 && (status < row->first || status > row->last)) {
        row++;
    }
    return row;
}

static bool is_limit(long status, const char *message, const github_limits_t *limits)
{
    return status == 429 ||
           (status == 403 && (limits->retry_after > 0 || strcmp(limits->remaining, "0") == 0 ||
                              agentmail_text_contains(message, "rate limit") ||
                              agentmail_text_contains(message, "abuse detection")));
}

/* Seconds to wait; 0: not said. */
static double wait_of(const github_limits_t *limits, int64_t now_s)
{
    if (limits->retry_after > 0) {
        return limits->retry_after;
    }
    size_t digits = strspn(limits->reset, "0123456789");
    if (strcmp(limits->remaining, "0") != 0 || digits == 0 || digits > 12 ||
        limits->reset[digits] != '\0') {
        return 0;
    }
    double wait = (double)(strtoll(limits->reset, NULL, 10) - now_s) + 1;
    return wait < 1 ? 1 : wait > AGENTMAIL_RETRY_AFTER_MAX ? AGENTMAIL_RETRY_AFTER_MAX : wait;
}

/* "message", and of a validation the first error's own. */
static void append_said(const cJSON *json, mailbus_buf_t *out)
{
    const cJSON *errors = mailbus_json_item(json, "errors");
    const cJSON *first = cJSON_IsArray(errors) ? errors->child : NULL;
    const char *const said[] = {mailbus_json_string(json, "message"),
                                mailbus_json_string(first, "field"),
                                mailbus_json_string(first, "message")};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        if (said[i] != NULL && said[i][0] != '\0') {
            mailbus_buf_text(out, i == 0 ? "; GitHub says: " : ", ");
            agentmail_text_line(said[i], strlen(said[i]), SAID_MAX, out);
        }
    }
}

void github_judge(const char *doing, long status, const char *body, size_t size,
                  const github_limits_t *limits, int64_t now_s, agentmail_result_t *result,
                  bool *ret_strike)
{
    static const row_t limited = {0, 0, AGENTMAIL_RETRY, false, false, "too many requests"};
    static const row_t strange = {0,    0,     AGENTMAIL_RETRY,
                                  true, false, "the answer is not the service's"};
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    cJSON *json = NULL;
    if (mailbus_json_parse(body, size, &json, NULL) != MAILBUS_OK) {
        json = NULL;
    }
    const char *message = mailbus_json_string(json, "message");
    bool limit = is_limit(status, message == NULL ? "" : message, limits);
    const row_t *row = limit ? &limited : row_of(status);
    if (row->verdict == AGENTMAIL_DONE && json == NULL) {
        row = &strange; /* a proxy can answer 200 too */
    }
    *result = (agentmail_result_t){.verdict = row->verdict,
                                   .status = status,
                                   .maybe_done = row->maybe_done,
                                   .operator_error = row->operator_error};
    result->retry_after = limit                             ? wait_of(limits, now_s)
                          : row->verdict == AGENTMAIL_RETRY ? limits->retry_after
                                                            : 0;
    *ret_strike = limit && result->retry_after <= 0;
    mailbus_buf_printf(&text, "%s: HTTP %ld, %s", doing, status, row->meaning);
    if (row->verdict == AGENTMAIL_DONE) {
        result->json = json;
        json = NULL;
    } else {
        append_said(json, &text);
    }
    snprintf(result->text, sizeof result->text, "%s", text.data == NULL ? doing : text.data);
    mailbus_buf_free(&text);
    cJSON_Delete(json);
}
