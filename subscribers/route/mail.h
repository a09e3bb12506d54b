/* The way of one mail: read it, ask the rules, write down what is to be done, do it, note it. */
#ifndef ROUTE_MAIL_H
#define ROUTE_MAIL_H

#include "route/config.h"

/* Handle one task to its verdict. */
mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, outgoing_t *outgoing,
                              int64_t now_ms);

#endif
