#include "reaper.h"

static bool is_too_slow(const reaper_view_t *view, int64_t now_ms)
{
    const int64_t elapsed = now_ms - view->phase_since_ms;
    return elapsed >= REAPER_GRACE_MS &&
           view->received < (uint64_t)(elapsed / 1000) * REAPER_LOWEST_RATE;
}

reaper_verdict_t reaper_judge(const reaper_view_t *view, const reaper_limits_t *limits,
                              int64_t now_ms)
{
    const bool request_over = now_ms - view->request_since_ms >= limits->request_ms;
    switch (view->phase) {
    case REAPER_IDLE:
        if (view->first) { /* a new connection is there to bring a request */
            return request_over ? REAPER_TIMEOUT : REAPER_KEEP;
        }
        return now_ms - view->phase_since_ms >= limits->idle_ms ? REAPER_CLOSE : REAPER_KEEP;
    case REAPER_HEADER:
        return request_over ? REAPER_TIMEOUT : REAPER_KEEP;
    case REAPER_BODY:
        return request_over || is_too_slow(view, now_ms) ? REAPER_TIMEOUT : REAPER_KEEP;
    case REAPER_WAITING:
        return now_ms - view->phase_since_ms >= limits->answer_ms ? REAPER_GIVE_UP : REAPER_KEEP;
    case REAPER_ANSWERING:
    case REAPER_CUT:
        break;
    }
    return REAPER_KEEP;
}
