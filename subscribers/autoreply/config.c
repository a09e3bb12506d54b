#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/client.h"
#include "answers.h"
#include "rules/template.h"

/* The guide's Auto-Reply Bot: support and sales get their text, others nothing. */
static const char shipped[] =
    "rules\n"
    "    support\n"
    "        recipient = \"support\"\n"
    "        text = \"Thanks for contacting support! We'll respond within 24 hours.\"\n"
    "    sales\n"
    "        recipient = \"sales\"\n"
    "        text = \"Thanks for your interest! A sales rep will contact you soon.\"\n";

static const rules_key_t rule_keys[] = {
    {"text", true, template_check_mail, true},
    {"html", true, template_check_mail, false},
    {NULL, false, NULL, false},
};

const mailbus_setting_t config_settings[] = {
    {"api.base_url", "text", AGENTMAIL_BASE_URL,
     "Where the API is; http only on a loopback address", false, NULL},
    {"api.key", "secret", "", "The API key", false, "AGENTMAIL_API_KEY"},
    {"reply.rules", "path", "",
     "File with the rules (ZPL); empty: support and sales are answered as in the guide", true,
     NULL},
    {"reply.own_inboxes", "text", "",
     "Our other addresses, blank-separated, or *@domain: never answered, and a mail to them is "
     "to us",
     true, NULL},
    {"reply.again_after", "duration", "7d",
     "One answer per sender and rule in this time; at least 1d", true, NULL},
    {"reply.per_sender_day", "integer", "20", "Answers to one sender in 24 hours, over all rules",
     true, NULL},
    {"reply.per_minute", "integer", "60",
     "Answers of the whole program in a minute; what is beyond waits", true, NULL},
    {"reply.max_age", "duration", "2d",
     "No answer to a mail that the gateway took longer ago than this", true, NULL},
    {"reply.header_tries", "integer", "6",
     "Tries to get the header of a mail whose event has none, then no answer", true, NULL},
    {"reply.dry_run", "boolean", "no",
     "Send nothing, log what would be done and why; --dry-run sets it with a state file of its "
     "own",
     false, NULL},
    {NULL, NULL, NULL, NULL, false, NULL},
};

mailbus_code_t config_check(const config_t *config, mailbus_error_t *error)
{
    if (config->limits.again_after_ms < QUOTA_DAY_MS ||
        config->limits.again_after_ms > ANSWERS_KEEP_MS) {
        return mailbus_fail(error, MAILBUS_EINVAL, "reply.again_after: 1d to 90d");
    }
    if (config->limits.per_sender_day < 1 || config->limits.per_minute < 1) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "reply.per_sender_day and reply.per_minute: at least 1");
    }
    if (config->max_age_ms < QUOTA_MINUTE_MS) {
        return mailbus_fail(error, MAILBUS_EINVAL, "reply.max_age: at least 1m");
    }
    if (config->header_tries < 1) {
        return mailbus_fail(error, MAILBUS_EINVAL, "reply.header_tries: at least 1");
    }
    return MAILBUS_OK;
}

mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                           mailbus_error_t *error)
{
    config_t *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    atomic_init(&config->holders, 1);
    config->limits = (quota_t){
        .again_after_ms = mailbus_setting_integer(runtime, "reply.again_after"),
        .per_sender_day = mailbus_setting_integer(runtime, "reply.per_sender_day"),
        .per_minute = mailbus_setting_integer(runtime, "reply.per_minute"),
    };
    config->max_age_ms = mailbus_setting_integer(runtime, "reply.max_age");
    config->header_tries = mailbus_setting_integer(runtime, "reply.header_tries");
    config->dry_run = mailbus_setting_boolean(runtime, "reply.dry_run");
    mailbus_code_t code = config_check(config, error);
    if (code == MAILBUS_OK) {
        code = own_parse(mailbus_setting_text(runtime, "reply.own_inboxes"), &config->own, error);
    }
    if (code == MAILBUS_OK) {
        code = rules_load(mailbus_setting_text(runtime, "reply.rules"), shipped, rule_keys,
                          &config->rules, error);
    }
    if (code == MAILBUS_OK) {
        *ret_config = config;
        config = NULL;
    }
    config_release(&config);
    return code;
}

config_t *config_hold(config_t *config)
{
    atomic_fetch_add(&config->holders, 1);
    return config;
}

void config_release(config_t **config_p)
{
    config_t *config = *config_p;
    *config_p = NULL;
    if (config == NULL || atomic_fetch_sub(&config->holders, 1) > 1) {
        return;
    }
    rules_free(&config->rules);
    own_free(&config->own);
    free(config);
}
