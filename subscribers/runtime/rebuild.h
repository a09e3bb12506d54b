/* --rebuild: the subscriber's tables once more from the gateway's journal.
 *
 * The old file is locked for the whole time, so the program itself can't run meanwhile. Everything
 * that the gateway keeps is handled into a new file next to it, as at the first start with
 * bus.start=oldest. Then the subscriber's `carry` copies what the journal can't give, and the new
 * file is renamed over the old one. Until that rename the old file is as it was: a crash, a signal,
 * a full disk before it change nothing. */
#ifndef RUNTIME_REBUILD_H
#define RUNTIME_REBUILD_H

#include "mailbus/subscriber.h"

typedef struct rebuild rebuild_t;

/* Lock the old file (EEXIST: the program runs), and throw away what an earlier try left behind.
 * EINVAL: events wait in the old file that the journal may not have any more. */
MAILBUS_MUST_USE mailbus_code_t rebuild_new(const char *path,
                                            const mailbus_subscriber_t *subscriber,
                                            rebuild_t **ret_self, mailbus_error_t *error);
/* Where the new file is made. Lent. */
const char *rebuild_path(const rebuild_t *self);
/* The new file is complete and closed: carry over, and swap. On failure the old one is as it was.
 */
MAILBUS_MUST_USE mailbus_code_t rebuild_finish(rebuild_t *self, int64_t now_ms,
                                               mailbus_error_t *error);
void rebuild_destroy(rebuild_t **self_p); /* unlocks; a new file that was not swapped goes */

#endif
