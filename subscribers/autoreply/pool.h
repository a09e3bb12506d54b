/* API clients for worker threads: each is in one thread's hands at a time, with its connections. */
#ifndef AUTOREPLY_POOL_H
#define AUTOREPLY_POOL_H

#include "agentmail/client.h"

typedef struct pool pool_t;

/* The options are copied. The first client is made at once, so that wrong options are
 * told at the start. */
MAILBUS_MUST_USE mailbus_code_t pool_new(const agentmail_options_t *options, pool_t **ret_self,
                                         mailbus_error_t *error);
void pool_destroy(pool_t **self_p); /* all clients must have been given back */
/* NULL: no memory. */
agentmail_client_t *pool_take(pool_t *self);
void pool_give(pool_t *self, agentmail_client_t *client);

#endif
