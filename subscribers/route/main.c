/* mailbus-route: mails to Slack, GitHub, files, addresses and people. Settings, start and stop;
 * mail.c has the rest. */
#include <curl/curl.h>
#include <stdlib.h>

#include "clock.h"
#include "held.h"
#include "route/commands.h"
#include "route/config.h"
#include "route/effects.h"
#include "route/mail.h"

typedef struct {
    outgoing_t *outgoing;
    mb_held_t *config; /* of config_t; replaced by a reload */
} route_t;

static void stop(void *arg)
{
    route_t *self = arg;
    if (self == NULL) {
        return;
    }
    outgoing_destroy(&self->outgoing);
    mb_held_destroy(&self->config);
    free(self);
    curl_global_cleanup();
}

/* A mail to be forwarded needs the key: told at the start, not with the first mail. */
static mailbus_code_t check_key(const route_t *self, const config_t *config, mailbus_error_t *error)
{
    if (!config_forwards(config) || config->policy.dry_run || outgoing_has_key(self->outgoing)) {
        return MAILBUS_OK;
    }
    return mailbus_fail(error, MAILBUS_EINVAL,
                        "a target forwards mail, and api.key is not set: put the key into "
                        "AGENTMAIL_API_KEY or MAILBUS_API_KEY_FILE, or try with --dry-run");
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    route_t *self = calloc(1, sizeof *self);
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
        code = outgoing_new(runtime, "mailbus-route/" MAILBUS_VERSION, &self->outgoing, error);
    }
    if (code == MAILBUS_OK) {
        code = check_key(self, config, error);
    }
    if (code != MAILBUS_OK) {
        stop(self);
        return -1;
    }
    mailbus_runtime_log(runtime, "info", "%s with %zu rules and %zu targets",
                        config->policy.dry_run ? "dry run: nothing is sent" : "routing",
                        rules_count(config->rules), config->targets.count);
    *ret_self = self;
    return 0;
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    route_t *self = arg;
    config_t *config = mb_held_take(self->config);
    mailbus_verdict_t verdict = mail_handle(task, config, self->outgoing, mb_clock_wall_ms());
    mb_held_give(self->config, config);
    return verdict;
}

static int reload(void *arg, mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    route_t *self = arg;
    config_t *config = NULL;
    if (config_load(runtime, &config, error) != MAILBUS_OK ||
        check_key(self, config, error) != MAILBUS_OK) {
        config_free(config);
        return -1;
    }
    size_t count = rules_count(config->rules);
    size_t targets = config->targets.count;
    if (mb_held_replace(self->config, config, error) != MAILBUS_OK) {
        return -1;
    }
    mailbus_runtime_log(runtime, "info", "%zu rules and %zu targets read again", count, targets);
    return 0;
}

/* The tables of this program and of the mail that it sends. */
static char *join_schemas(void)
{
    mailbus_buf_t schema = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&schema, "%s%s", effects_schema, outgoing_schema);
    return mailbus_buf_take(&schema, NULL);
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.received", NULL};
    static char dry_run_state[] = "state.path=mailbus-data/route-dry-run.db";
    int count = 0;
    char **arguments = argc > 0 ? outgoing_arguments(argc, argv, dry_run_state, &count) : NULL;
    char *schema = join_schemas();
    int status = EXIT_FAILURE;
    const mailbus_subscriber_t route = {
        .name = "route",
        .summary = "Send mails on by rules: to Slack, GitHub, a file, an address, a person",
        .topics = topics,
        .settings = config_settings,
        .schema = schema,
        .start = start,
        .handle = handle,
        .reload = reload,
        .stop = stop,
        .topics_key = "route.topics",
        .commands = route_commands,
    };
    if (arguments != NULL && schema != NULL) {
        status = mailbus_subscriber_main(count, arguments, &route);
    }
    free(schema);
    free(arguments);
    return status;
}
