/* What the settings say, read once at the start and again after SIGHUP. A mail is handled under one
 * configuration from its beginning to its end: whoever uses one holds it (held.h). */
#ifndef AUTOREPLY_CONFIG_H
#define AUTOREPLY_CONFIG_H

#include "outgoing/outgoing.h"
#include "rules/rules.h"

extern const mailbus_setting_t config_settings[]; /* ends with a NULL key */

typedef struct {
    rules_t *rules;
    outgoing_policy_t policy;
} config_t;

MAILBUS_MUST_USE mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                                            mailbus_error_t *error);
void config_free(void *config); /* a mb_held_free_fn; takes NULL */

#endif
