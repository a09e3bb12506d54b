/* Ends the process when stopping takes too long: whoever asked for a stop gets one. */
#ifndef GATEWAY_WATCHDOG_H
#define GATEWAY_WATCHDOG_H

#include "log.h"

typedef struct gateway_watchdog gateway_watchdog_t;

/* Unless it is destroyed within `limit_ms`, log an error and end the process with status 1. What
 * was answered with 200 is on disk whatever happens. NULL where no thread can be had. */
gateway_watchdog_t *gateway_watchdog_new(mb_log_t *log, int limit_ms);
void gateway_watchdog_destroy(gateway_watchdog_t **self_p);

#endif
