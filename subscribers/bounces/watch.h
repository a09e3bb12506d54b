/* The bounce rates as gauges, and a log line where an inbox gets worse or better. One thread of its
 * own, with a reading connection of its own. */
#ifndef BOUNCES_WATCH_H
#define BOUNCES_WATCH_H

#include "config.h"
#include "held.h"

typedef struct watch watch_t;

/* `config` holds a config_t, and outlives the watch. */
MAILBUS_MUST_USE mailbus_code_t watch_new(mailbus_runtime_t *runtime, mb_held_t *config,
                                          watch_t **ret_self, mailbus_error_t *error);
void watch_destroy(watch_t **self_p); /* takes NULL */

#endif
