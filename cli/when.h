/* Where to begin: a sequence, a time, or how long ago. */
#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "mailbus/error.h"

typedef struct {
    bool is_time;
    uint64_t sequence;
    int64_t ms; /* since 1970 */
} when_t;

/* "1234" (a sequence), "2026-10-12T09:00:00Z" (RFC 3339), "2026-10-12" (its beginning, UTC), or
 * "90s", "15m", "2h", "3d" before `now_ms`. */
MAILBUS_MUST_USE mailbus_code_t when_parse(const char *text, int64_t now_ms, when_t *ret_when,
                                           mailbus_error_t *error);

#endif
