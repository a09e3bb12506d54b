#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#include "mailbus/replay.h"

struct check_client {
    mailbus_runtime_t *runtime;
    check_peers_t *peers;
    int64_t timeout_ms;
};

static void count(check_client_t *self, check_reply_kind_t kind, uint64_t n)
{
    static const char *const labels[] = {[CHECK_REPLY_YES] = "answer=\"yes\"",
                                         [CHECK_REPLY_NO] = "answer=\"no\"",
                                         [CHECK_REPLY_NONE] = "answer=\"none\""};
    mailbus_count(self->runtime, "asked", labels[kind],
                  "Checks before a mail was sent, by what was answered", n);
}

mailbus_code_t check_client_new(mailbus_runtime_t *runtime, check_client_t **ret_self,
                                mailbus_error_t *error)
{
    check_client_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the checks");
    }
    self->runtime = runtime;
    self->timeout_ms = mailbus_setting_integer(runtime, "send.check_timeout");
    mailbus_code_t code =
        check_peers_new(mailbus_setting_text(runtime, "send.checks"),
                        mailbus_setting_text(runtime, "bus.curve_dir"),
                        mailbus_setting_text(runtime, "bus.curve_name"), &self->peers, error);
    if (code == MAILBUS_OK && self->timeout_ms <= 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "send.check_timeout: nobody answers in no time");
    }
    if (code != MAILBUS_OK) {
        check_client_destroy(&self);
        return code;
    }
    for (int kind = CHECK_REPLY_YES; kind <= CHECK_REPLY_NONE; kind++) {
        count(self, (check_reply_kind_t)kind, 0);
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void check_client_destroy(check_client_t **self_p)
{
    check_client_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        check_peers_destroy(&self->peers);
        free(self);
    }
}

size_t check_client_count(const check_client_t *self)
{
    return check_peers_count(self->peers);
}

static void refuse(const char *label, const check_reply_t *reply, check_result_t *result)
{
    char until[MAILBUS_TIME_SIZE + sizeof " (until )"] = "";
    if (reply->until_ms > 0) {
        char time[MAILBUS_TIME_SIZE];
        mailbus_time_format(reply->until_ms, time);
        snprintf(until, sizeof until, " (until %s)", time);
    }
    result->verdict = CHECK_REFUSED;
    result->until_ms = reply->until_ms;
    snprintf(result->reason, sizeof result->reason, "%.150s says no%s%s%s", label,
             reply->reason[0] != '\0' ? ": " : "", reply->reason, until);
}

void check_client_decide(const check_peers_t *peers, const check_reply_t *replies,
                         check_result_t *ret_result)
{
    *ret_result = (check_result_t){.verdict = CHECK_ALLOWED};
    for (size_t i = 0; i < check_peers_count(peers); i++) {
        const char *label = check_peers_label(peers, i);
        if (replies[i].kind == CHECK_REPLY_NO) {
            refuse(label, &replies[i], ret_result);
            return;
        }
        if (replies[i].kind != CHECK_REPLY_YES && ret_result->verdict == CHECK_ALLOWED) {
            ret_result->verdict = CHECK_NOT_NOW;
            snprintf(ret_result->reason, sizeof ret_result->reason, "%.150s gives no answer: %s",
                     label, replies[i].reason);
        }
    }
}

void check_client_ask(check_client_t *self, const char *address, check_result_t *ret_result)
{
    check_reply_t replies[CHECK_PEERS_MAX];
    mailbus_error_t error = {.code = MAILBUS_OK};
    if (check_peers_count(self->peers) == 0) {
        *ret_result = (check_result_t){.verdict = CHECK_ALLOWED};
        return;
    }
    mailbus_code_t code =
        check_peers_ask(self->peers, address, self->timeout_ms, true, replies, &error);
    if (code != MAILBUS_OK) {
        *ret_result = (check_result_t){.verdict = CHECK_NOT_NOW};
        snprintf(ret_result->reason, sizeof ret_result->reason, "nobody was asked: %s", error.text);
        return;
    }
    check_client_decide(self->peers, replies, ret_result);
    for (size_t i = 0; i < check_peers_count(self->peers); i++) {
        /* After a no the others are not waited for: that is no silence. */
        if (replies[i].kind != CHECK_REPLY_NONE || ret_result->verdict != CHECK_REFUSED) {
            count(self, replies[i].kind, 1);
        }
    }
}
