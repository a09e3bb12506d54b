#include "backoff.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hash.h"

enum { JITTER_STEPS = 1024 }; /* how finely the half pause is divided */

int64_t backoff_pause(const backoff_policy_t *policy, unsigned attempts, const char *id)
{
    int64_t pause = policy->base_ms;
    for (unsigned i = 1; i < attempts && pause < policy->max_pause_ms; i++) {
        pause = pause > INT64_MAX / 2 ? INT64_MAX : 2 * pause;
    }
    pause = pause > policy->max_pause_ms ? policy->max_pause_ms : pause;
    uint64_t step = (hash_bytes(id, strlen(id)) + attempts) % JITTER_STEPS;
    return pause / 2 + (pause - pause / 2) / JITTER_STEPS * (int64_t)step;
}

bool backoff_again(const backoff_policy_t *policy, unsigned attempts, int64_t first_ms,
                   int64_t now_ms, int64_t retry_after_ms, const char *id, int64_t *ret_due_ms,
                   char *reason, size_t size)
{
    if (policy->max_attempts > 0 && attempts >= policy->max_attempts) {
        snprintf(reason, size, "no success in %u tries", attempts);
        return false;
    }
    int64_t pause = backoff_pause(policy, attempts, id);
    if (retry_after_ms > pause) {
        pause = retry_after_ms > policy->max_pause_ms ? policy->max_pause_ms : retry_after_ms;
    }
    /* Judged by the time of the next try: nobody waits an hour for a try that is not made. */
    if (policy->max_age_ms > 0 && now_ms - first_ms + pause > policy->max_age_ms) {
        snprintf(reason, size, "no success in %" PRId64 " s", (now_ms - first_ms) / 1000);
        return false;
    }
    *ret_due_ms = now_ms + pause;
    return true;
}
