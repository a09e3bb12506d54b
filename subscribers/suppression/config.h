/* mailbus-suppression's settings. */
#ifndef SUPPRESSION_CONFIG_H
#define SUPPRESSION_CONFIG_H

#include "mailbus/subscriber.h"
#include "suppress.h"

extern const mailbus_setting_t config_settings[]; /* for mailbus_subscriber_t.settings */

/* What decides; read anew after SIGHUP, and noted in the file for a rebuild. */
MAILBUS_MUST_USE mailbus_code_t config_policy(mailbus_runtime_t *runtime, policy_t *ret_policy,
                                              mailbus_error_t *error);

#endif
