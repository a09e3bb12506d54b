/* mailbus-bounces: which addresses can be written to. Settings, start and stop, one event, one
 * question. */
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"
#include "carry.h"
#include "check/server.h"
#include "clock.h"
#include "commands.h"
#include "config.h"
#include "held.h"
#include "ledger.h"
#include "watch.h"

typedef struct {
    mailbus_runtime_t *runtime;
    answer_t *answer; /* the server's thread */
    check_server_t *server;
    watch_t *watch;
    mb_held_t *config; /* of config_t; replaced by a reload */
} bounces_t;

/* A check_decide_fn. What was missed while the program was away must be known before it says yes.
 */
static check_t decide(void *arg, const char *address, char *reason, size_t size,
                      int64_t *ret_until_ms)
{
    static const check_t answers[] = {
        [ANSWER_YES] = CHECK_YES, [ANSWER_NO] = CHECK_NO, [ANSWER_SILENT] = CHECK_SILENT};
    bounces_t *self = arg;
    mailbus_error_t error = {0};
    const config_t *config = mb_held_take(self->config);
    answer_verdict_t verdict = answer_ask(self->answer, address, &config->limits.machine,
                                          mb_clock_wall_ms(), reason, size, ret_until_ms, &error);
    mb_held_give(self->config, config);
    if (verdict == ANSWER_SILENT) {
        mailbus_runtime_log(self->runtime, "error",
                            "no answer to a question, the list can't be read: %s", error.text);
    }
    if (verdict == ANSWER_YES && !mailbus_caught_up(self->runtime)) {
        verdict = ANSWER_SILENT;
    }
    return answers[verdict];
}

static void stop(void *arg)
{
    bounces_t *self = arg;
    if (self == NULL) {
        return;
    }
    check_server_destroy(&self->server);
    watch_destroy(&self->watch);
    answer_destroy(&self->answer);
    mb_held_destroy(&self->config);
    free(self);
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    bounces_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        return -1;
    }
    self->runtime = runtime;
    config_t *config = NULL;
    mailbus_code_t code = config_load(runtime, &config, error);
    if (code == MAILBUS_OK) {
        code = mb_held_new(config, config_free, &self->config, error);
    }
    if (code == MAILBUS_OK && !mailbus_rebuilding(runtime)) {
        code = answer_new(mailbus_setting_text(runtime, "state.path"), &self->answer, error);
        if (code == MAILBUS_OK) {
            code = watch_new(runtime, self->config, &self->watch, error);
        }
        if (code == MAILBUS_OK) {
            code = check_server_new(runtime, decide, self, &self->server, error);
        }
    }
    if (code != MAILBUS_OK) {
        stop(self);
        return -1;
    }
    *ret_self = self;
    return 0;
}

static int reload(void *arg, mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    bounces_t *self = arg;
    config_t *config = NULL;
    if (check_server_reload(self->server, error) != MAILBUS_OK ||
        config_load(runtime, &config, error) != MAILBUS_OK) {
        return -1;
    }
    return mb_held_replace(self->config, config, error) == MAILBUS_OK ? 0 : -1;
}

/* How many recipients of each kind, and whether there were any. */
static void note(mailbus_task_t *task, const report_t *report)
{
    size_t kinds[FACT_KINDS] = {0};
    char label[64];
    for (size_t i = 0; i < report->count; i++) {
        kinds[report->entries[i].kind]++;
    }
    for (int kind = 0; kind < FACT_KINDS; kind++) {
        if (kinds[kind] > 0) {
            snprintf(label, sizeof label, "kind=\"%s\"", fact_name((fact_kind_t)kind));
            mailbus_count(mailbus_task_runtime(task), "recipients", label,
                          "Recipients in events, by what was said of them", kinds[kind]);
        }
    }
    if (report->count == 0 && report->what != AGENTMAIL_REJECTED) { /* these never name any */
        mailbus_count(mailbus_task_runtime(task), "without_recipients", "",
                      "Events that name no address", 1);
        mailbus_task_log(task, "warn", "names no address: nothing to count");
    }
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    bounces_t *self = arg;
    report_t *report = NULL;
    mailbus_error_t error = {0};
    const config_t *config = mb_held_take(self->config);
    mailbus_code_t code =
        report_read(mailbus_task_event(task), &config->limits.rules, &report, &error);
    mb_held_give(self->config, config);
    if (code != MAILBUS_OK) {
        mailbus_task_reason(task, "%s", error.text);
        return code == MAILBUS_ENOMEM ? MAILBUS_RETRY : MAILBUS_REJECT;
    }
    sqlite3 *db = mailbus_task_store(task);
    if (db == NULL) {
        report_free(&report);
        return MAILBUS_RETRY; /* the reason is there */
    }
    code = ledger_add(db, report, mb_clock_wall_ms(), &error);
    if (code == MAILBUS_OK) {
        note(task, report);
    } else {
        mailbus_task_reason(task, "%s", error.text);
    }
    report_free(&report);
    return code == MAILBUS_OK ? MAILBUS_DONE : MAILBUS_RETRY;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.bounced", "message.delivered", "message.sent",
                                         "message.rejected", NULL};
    static const mailbus_subscriber_t bounces = {
        .name = "bounces",
        .summary = "Know which addresses can be written to, and answer whoever asks before sending",
        .topics = topics,
        .settings = config_settings,
        .schema = ledger_schema,
        .start = start,
        .handle = handle,
        .reload = reload,
        .stop = stop,
        .commands = bounces_commands,
        .carry = carry_over,
    };
    return mailbus_subscriber_main(argc, argv, &bounces);
}
