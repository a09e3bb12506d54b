/* Calls of Slack's and GitHub's API: a handle and a connection each. libcurl sends a request once
 * more where a *reused* connection ends without an answer, and what has no idempotency key would be
 * done twice. */
#include <stdio.h>
#include <string.h>

#include "route/mail_priv.h"

enum {
    TIMEOUT_MS = 30000,
    CONNECT_TIMEOUT_MS = 10000,
    STALL_S = 15,
    ANSWER_MAX = 16 * 1024 * 1024, /* bytes: a page of 30 issues of 65 536 characters fits */
    TOKEN_LINE_MAX = 4200,
};

static void failed(agentmail_result_t *result, const char *doing, const agentmail_answer_t *answer)
{
    *result = (agentmail_result_t){
        .verdict = answer->refused ? AGENTMAIL_REJECT : AGENTMAIL_RETRY,
        .maybe_done = answer->sent,
    };
    snprintf(result->text, sizeof result->text, "%s: %s", doing, answer->failure);
}

bool remote_call(const char *doing, const remote_t *remote, mailbus_buf_t *body,
                 agentmail_answer_t *answer, agentmail_result_t *result)
{
    char token[TOKEN_LINE_MAX];
    int size = snprintf(token, sizeof token, "Authorization: Bearer %s",
                        remote->token == NULL ? "" : remote->token);
    agentmail_handle_t *handle = agentmail_handle_new();
    if (handle == NULL || size < 0 || (size_t)size >= sizeof token) {
        agentmail_handle_destroy(&handle);
        *result = (agentmail_result_t){.verdict = AGENTMAIL_RETRY, .operator_error = size > 0};
        snprintf(result->text, sizeof result->text, "%s: out of memory, or a token too long",
                 doing);
        return false;
    }
    const agentmail_transfer_t transfer = {
        .method = remote->method,
        .url = remote->url,
        .reach = remote->reach,
        .authorization = remote->token == NULL ? NULL : token,
        .headers = remote->headers,
        .wanted = remote->wanted,
        .json = remote->json,
        .json_size = remote->size,
        .limit = ANSWER_MAX,
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .stall_s = STALL_S,
        .user_agent = "mailbus-route/" MAILBUS_VERSION,
    };
    agentmail_handle_run(handle, &transfer, body, answer);
    agentmail_handle_destroy(&handle);
    explicit_bzero(token, sizeof token);
    if (answer->status == 0) {
        failed(result, doing, answer);
    }
    return answer->status != 0;
}
