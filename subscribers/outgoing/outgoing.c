/* Settings, start and stop. */
#include "outgoing/outgoing.h"

#include <stdlib.h>
#include <string.h>

#include "outgoing/job.h"
#include "outgoing/records.h"

/* --- settings -----------------------------------------------------------------------------------
 */

mailbus_code_t outgoing_policy_check(const outgoing_policy_t *policy, mailbus_error_t *error)
{
    if (policy->limits.again_after_ms < QUOTA_DAY_MS ||
        policy->limits.again_after_ms > RECORDS_KEEP_MS) {
        return mailbus_fail(error, MAILBUS_EINVAL, "send.again_after: 1d to 90d");
    }
    if (policy->limits.per_sender_day < 1 || policy->limits.per_minute < 1) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "send.per_sender_day and send.per_minute: at least 1");
    }
    if (policy->max_age_ms < QUOTA_MINUTE_MS) {
        return mailbus_fail(error, MAILBUS_EINVAL, "send.max_age: at least 1m");
    }
    if (policy->header_tries < 1) {
        return mailbus_fail(error, MAILBUS_EINVAL, "send.header_tries: at least 1");
    }
    return MAILBUS_OK;
}

mailbus_code_t outgoing_policy_read(const mailbus_runtime_t *runtime, outgoing_policy_t *ret_policy,
                                    mailbus_error_t *error)
{
    mailbus_error_t why = {0};
    outgoing_policy_t policy = {
        .own = OWN_INIT,
        .limits = {.again_after_ms = mailbus_setting_integer(runtime, "send.again_after"),
                   .per_sender_day = mailbus_setting_integer(runtime, "send.per_sender_day"),
                   .per_minute = mailbus_setting_integer(runtime, "send.per_minute")},
        .max_age_ms = mailbus_setting_integer(runtime, "send.max_age"),
        .header_tries = mailbus_setting_integer(runtime, "send.header_tries"),
        .dry_run = mailbus_setting_boolean(runtime, "send.dry_run"),
    };
    mailbus_code_t code = outgoing_policy_check(&policy, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = own_parse(mailbus_setting_text(runtime, "send.own_inboxes"), &policy.own, &why);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "send.own_inboxes: %s", why.text);
    }
    *ret_policy = policy;
    return MAILBUS_OK;
}

void outgoing_policy_free(outgoing_policy_t *policy)
{
    own_free(&policy->own);
}

char **outgoing_arguments(int argc, char **argv, char *state, int *ret_argc)
{
    static char set[] = "--set";
    static char dry_run[] = "send.dry_run=yes";
    char *const settings[] = {set, dry_run, set, state};
    const int more = (int)(sizeof settings / sizeof settings[0]);
    char **expanded = calloc((size_t)(argc + more) + 1, sizeof *expanded);
    if (expanded == NULL) {
        return NULL;
    }
    int count = 0;
    bool found = false;
    for (int i = 1; i < argc; i++) {
        found = found || strcmp(argv[i], "--dry-run") == 0;
    }
    expanded[count++] = argv[0];
    for (int i = 0; found && i < more; i++) {
        expanded[count++] = settings[i];
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dry-run") != 0) {
            expanded[count++] = argv[i];
        }
    }
    *ret_argc = count;
    return expanded;
}

/* --- life ---------------------------------------------------------------------------------------
 */

mailbus_code_t outgoing_new(mailbus_runtime_t *runtime, const char *user_agent,
                            outgoing_t **ret_self, mailbus_error_t *error)
{
    const char *key = mailbus_setting_text(runtime, "api.key");
    const agentmail_options_t options = {
        .base_url = mailbus_setting_text(runtime, "api.base_url"),
        .api_key = key,
        .user_agent = user_agent,
    };
    mailbus_code_t code = MAILBUS_OK;
    outgoing_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->runtime = runtime;
    if (key[0] != '\0') {
        code = agentmail_pool_new(&options, &self->pool, error);
    }
    if (code == MAILBUS_OK) {
        code = check_client_new(runtime, &self->checks, error);
    }
    if (code != MAILBUS_OK) {
        outgoing_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void outgoing_destroy(outgoing_t **self_p)
{
    outgoing_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    check_client_destroy(&self->checks);
    agentmail_pool_destroy(&self->pool);
    free(self);
    *self_p = NULL;
}

bool outgoing_has_key(const outgoing_t *self)
{
    return self->pool != NULL;
}

agentmail_pool_t *outgoing_pool(outgoing_t *self)
{
    return self->pool;
}
