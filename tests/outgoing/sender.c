/* mailbus-sender: outgoing mail of every kind in a real subscriber, for tests. It passes every mail
 * on to sender.forward, and answers it sender.replies times, each as a part of its own. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "outgoing/history.h"
#include "outgoing/outgoing.h"

static const mailbus_setting_t settings[] = {
    {"sender.forward", "text", "", "Pass mails on to this address", false, NULL},
    {"sender.replies", "integer", "0", "Answers to each mail", false, NULL},
    OUTGOING_SETTINGS,
    {NULL, NULL, NULL, NULL, false, NULL},
};

typedef struct {
    mailbus_runtime_t *runtime;
    outgoing_t *outgoing;
    outgoing_policy_t policy;
} sender_t;

static void stop(void *arg)
{
    sender_t *self = arg;
    outgoing_destroy(&self->outgoing);
    outgoing_policy_free(&self->policy);
    free(self);
    curl_global_cleanup();
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    sender_t *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        return -1;
    }
    self->runtime = runtime;
    if (outgoing_policy_read(runtime, &self->policy, error) != MAILBUS_OK ||
        outgoing_new(runtime, "mailbus-sender/" MAILBUS_VERSION, &self->outgoing, error) !=
            MAILBUS_OK) {
        stop(self);
        return -1;
    }
    *ret_self = self;
    return 0;
}

/* The worse of two: what waits, waits for all. */
static mailbus_verdict_t worse(mailbus_verdict_t a, mailbus_verdict_t b)
{
    return a == MAILBUS_RETRY || b == MAILBUS_RETRY     ? MAILBUS_RETRY
           : a == MAILBUS_REJECT || b == MAILBUS_REJECT ? MAILBUS_REJECT
                                                        : MAILBUS_DONE;
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    sender_t *self = arg;
    outgoing_result_t result;
    agentmail_message_t *message = NULL;
    mailbus_verdict_t verdict = MAILBUS_DONE;
    const outgoing_context_t context = {.self = self->outgoing,
                                        .policy = &self->policy,
                                        .task = task,
                                        .now_ms = mb_clock_wall_ms()};
    const char *forward = mailbus_setting_text(self->runtime, "sender.forward");
    int64_t replies = mailbus_setting_integer(self->runtime, "sender.replies");
    if (!outgoing_read(&context, &message, &result)) {
        return result.verdict;
    }
    if (forward[0] != '\0') {
        const outgoing_mail_t mail = {.kind = OUTGOING_FORWARD,
                                      .part = replies == 0 ? "" : "forward",
                                      .rule = "forward",
                                      .to = forward,
                                      .text = "For you"};
        verdict = outgoing_handle(&context, message, &mail, &result);
    }
    for (int64_t i = 1; i <= replies; i++) {
        char part[32];
        snprintf(part, sizeof part, "reply-%d", (int)i);
        const outgoing_mail_t mail = {
            .kind = OUTGOING_REPLY, .part = part, .rule = "replies", .text = part};
        verdict = worse(verdict, outgoing_handle(&context, message, &mail, &result));
    }
    agentmail_message_free(&message);
    return verdict;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.received", NULL};
    static const mailbus_command_t commands[] = {OUTGOING_HISTORY, {NULL, NULL}};
    static const mailbus_subscriber_t sender = {
        .name = "sender",
        .summary = "Forward and answer mails: a subscriber for tests",
        .topics = topics,
        .settings = settings,
        .schema = outgoing_schema,
        .start = start,
        .handle = handle,
        .stop = stop,
        .commands = commands,
    };
    return mailbus_subscriber_main(argc, argv, &sender);
}
