#include "config.h"

#include <stdlib.h>

#include "rules/template.h"

const mailbus_setting_t config_settings[] = {
    {"reply.rules", "path", "",
     "File with the rules (ZPL); empty: support and sales are answered as in the guide", true,
     NULL},
    OUTGOING_SETTINGS,
    {NULL, NULL, NULL, NULL, false, NULL},
};

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

mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                           mailbus_error_t *error)
{
    config_t *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = outgoing_policy_read(runtime, &config->policy, error);
    if (code == MAILBUS_OK) {
        code = rules_load(mailbus_setting_text(runtime, "reply.rules"), shipped, rule_keys,
                          &config->rules, error);
    }
    if (code == MAILBUS_OK) {
        *ret_config = config;
        config = NULL;
    }
    config_free(config);
    return code;
}

void config_free(void *value)
{
    config_t *config = value;
    if (config == NULL) {
        return;
    }
    rules_free(&config->rules);
    outgoing_policy_free(&config->policy);
    free(config);
}
