/* How fast a place may be written to: one at a time, so far apart, and not at all while it asks us
 * to wait. Who comes too early gets a moment of its own to come back at, so that a hundred mails
 * that wait do not ask again and again, and nobody who comes later gets in before them.
 *
 * Pure: the caller keeps a pace_t in its store, and knows the time. */
#ifndef ROUTE_PACE_H
#define ROUTE_PACE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t next_ms;   /* the first moment that nobody has */
    int64_t last_ms;   /* when somebody wrote */
    int64_t closed_ms; /* the place asked us to stay away until then */
    int64_t strikes;   /* how often in a row it asked without saying for how long */
} pace_t;

/* May the caller write at `now_ms`? `slot_ms`: the moment that it was given before, 0: none. True:
 * now (noted). False: it comes back at *ret_slot_ms. */
bool pace_take(pace_t *pace, int64_t interval_ms, int64_t slot_ms, int64_t now_ms,
               int64_t *ret_slot_ms);
/* The place asks us to stay away. */
void pace_close(pace_t *pace, int64_t until_ms);
/* It asks without saying for how long: a minute, then twice as long each time, at most an hour
 * (docs.github.com, "Exceeding the rate limit"). Returns until when. */
int64_t pace_strike(pace_t *pace, int64_t now_ms);
/* It took something: the next refusal is the first one again. */
void pace_fine(pace_t *pace);

#endif
