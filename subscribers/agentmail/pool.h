/* API clients for worker threads: each is in one thread's hands at a time, with its connections. */
#ifndef AGENTMAIL_POOL_H
#define AGENTMAIL_POOL_H

#include "agentmail/client.h"

typedef struct agentmail_pool agentmail_pool_t;

/* The options are copied. The first client is made at once, so that wrong options are
 * told at the start. */
MAILBUS_MUST_USE mailbus_code_t agentmail_pool_new(const agentmail_options_t *options,
                                                   agentmail_pool_t **ret_self,
                                                   mailbus_error_t *error);
void agentmail_pool_destroy(agentmail_pool_t **self_p); /* all clients must have been given back */
/* NULL: no memory. */
agentmail_client_t *agentmail_pool_take(agentmail_pool_t *self);
void agentmail_pool_give(agentmail_pool_t *self, agentmail_client_t *client);

#endif
