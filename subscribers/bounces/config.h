/* What the settings say, read at the start and again after SIGHUP. An event and a question are
 * handled under one configuration from beginning to end: whoever uses one holds it (held.h). */
#ifndef BOUNCES_CONFIG_H
#define BOUNCES_CONFIG_H

#include "limits.h"
#include "mailbus/subscriber.h"

extern const mailbus_setting_t config_settings[]; /* ends with a NULL key */

typedef struct {
    limits_t limits;
    int64_t refresh_ms; /* of the gauges */
} config_t;

/* Read, check, and write the limits into the program's database. */
MAILBUS_MUST_USE mailbus_code_t config_load(mailbus_runtime_t *runtime, config_t **ret_config,
                                            mailbus_error_t *error);
void config_free(void *config); /* a mb_held_free_fn; takes NULL */

#endif
