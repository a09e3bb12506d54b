/* The outbox, worked off: one call to AgentMail at a time. The keeper's thread. */
#ifndef SUPPRESSION_BLOCK_LIST_H
#define SUPPRESSION_BLOCK_LIST_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "mailbus/subscriber.h"

typedef struct block_list block_list_t;

/* With block_list.write off *ret_self is NULL. EINVAL where it is on and the key is missing or the
 * address wrong. curl_global_init has been called. Once *stopped is true a call under way is given
 * up within about a second. */
MAILBUS_MUST_USE mailbus_code_t block_list_new(mailbus_runtime_t *runtime,
                                               const atomic_bool *stopped, block_list_t **ret_self,
                                               mailbus_error_t *error);
void block_list_destroy(block_list_t **self_p); /* takes NULL */
/* Do what is most urgent, if anything is due. Returns in how many ms to come again, 0: at once. */
int64_t block_list_work(block_list_t *self, sqlite3 *reader, int64_t now_ms);

#endif
