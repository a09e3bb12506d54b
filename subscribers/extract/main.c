/* mailbus-extract: text out of attachments. Settings, start and stop; mail.c has the rest. */
#include <curl/curl.h>
#include <stdlib.h>

#include "archive_commands.h"
#include "clock.h"
#include "held.h"
#include "mail.h"
#include "try.h"

typedef struct {
    mail_program_t program;
    mailbus_runtime_t *runtime;
    mb_held_t *config; /* of config_t; replaced by a reload */
} extract_t;

static void stop(void *arg)
{
    extract_t *self = arg;
    if (self == NULL) {
        return;
    }
    output_bus_destroy(&self->program.bus);
    outgoing_destroy(&self->program.outgoing);
    mb_held_destroy(&self->config);
    busy_destroy(&self->program.busy);
    free(self);
    curl_global_cleanup();
}

static mailbus_code_t start_parts(extract_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = self->runtime;
    config_t *config = NULL;
    mailbus_code_t code = config_load(runtime, &config, error);
    if (code == MAILBUS_OK) {
        code = mb_held_new(config, config_free, &self->config, error);
    }
    if (code == MAILBUS_OK) {
        code = outgoing_new(runtime, "mailbus-extract/" MAILBUS_VERSION, &self->program.outgoing,
                            error);
    }
    if (code == MAILBUS_OK && !outgoing_has_key(self->program.outgoing)) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "api.key is not set: put the key into AGENTMAIL_API_KEY or "
                            "MAILBUS_API_KEY_FILE, or try a file with --file PATH");
    }
    if (code == MAILBUS_OK && !config->policy.dry_run) {
        code = output_bus_new(runtime, &self->program.bus, error);
    }
    if (code == MAILBUS_OK) {
        mailbus_runtime_log(runtime, "info", "reading files with %s",
                            extractor_engines(config->extractor));
    }
    return code;
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    extract_t *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        return -1;
    }
    self->runtime = runtime;
    self->program.busy = busy_new();
    if (self->program.busy == NULL) {
        mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        stop(self);
        return -1;
    }
    if (start_parts(self, error) != MAILBUS_OK) {
        stop(self);
        return -1;
    }
    *ret_self = self;
    return 0;
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    extract_t *self = arg;
    config_t *config = mb_held_take(self->config);
    mailbus_verdict_t verdict = mail_handle(task, config, &self->program, mb_clock_wall_ms());
    mb_held_give(self->config, config);
    return verdict;
}

static int reload(void *arg, mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    extract_t *self = arg;
    config_t *config = NULL;
    output_bus_reload(self->program.bus); /* a revoked key is cut off whatever the rest says */
    if (config_load(runtime, &config, error) != MAILBUS_OK) {
        return -1;
    }
    if (mb_held_replace(self->config, config, error) != MAILBUS_OK) {
        return -1;
    }
    mailbus_runtime_log(runtime, "info", "reading files with %s",
                        extractor_engines(config->extractor));
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.received", NULL};
    char *schema = archive_schema();
    const mailbus_subscriber_t extract = {
        .name = "extract",
        .summary = "Take text out of attachments, find it again, and pass it on (--file PATH: out "
                   "of a file, without a bus)",
        .topics = topics,
        .settings = config_settings,
        .schema = schema,
        .start = start,
        .handle = handle,
        .reload = reload,
        .stop = stop,
        .commands = archive_commands,
    };
    static char dry_run_state[] = "state.path=mailbus-data/extract-dry-run.db";
    int count = 0;
    int status = EXIT_FAILURE;
    char **arguments = argc > 0 ? outgoing_arguments(argc, argv, dry_run_state, &count) : NULL;
    if (arguments != NULL && schema != NULL) {
        status = try_wanted(count, arguments) ? try_file(count, arguments, &extract)
                                              : mailbus_subscriber_main(count, arguments, &extract);
    }
    free(arguments);
    free(schema);
    return status;
}
