/* The way of one mail: read it, find its rule, fill in the rule's texts; the rest is outgoing's. */
#ifndef AUTOREPLY_MAIL_H
#define AUTOREPLY_MAIL_H

#include "config.h"

/* Handle one task to its verdict. */
mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, outgoing_t *outgoing,
                              int64_t now_ms);

#endif
