/* The state of an address: a pure function of what is known about it, the limits and the time.
 *
 * Events come late, twice in another order, and again from the journal. So nothing is counted up
 * here: the facts are kept (when it last delivered, when it died, when it bounced softly, when a
 * person cleared it), each of them the same for every order of arrival, and the state is worked out
 * from them when somebody asks. New limits therefore hold for the past at once. */
#ifndef BOUNCES_MACHINE_H
#define BOUNCES_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "fact.h"

/* Soft bounces of an address that are kept, the newest. A pause takes `soft_count` of them, so this
 * is far beyond what a sender who asks before sending can collect. */
#define MACHINE_SOFT_MAX 100

/* Times in ms since 1970; 0: never. */
typedef struct {
    int64_t hard_ms;                   /* the latest */
    int64_t delivered_ms;              /* the latest */
    int64_t cleared_ms;                /* the latest */
    int64_t soft_ms[MACHINE_SOFT_MAX]; /* the newest, ascending */
    size_t soft_count;
} machine_facts_t;

#define MACHINE_FACTS_INIT                                                                         \
    {                                                                                              \
        .hard_ms = 0                                                                               \
    }

typedef struct {
    int64_t soft_count;     /* this many soft bounces … 1 to MACHINE_SOFT_MAX */
    int64_t soft_window_ms; /* … less than this apart pause an address */
    int64_t first_pause_ms;
    int64_t later_pause_ms;
} machine_limits_t;

typedef enum { MACHINE_OK, MACHINE_PAUSED, MACHINE_DEAD } machine_state_t;

typedef struct {
    machine_state_t state;
    int64_t until_ms; /* PAUSED: it is OK from then on; else 0 */
    int64_t since_ms; /* DEAD: the latest hard bounce; PAUSED: the soft one that it counts from */
    int64_t soft;     /* soft bounces that count towards a pause now */
    int64_t pauses;   /* since the last delivery or clearing, this one included */
} machine_verdict_t;

/* Take one fact in; kinds that say nothing about the address are ignored. The order of the calls
 * does not matter. */
void machine_add(machine_facts_t *facts, fact_kind_t kind, int64_t time_ms);

/* DEAD: a hard bounce after the last clearing.
 * PAUSED: of the soft bounces since the last delivery or clearing, whenever the newest `soft_count`
 * lie within the window, the address is paused from the newest of them on: for the first pause, or,
 * where an earlier pause was over by then, for the later one. */
void machine_judge(const machine_facts_t *facts, const machine_limits_t *limits, int64_t now_ms,
                   machine_verdict_t *ret_verdict);

const char *machine_state_name(machine_state_t state); /* "ok", "paused", "dead" */

#endif
