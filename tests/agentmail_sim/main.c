/* agentmail-sim: a local stand-in for AgentMail. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "clock.h"
#include "memory.h"
#include "options.h"
#include "random_id.h"
#include "signals.h"
#include "webhook_signature.h"

#define BODY_MAX (16 * 1024 * 1024) /* bytes of a call; a send's own limit is lower */

/* A secret that begins with whsec_ must be a whole one; any other text signs as the guide does. */
static mailbus_code_t check_secret(const char *secret, mailbus_error_t *error)
{
    mb_webhook_key_t key;
    if (secret == NULL || strncmp(secret, "whsec_", 6) != 0) {
        return MAILBUS_OK;
    }
    return mb_webhook_key_parse(secret, &key, error);
}

static void sim_clear(sim_t *sim)
{
    delivery_destroy(&sim->delivery);
    mailbox_destroy(&sim->mailbox);
    lists_destroy(&sim->lists);
    idempotency_destroy(&sim->idempotency);
    cJSON_Delete(sim->inboxes);
    cJSON_Delete(sim->webhooks);
}

static mailbus_code_t sim_init(sim_t *sim, const options_t *options, const char *secret,
                               mb_log_t *log, mailbus_error_t *error)
{
    *sim = (sim_t){
        .log = log,
        .mailbox = mailbox_new(),
        .lists = lists_new(),
        .idempotency = idempotency_new(),
        .reject_blocked = options->reject_blocked,
        .strip_marks = options->strip_marks,
        .webhook_url = options->webhook_url,
        .webhook_secret = secret,
        .first_inboxes = options->inboxes,
        .first_inbox_count = options->inbox_count,
    };
    mailbus_code_t code = delivery_new(log, options->time_scale, &sim->delivery, error);
    if (code == MAILBUS_OK) {
        sim_reset(sim, mb_clock_wall_ms());
    }
    return code;
}

static mailbus_code_t run(const options_t *options, mb_log_t *log, mailbus_error_t *error)
{
    sim_t sim = {.log = log};
    mb_httpd_t *httpd = NULL;
    int signals = -1;
    char *secret = options->secret != NULL ? memory_text(options->secret) : random_webhook_secret();
    mailbus_code_t code = check_secret(options->secret, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = mb_signals_block(&signals, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = sim_init(&sim, options, secret, log, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    const mb_httpd_options_t http = {
        .listen = options->listen,
        .max_body = BODY_MAX,
        .timeout_s = 60,
        .handler = call_route,
        .arg = &sim,
    };
    snprintf(sim.address, sizeof sim.address, "%s", options->listen);
    code = mb_httpd_new(&http, &httpd, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    if (options->webhook_url != NULL && options->secret == NULL) {
        printf("webhook secret: %s\n", secret);
        fflush(stdout);
    }
    mb_log(log, MB_INFO, "http", "listening", MB_S("address", mb_httpd_address(httpd)));
    mb_log(log, MB_INFO, "main", "ready", MB_S("webhook_url", options->webhook_url));
    while (mb_signals_wait(signals, -1) != MB_SIGNAL_STOP) {
        mb_log(log, MB_INFO, "main", "nothing to reload");
    }
    mb_log(log, MB_INFO, "main", "stopping");
out:
    mb_httpd_destroy(&httpd);
    sim_clear(&sim);
    if (signals >= 0) {
        close(signals);
    }
    free(secret);
    return code;
}

int main(int argc, char **argv)
{
    options_t options;
    mailbus_error_t error;
    memory_use_for_json();
    if (options_read(argc, argv, &options, &error) != MAILBUS_OK) {
        fprintf(stderr, "agentmail-sim: %s\n", error.text);
        return 2;
    }
    if (options.help || options.version) {
        fputs(options.help ? options_help() : "agentmail-sim " MAILBUS_VERSION "\n", stdout);
        options_clear(&options);
        return 0;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    mb_log_t *log = mb_log_new("agentmail-sim", STDERR_FILENO);
    if (log != NULL) {
        mb_log_configure(log, options.log_level, options.log_format);
    }
    mailbus_code_t code = run(&options, log, &error);
    if (code != MAILBUS_OK) {
        mb_log(log, MB_ERROR, "main", "failed", MB_S("error", error.text));
    }
    mb_log_destroy(&log);
    options_clear(&options);
    curl_global_cleanup();
    return code == MAILBUS_OK ? 0 : 1;
}
