/* What the settings and the rules file say, read once at the start and again after SIGHUP. A mail
 * is handled under one configuration from its beginning to its end: whoever uses one holds it
 * (held.h). */
#ifndef ROUTE_CONFIG_H
#define ROUTE_CONFIG_H

#include "agentmail/transfer.h"
#include "outgoing/outgoing.h"
#include "route/targets.h"
#include "rules/rules.h"

extern const mailbus_setting_t config_settings[]; /* ends with a NULL key */
extern const char config_shipped[];               /* the rules and targets without a file */

/* Where an API is. */
typedef struct {
    char *base_url; /* without a slash at its end */
    agentmail_reach_t reach;
    int64_t interval_ms; /* between two messages to one place */
} config_api_t;

typedef struct {
    rules_t *rules;
    targets_t targets;
    outgoing_policy_t policy;
    config_api_t slack, github;
    bool match_all;    /* every rule that matches, else the first one only */
    int64_t settle_ms; /* after a try whose end is not known, before it is looked for */
} config_t;

MAILBUS_MUST_USE mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                                            mailbus_error_t *error);
void config_free(void *config);               /* a mb_held_free_fn; takes NULL */
bool config_forwards(const config_t *config); /* a target sends mail: an API key is needed */

/* The rule of that name, or NULL. */
const rule_t *config_rule(const config_t *config, const char *name);

/* Rules and targets out of the text of a file, which must fit each other; for config_load and the
 * tests. */
MAILBUS_MUST_USE mailbus_code_t config_parse(const char *text, const char *folder, bool lenient,
                                             rules_t **ret_rules, targets_t *ret_targets,
                                             mailbus_error_t *error);

#endif
