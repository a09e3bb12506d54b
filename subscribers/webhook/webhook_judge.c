/* From an answer's status to a verdict: no sockets here. */
#include <stdio.h>
#include <string.h>

#include "agentmail/text.h"
#include "webhook/webhook.h"

enum { SHOWN_MAX = 120 }; /* bytes of an answer in the text: enough to know whose page it is */

/* The first row that fits. */
static const struct {
    long first, last;
    agentmail_verdict_t verdict;
    bool maybe_done, operator_error;
    const char *meaning;
} rows[] = {
    {200, 299, AGENTMAIL_DONE, false, false, "taken"},
    {300, 399, AGENTMAIL_RETRY, false, true, "redirected, which is not followed: check the url"},
    {401, 401, AGENTMAIL_RETRY, false, true,
     "the receiver does not take the signature: check its secret and ours"},
    {403, 403, AGENTMAIL_RETRY, false, true, "the receiver does not allow it"},
    {410, 410, AGENTMAIL_REJECT, false, false, "the receiver wants no more of these"},
    {413, 413, AGENTMAIL_REJECT, false, false, "the event is too large for the receiver"},
    {408, 408, AGENTMAIL_RETRY, true, false, "the receiver did not get the request in time"},
    {429, 429, AGENTMAIL_RETRY, false, false, "too many requests"},
    {400, 499, AGENTMAIL_RETRY, false, false, "the receiver does not take it now"},
    {500, 599, AGENTMAIL_RETRY, true, false, "the receiver failed"},
    {0, 999, AGENTMAIL_RETRY, true, false, "not an HTTP answer"},
};

void webhook_judge(long status, const char *body, size_t size, agentmail_result_t *result)
{
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof rows[0] &&
           (status < rows[i].first || status > rows[i].last)) {
        i++;
    }
    *result = (agentmail_result_t){.verdict = rows[i].verdict,
                                   .status = status,
                                   .maybe_done = rows[i].maybe_done,
                                   .operator_error = rows[i].operator_error};
    mailbus_buf_t said = MAILBUS_BUF_INIT;
    mailbus_buf_text(&said, "");
    if (result->verdict != AGENTMAIL_DONE) {
        agentmail_text_line(body, size, SHOWN_MAX, &said);
    }
    bool has = said.data != NULL && said.size > 0;
    snprintf(result->text, sizeof result->text, "post: HTTP %ld, %s%s%s", status, rows[i].meaning,
             has ? "; it said: " : "", has ? said.data : "");
    mailbus_buf_free(&said);
}

mailbus_code_t webhook_sign(const mb_webhook_key_t *keys, size_t count, const char *id,
                            const char *timestamp, const void *body, size_t size,
                            mailbus_buf_t *out)
{
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < count && code == MAILBUS_OK; i++) {
        if (i > 0) {
            mailbus_buf_char(out, ' ');
        }
        code = mb_webhook_sign(&keys[i], id, timestamp, body, size, out);
    }
    return code;
}
