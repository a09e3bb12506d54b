/* What Slack's answers mean. */
#include <stdio.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"
#include "route/slack.h"

/* Where Slack says "too fast" without saying for how long (its documentation says it always does).
 */
#define WAIT_S 30.0

typedef struct {
    const char *error;
    agentmail_verdict_t verdict;
    bool maybe_done, operator_error;
    const char *meaning;
} row_t;

#define OPERATOR(error, meaning)                                                                   \
    {                                                                                              \
        error, AGENTMAIL_RETRY, false, true, meaning                                               \
    }
#define TOKEN "the token is not valid (any more)"

/* docs.slack.dev, chat.postMessage and conversations.history, "Errors". What is not here is a
 * request that Slack will never take: an unknown channel, an archived one, … */
static const row_t api_rows[] = {
    OPERATOR("not_authed", TOKEN),
    OPERATOR("invalid_auth", TOKEN),
    OPERATOR("account_inactive", TOKEN),
    OPERATOR("token_revoked", TOKEN),
    OPERATOR("token_expired", TOKEN),
    OPERATOR("not_allowed_token_type", "a bot token (xoxb-…) is needed"),
    OPERATOR("missing_scope", "the app lacks a scope"),
    OPERATOR("no_permission", "the app may not do this"),
    OPERATOR("access_denied", "the app may not do this"),
    OPERATOR("accesslimited", "the app may not do this from this network"),
    OPERATOR("ekm_access_denied", "the workspace's administrators have suspended posting"),
    OPERATOR("enterprise_is_restricted", "the organisation does not allow it"),
    OPERATOR("team_access_not_granted", "the token is not for this workspace"),
    OPERATOR("org_login_required", "the workspace is being moved"),
    {"team_added_to_org", AGENTMAIL_RETRY, false, false, "the workspace is being moved"},
    {"ratelimited", AGENTMAIL_RETRY, false, false, "too many messages"},
    {"rate_limited", AGENTMAIL_RETRY, false, false, "too many messages"},
    {"message_limit_exceeded", AGENTMAIL_RETRY, false, false, "too many messages"},
    {"service_unavailable", AGENTMAIL_RETRY, true, false, "the service is down"},
    {"request_timeout", AGENTMAIL_RETRY, true, false, "the service did not get the request"},
    {"internal_error", AGENTMAIL_RETRY, true, false, "the service failed"},
    {"fatal_error", AGENTMAIL_RETRY, true, false, "the service failed"},
    {NULL, AGENTMAIL_REJECT, false, false, "Slack does not take this"},
};

/* api.slack.com/changelog/2016-05-17, and "Handling errors" of the incoming webhooks. */
static const row_t webhook_rows[] = {
    OPERATOR("invalid_token", "the address is not valid (any more)"),
    OPERATOR("no_service", "the webhook was switched off or removed"),
    OPERATOR("no_active_hooks", "the webhook was switched off or removed"),
    OPERATOR("no_service_id", "the address is not whole"),
    OPERATOR("no_team", "the address is not whole"),
    OPERATOR("team_disabled", "the workspace is switched off"),
    {NULL, AGENTMAIL_REJECT, false, false, "Slack does not take this"},
};

static const row_t *find(const row_t *rows, const char *error)
{
    while (rows->error != NULL && strcmp(rows->error, error) != 0) {
        rows++;
    }
    return rows;
}

static void fill(const char *doing, long status, const row_t *row, const char *error,
                 agentmail_result_t *result)
{
    mailbus_buf_t said = MAILBUS_BUF_INIT;
    mailbus_buf_text(&said, "");
    agentmail_text_line(error, strlen(error), sizeof result->code - 1, &said);
    *result = (agentmail_result_t){.verdict = row->verdict,
                                   .status = status,
                                   .maybe_done = row->maybe_done,
                                   .operator_error = row->operator_error};
    const char *word = said.data == NULL ? "" : said.data;
    snprintf(result->code, sizeof result->code, "%s", word);
    snprintf(result->text, sizeof result->text, "%s: HTTP %ld%s%s: %s", doing, status,
             word[0] == '\0' ? "" : ", ", word, row->meaning);
    mailbus_buf_free(&said);
}

static const row_t fine = {"", AGENTMAIL_DONE, false, false, "done"};
static const row_t strange = {"", AGENTMAIL_RETRY, true, false, "the answer is not the service's"};

/* What says it by its status alone: limits, redirects, failures. NULL: look at the body. */
static const row_t *by_status(long status)
{
    static const row_t limited = {"", AGENTMAIL_RETRY, false, false, "too many messages"};
    static const row_t moved = {"", AGENTMAIL_RETRY, false, true,
                                "redirected, which is not followed: check the address"};
    static const row_t broken = {"", AGENTMAIL_RETRY, true, false, "the service failed"};
    return status == 429                    ? &limited
           : status >= 300 && status <= 399 ? &moved
           : status >= 500 && status <= 599 ? &broken
           : status < 200 || status > 499   ? &strange
                                            : NULL;
}

static double wait_of(const agentmail_result_t *result, double retry_after)
{
    bool limited = result->status == 429 || strcmp(result->code, "ratelimited") == 0 ||
                   strcmp(result->code, "rate_limited") == 0 ||
                   strcmp(result->code, "message_limit_exceeded") == 0;
    return result->verdict != AGENTMAIL_RETRY ? 0
           : retry_after > 0                  ? retry_after
           : limited                          ? WAIT_S
                                              : 0;
}

void slack_judge(const char *doing, long status, const char *body, size_t size, double retry_after,
                 agentmail_result_t *result)
{
    cJSON *json = NULL;
    if (mailbus_json_parse(body, size, &json, NULL) != MAILBUS_OK) {
        json = NULL;
    }
    const cJSON *ok = mailbus_json_item(json, "ok");
    const char *error = mailbus_json_string(json, "error");
    const row_t *row = by_status(status);
    if (row == NULL) {
        row = cJSON_IsTrue(ok)                     ? &fine
              : cJSON_IsFalse(ok) && error != NULL ? find(api_rows, error)
              : status == 401 || status == 403     ? find(api_rows, "invalid_auth")
                                                   : &strange;
    }
    fill(doing, status, row, error == NULL ? "" : error, result);
    result->retry_after = wait_of(result, retry_after);
    if (result->verdict == AGENTMAIL_DONE) {
        result->json = json;
        json = NULL;
    }
    cJSON_Delete(json);
}

void slack_webhook_judge(long status, const char *body, size_t size, double retry_after,
                         agentmail_result_t *result)
{
    mailbus_buf_t word = MAILBUS_BUF_INIT;
    mailbus_buf_text(&word, "");
    agentmail_text_line(body, size, sizeof result->code - 1, &word);
    const char *error = word.data == NULL ? "" : word.data;
    const row_t *row = by_status(status);
    if (row == NULL) {
        row = status >= 400              ? find(webhook_rows, error)
              : strcmp(error, "ok") == 0 ? &fine
                                         : &strange;
    }
    fill("post to the webhook", status, row, error, result);
    result->retry_after = wait_of(result, retry_after);
    mailbus_buf_free(&word);
}
