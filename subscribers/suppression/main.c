/* mailbus-suppression: whom nobody writes to any more. Settings, start and stop, one event, one
 * question. */
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "check/server.h"
#include "clock.h"
#include "config.h"
#include "keeper.h"
#include "list.h"
#include "listed.h"
#include "reports.h"
#include "suppression_commands.h"

typedef struct {
    mailbus_runtime_t *runtime;
    listed_t *listed; /* the server's thread */
    bool told;        /* that the list can't be read; the server's thread */
    check_server_t *server;
    keeper_t *keeper;
    pthread_mutex_t lock; /* guards policy */
    policy_t policy;      /* replaced by a reload */
} suppression_t;

/* --- start and stop -----------------------------------------------------------------------------
 */

/* A check_decide_fn. What was missed while the program was away must be known before it says yes.
 */
static check_t decide(void *arg, const char *address, char *reason, size_t size,
                      int64_t *ret_until_ms)
{
    suppression_t *self = arg;
    mailbus_error_t error = {0};
    listed_verdict_t verdict = listed_ask(self->listed, address, reason, size, &error);
    *ret_until_ms = 0; /* only a person takes it off */
    if ((verdict == LISTED_SILENT) != self->told) {
        self->told = verdict == LISTED_SILENT;
        mailbus_runtime_log(self->runtime, self->told ? "error" : "info", "%s%s",
                            self->told ? "the list can't be read, and nobody is answered: "
                                       : "the list can be read again",
                            error.text);
    }
    switch (verdict) {
    case LISTED:
        return CHECK_NO;
    case LISTED_NOT:
        return mailbus_caught_up(self->runtime) ? CHECK_YES : CHECK_SILENT;
    case LISTED_SILENT:
        break;
    }
    return CHECK_SILENT;
}

static void stop(void *arg)
{
    suppression_t *self = arg;
    if (self == NULL) {
        return;
    }
    check_server_destroy(&self->server);
    keeper_destroy(&self->keeper);
    listed_destroy(&self->listed);
    pthread_mutex_destroy(&self->lock);
    free(self);
    curl_global_cleanup();
}

static mailbus_code_t serve(suppression_t *self, mailbus_error_t *error)
{
    mailbus_code_t code =
        listed_new(mailbus_setting_text(self->runtime, "state.path"), &self->listed, error);
    if (code == MAILBUS_OK) {
        code = keeper_new(self->runtime, &self->keeper, error);
    }
    return code != MAILBUS_OK ? code
                              : check_server_new(self->runtime, decide, self, &self->server, error);
}

static int start(mailbus_runtime_t *runtime, void **ret_self, mailbus_error_t *error)
{
    suppression_t *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        return -1;
    }
    self->runtime = runtime;
    pthread_mutex_init(&self->lock, NULL);
    mailbus_code_t code = config_policy(runtime, &self->policy, error);
    if (code == MAILBUS_OK && !mailbus_rebuilding(runtime)) {
        code = serve(self, error);
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
    suppression_t *self = arg;
    policy_t policy;
    if (check_server_reload(self->server, error) != MAILBUS_OK ||
        config_policy(runtime, &policy, error) != MAILBUS_OK) {
        return -1;
    }
    pthread_mutex_lock(&self->lock);
    self->policy = policy;
    pthread_mutex_unlock(&self->lock);
    return 0;
}

/* --- one event ----------------------------------------------------------------------------------
 */

static const char *const steps[] = {
    [STEP_IGNORED] = "ignored",       [STEP_OLD] = "old",         [STEP_COUNTED] = "counted",
    [STEP_SUPPRESSED] = "suppressed", [STEP_REMOVED] = "removed",
};

static void count(mailbus_task_t *task, const char *result, const char *why)
{
    char labels[128];
    snprintf(labels, sizeof labels, "result=\"%s\",why=\"%s\"", result, why);
    mailbus_count(mailbus_task_runtime(task), "addresses", labels,
                  "Addresses in events, by what was done with them", 1);
}

/* One line and one count an address. */
static void tell(mailbus_task_t *task, const fact_t *fact, const list_change_t *change)
{
    const char *result = change->known ? "known" : steps[change->step];
    count(task, result, change->why);
    mailbus_task_log(task, change->step == STEP_SUPPRESSED && !change->known ? "info" : "debug",
                     "%s: %s; %s%s", result, change->why, fact->address,
                     fact->candidates > 1 ? ", one of several that it may be about" : "");
}

static mailbus_verdict_t take(mailbus_task_t *task, const reports_t *reports,
                              const policy_t *policy, int64_t now_ms)
{
    mailbus_error_t error = {0};
    mailbus_code_t code = MAILBUS_OK;
    sqlite3 *db = mailbus_task_store(task);
    if (db == NULL) {
        return MAILBUS_RETRY; /* the reason is there */
    }
    for (size_t i = 0; code == MAILBUS_OK && i < reports->count; i++) {
        list_change_t change;
        code = list_take(db, reports->keys[i], &reports->facts[i], policy, now_ms, &change, &error);
        if (code == MAILBUS_OK) {
            tell(task, &reports->facts[i], &change);
        }
    }
    if (code != MAILBUS_OK) {
        mailbus_task_reason(task, "%s", error.text);
        return MAILBUS_RETRY;
    }
    return MAILBUS_DONE;
}

static mailbus_verdict_t handle(void *arg, mailbus_task_t *task)
{
    suppression_t *self = arg;
    reports_t reports = {.facts = NULL};
    const char *why = "";
    mailbus_error_t error = {0};
    mailbus_code_t code = reports_read(mailbus_task_event(task), &reports, &why, &error);
    if (code != MAILBUS_OK) {
        mailbus_task_reason(task, "%s", error.text);
        return code == MAILBUS_ENOMEM ? MAILBUS_RETRY : MAILBUS_REJECT;
    }
    pthread_mutex_lock(&self->lock);
    policy_t policy = self->policy;
    pthread_mutex_unlock(&self->lock);
    mailbus_verdict_t verdict = MAILBUS_DONE;
    if (reports.count > 0) {
        verdict = take(task, &reports, &policy, mb_clock_wall_ms());
    } else {
        count(task, "ignored", why);
        mailbus_task_log(task, "debug", "ignored: %s", why);
    }
    reports_free(&reports);
    return verdict;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"message.complained", "message.bounced",
                                         "message.rejected", NULL};
    static const mailbus_subscriber_t suppression = {
        .name = "suppression",
        .summary = "Whom nobody may write to any more: who complained, and whose mail comes back",
        .topics = topics,
        .settings = config_settings,
        .schema = list_schema,
        .start = start,
        .handle = handle,
        .reload = reload,
        .stop = stop,
        .commands = suppression_commands,
        .carry = list_carry,
    };
    return mailbus_subscriber_main(argc, argv, &suppression);
}
