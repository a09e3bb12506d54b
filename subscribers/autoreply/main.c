/* mailbus-autoreply: the guide's auto-reply bot. Settings, start and stop; mail.c has the rest. */
#include <curl/curl.h>
#include <stdlib.h>

#include "clock.h"
#include "config.h"
#include "held.h"
#include "mail.h"
#include "outgoing/history.h"

typedef struct {
    outgoing_t *outgoing;
    mb_held_t *config; /* of config_t; replaced by a reload */
} autoreply_t;

static void stop(void *arg)
{
    autoreply_t *self = arg;
    if (self == NULL) {
        return;
    }
    outgoing_destroy(&self->outgoing);
    mb_held_destroy(&self->config);
    free(self);
    curl_global_cleanup();
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    autoreply_t *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        return -1;
    }
    config_t *config = NULL;
    mailbus_code_t code = config_load(runtime, &config, error);
    if (code == MAILBUS_OK) {
        code = mb_held_new(config, config_free, &self->config, error);
    }
    if (code == MAILBUS_OK) {
        code = outgoing_new(runtime, "mailbus-autoreply/" MAILBUS_VERSION, &self->outgoing, error);
    }
    if (code == MAILBUS_OK && !outgoing_has_key(self->outgoing) && !config->policy.dry_run) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "api.key is not set: put the key into AGENTMAIL_API_KEY or "
                            "MAILBUS_API_KEY_FILE, or try with --dry-run");
    }
    if (code != MAILBUS_OK) {
        stop(self);
        return -1;
    }
    mailbus_runtime_log(runtime, "info", "%s with %zu rules",
                        config->policy.dry_run ? "dry run: nothing is sent" : "answering",
                        rules_count(config->rules));
    *ret_self = self;
    return 0;
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    autoreply_t *self = arg;
    config_t *config = mb_held_take(self->config);
    mailbus_verdict_t verdict = mail_handle(task, config, self->outgoing, mb_clock_wall_ms());
    mb_held_give(self->config, config);
    return verdict;
}

static int reload(void *arg, mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    autoreply_t *self = arg;
    config_t *config = NULL;
    if (config_load(runtime, &config, error) != MAILBUS_OK) {
        return -1;
    }
    size_t count = rules_count(config->rules);
    if (mb_held_replace(self->config, config, error) != MAILBUS_OK) {
        return -1;
    }
    mailbus_runtime_log(runtime, "info", "%zu rules read again", count);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.received", NULL};
    static const mailbus_command_t commands[] = {OUTGOING_HISTORY, {NULL, NULL}};
    static const mailbus_subscriber_t autoreply = {
        .name = "autoreply",
        .summary = "Answer mails by rules, once, and never a machine",
        .topics = topics,
        .settings = config_settings,
        .schema = outgoing_schema,
        .start = start,
        .handle = handle,
        .reload = reload,
        .stop = stop,
        .commands = commands,
    };
    static char dry_run_state[] = "state.path=mailbus-data/autoreply-dry-run.db";
    int count = 0;
    char **arguments = argc > 0 ? outgoing_arguments(argc, argv, dry_run_state, &count) : NULL;
    if (arguments == NULL) {
        return EXIT_FAILURE;
    }
    int status = mailbus_subscriber_main(count, arguments, &autoreply);
    free(arguments);
    return status;
}
