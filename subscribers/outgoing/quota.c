#include "outgoing/quota.h"

#include "mailbus/replay.h"

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
    int64_t ms = 0;
    return mailbus_time_parse(time, &ms) == MAILBUS_OK && ms < now_ms ? now_ms - ms : 0;
}
