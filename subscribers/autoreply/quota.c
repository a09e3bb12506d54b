#include "quota.h"

#include <string.h>
#include <time.h>

quota_verdict_t quota_decide(const quota_t *limits, const quota_counts_t *counts, int64_t now_ms,
                             const char **ret_reason, int64_t *ret_wait_ms)
{
    if (counts->same_rule > 0) {
        *ret_reason = "answered-before";
        return QUOTA_SILENT;
    }
    if (counts->sender_day >= limits->per_sender_day) {
        *ret_reason = "too-many-for-sender";
        return QUOTA_SILENT;
    }
    if (counts->minute >= limits->per_minute) {
        int64_t wait = counts->minute_oldest + QUOTA_MINUTE_MS - now_ms;
        *ret_wait_ms = wait < 1 ? 1 : wait > QUOTA_MINUTE_MS ? QUOTA_MINUTE_MS : wait;
        *ret_reason = "too-fast";
        return QUOTA_LATER;
    }
    return QUOTA_GO;
}

int64_t quota_age_ms(const char *time, int64_t now_ms)
{
    struct tm parts = {0};
    const char *rest = strptime(time, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL || (*rest != '.' && strcmp(rest, "Z") != 0)) {
        return 0;
    }
    int64_t age = now_ms - (int64_t)timegm(&parts) * 1000;
    return age > 0 ? age : 0;
}
