/* Stage 8: the threads that call the subscriber's handler, and what becomes of its verdicts. */
#ifndef RUNTIME_WORKERS_H
#define RUNTIME_WORKERS_H

#include "runtime_internal.h"

typedef struct workers workers_t;

MAILBUS_MUST_USE mailbus_code_t workers_new(mailbus_runtime_t *runtime, unsigned count,
                                            workers_t **ret_self, mailbus_error_t *error);
/* After inbox_stop: wait at most `timeout_ms` for what is in hand. False: somebody is still busy,
 * and the process must end without taking anything away from under him. */
bool workers_stop(workers_t **self_p, int64_t timeout_ms);

#endif
