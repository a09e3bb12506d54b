/* A thread beside the handlers: the gauges, and AgentMail's block list. It reads on a connection of
 * its own and writes through the runtime; handlers and questions never wait for a call of its. */
#ifndef SUPPRESSION_KEEPER_H
#define SUPPRESSION_KEEPER_H

#include "mailbus/subscriber.h"

typedef struct keeper keeper_t;

/* Running when it returns OK. EINVAL where the settings of the block list are wrong. */
MAILBUS_MUST_USE mailbus_code_t keeper_new(mailbus_runtime_t *runtime, keeper_t **ret_self,
                                           mailbus_error_t *error);
void keeper_destroy(keeper_t **self_p); /* takes NULL; a call under way is given up */

#endif
