/* The way of one mail: read it, look at the records, ask the guards, find the rule, write the
 * answer down, send it, note it. */
#ifndef AUTOREPLY_MAIL_H
#define AUTOREPLY_MAIL_H

#include "agentmail/pool.h"
#include "config.h"

/* How long an unsure answer may be sent again under its key: the service remembers keys for 24
 * hours; an hour less for clocks that differ and a call that takes its time. */
#define MAIL_KEY_MEMORY_MS (23 * 3600000LL)

/* Handle one task to its verdict. `pool` NULL: no API key, possible in a dry run only. */
mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, agentmail_pool_t *pool,
                              int64_t now_ms);
#endif
