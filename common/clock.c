#include "clock.h"

#include <time.h>

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t mb_clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

int64_t mb_clock_monotonic_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}
