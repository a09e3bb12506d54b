/* When to try again, or to give up: a pure function of stored facts, so that a restart changes
 * nothing. */
#ifndef RUNTIME_BACKOFF_H
#define RUNTIME_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t base_ms;      /* the pause after the first failure; each one after it doubles */
    int64_t max_pause_ms; /* no pause is longer, whatever a Retry-After says */
    int64_t max_attempts; /* tries in all; 0: no limit */
    int64_t max_age_ms;   /* since the event was taken in; 0: no limit */
} backoff_policy_t;

/* The pause after `attempts` failed tries (1: the first), between half and the whole of
 * base * 2^(attempts-1), at most max_pause. Which part of that half is decided by the event's id:
 * events that failed together do not come back together, and each comes back at the same time
 * however often it is asked. */
int64_t backoff_pause(const backoff_policy_t *policy, unsigned attempts, const char *id);

/* After a failed try at `now_ms` of an event that was taken in at `first_ms`: true, and *ret_due_ms
 * is when to try again, not before `retry_after_ms` from now; false, and `reason` says why there is
 * no further try. */
bool backoff_again(const backoff_policy_t *policy, unsigned attempts, int64_t first_ms,
                   int64_t now_ms, int64_t retry_after_ms, const char *id, int64_t *ret_due_ms,
                   char *reason, size_t size);

#endif
