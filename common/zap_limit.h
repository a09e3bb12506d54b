/* How many lines a minute the ZAP handler may log: a pure function of the time. For zap.c. */
#ifndef MB_ZAP_LIMIT_H
#define MB_ZAP_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    unsigned per_minute;
    int64_t window_ms; /* when the current minute began */
    unsigned used;
    uint64_t skipped; /* since the last line that passed */
} zap_limit_t;

/* True where one more line may be written at `now_ms` (monotonic); `ret_skipped` then gets how many
 * were not written since the last one. */
bool zap_limit_pass(zap_limit_t *limit, int64_t now_ms, uint64_t *ret_skipped);

#endif
