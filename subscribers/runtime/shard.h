/* One job shared among several instances: which events are this one's. */
#ifndef RUNTIME_SHARD_H
#define RUNTIME_SHARD_H

#include <stdbool.h>

#include "mailbus/event.h"

#define SHARD_MAX 1024 /* instances that one job may be shared among */

typedef struct {
    unsigned index; /* 1..count */
    unsigned count; /* 1: everything is ours */
} shard_t;

/* "2/4": the second of four; "": the only one. */
MAILBUS_MUST_USE mailbus_code_t shard_parse(const char *text, shard_t *ret_shard,
                                            mailbus_error_t *error);

/* True where the event belongs to this instance: by a stable hash of the thread id in its body
 * (`message`, `send`, `bounce`, … .thread_id), so that one conversation stays with one instance; by
 * the event id where there is no thread. */
bool shard_owns(const shard_t *shard, const mailbus_event_t *event);

#endif
