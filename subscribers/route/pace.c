#include "route/pace.h"

enum { STRIKE_MS = 60000, STRIKE_MAX_MS = 3600000, STRIKES_MAX = 10 };

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool pace_take(pace_t *pace, int64_t interval_ms, int64_t slot_ms, int64_t now_ms,
               int64_t *ret_slot_ms)
{
    if (pace->last_ms > now_ms) { /* the clock was set back: what is noted says nothing */
        *pace = (pace_t){.strikes = pace->strikes};
    }
    int64_t free_ms = later(pace->closed_ms, pace->last_ms + interval_ms);
    bool mine = slot_ms > 0 ? slot_ms <= now_ms : pace->next_ms <= now_ms;
    if (mine && free_ms <= now_ms) {
        pace->last_ms = now_ms;
        pace->next_ms = later(pace->next_ms, now_ms + interval_ms);
        return true;
    }
    if (slot_ms > now_ms) { /* too early: the moment stays its own */
        *ret_slot_ms = slot_ms;
        return false;
    }
    *ret_slot_ms = later(later(pace->next_ms, free_ms), now_ms + 1);
    pace->next_ms = *ret_slot_ms + interval_ms;
    return false;
}

void pace_close(pace_t *pace, int64_t until_ms)
{
    pace->closed_ms = later(pace->closed_ms, until_ms);
}

int64_t pace_strike(pace_t *pace, int64_t now_ms)
{
    int64_t pause = STRIKE_MS;
    for (int64_t i = 0; i < pace->strikes && pause < STRIKE_MAX_MS; i++) {
        pause *= 2;
    }
    pause = pause > STRIKE_MAX_MS ? STRIKE_MAX_MS : pause;
    pace->strikes += pace->strikes < STRIKES_MAX;
    pace_close(pace, now_ms + pause);
    return now_ms + pause;
}

void pace_fine(pace_t *pace)
{
    pace->strikes = 0;
}
