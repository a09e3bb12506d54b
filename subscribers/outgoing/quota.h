/* How many answers are too many: pure functions of counts and the time. */
#ifndef OUTGOING_QUOTA_H
#define OUTGOING_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define QUOTA_DAY_MS    86400000LL
#define QUOTA_MINUTE_MS 60000LL

typedef struct {
    int64_t again_after_ms; /* one answer per sender and rule in this time; at least a day */
    int64_t per_sender_day; /* answers to one sender in 24 hours, over all rules */
    int64_t per_minute;     /* mails of the whole program, forwards too; opens again by itself */
} quota_t;

/* What was answered before. A sender is counted by its own address and by the one that the answer
 * goes to, so that neither a changing From nor a changing Reply-To gets around it. */
typedef struct {
    int64_t same_rule;     /* answers to the sender by this rule within again_after_ms */
    int64_t sender_day;    /* answers to the sender within QUOTA_DAY_MS */
    int64_t minute;        /* mails of the program within QUOTA_MINUTE_MS */
    int64_t minute_oldest; /* when the oldest of these was; ms since 1970 */
} quota_counts_t;

typedef enum {
    QUOTA_GO,     /* answer */
    QUOTA_SILENT, /* never answer this mail */
    QUOTA_LATER,  /* the program is too fast: after *ret_wait_ms */
} quota_verdict_t;

/* `ret_reason` gets the name of the limit, a constant. */
quota_verdict_t quota_decide(const quota_t *limits, const quota_counts_t *counts, int64_t now_ms,
                             const char **ret_reason, int64_t *ret_wait_ms);

/* Milliseconds from an RFC 3339 time to `now_ms`; 0 where it is no such time or lies ahead.
 */
int64_t quota_age_ms(const char *time, int64_t now_ms);

#endif
