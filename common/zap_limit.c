#include "zap_limit.h"

enum { MINUTE_MS = 60000 };

bool zap_limit_pass(zap_limit_t *limit, int64_t now_ms, uint64_t *ret_skipped)
{
    if (limit->used == 0 || now_ms - limit->window_ms >= MINUTE_MS) {
        limit->window_ms = now_ms;
        limit->used = 0;
    }
    if (limit->used >= limit->per_minute) {
        limit->skipped++;
        return false;
    }
    limit->used++;
    *ret_skipped = limit->skipped;
    limit->skipped = 0;
    return true;
}
