/* The gap rule of PROTOCOL.md: which event is taken, which one was seen before, when something is
 * missing. A pure state machine: no sockets, no disk, no clock.
 *
 * Per topic t, known[t] says that all of t up to that sequence is here; `synced` says it of every
 * topic that matches. k(t) = max(known[t], synced). The state is saved in the transaction that
 * saves the events it speaks of; then a restart at any moment takes each event once. */
#ifndef RUNTIME_GAP_H
#define RUNTIME_GAP_H

#include <stdbool.h>

#include "mailbus/heads.h"

typedef struct gap gap_t;

typedef enum {
    GAP_TAKE,    /* event: new, take it */
    GAP_DROP,    /* event: here already, or of a topic that nobody asked for */
    GAP_FETCH,   /* something before it is missing: fetch from the cursor */
    GAP_FOREIGN, /* of another stream */
    GAP_SYNCED,  /* heads: everything that matches is here */
    GAP_BEHIND,  /* heads: below what is here already: late, or the journal went back in time */
} gap_verdict_t;

/* Topics are compared for equality, prefixes as byte prefixes; both end with NULL and may be NULL;
 * they are copied. NULL without memory. The new one has no stream: everything is foreign. */
gap_t *gap_new(const char *const *topics, const char *const *prefixes);
void gap_destroy(gap_t **self_p);

/* Begin anew: everything up to `base` counts as here. For the first contact and another journal. */
void gap_reset(gap_t *self, const char *stream, uint64_t base);

bool gap_matches(const gap_t *self, const char *topic);
const char *gap_stream(const gap_t *self); /* "" before the first contact */
uint64_t gap_synced(const gap_t *self);
/* Everything that matches is here up to this sequence: fetches begin behind it. */
uint64_t gap_cursor(const gap_t *self);
/* The highest sequence that the state has heard of: no honest head of the same journal, asked for
 * after this moment, is below it. */
uint64_t gap_highest(const gap_t *self);

/* One event, published or replayed. TAKE changes the state: the caller must keep the event, and
 * save both together. */
gap_verdict_t gap_event(gap_t *self, const mailbus_event_t *event);

/* Heads, from the bus or from an answer: SYNCED, FETCH, FOREIGN or BEHIND. */
gap_verdict_t gap_heads(gap_t *self, const mailbus_heads_t *heads);

/* The gateway keeps nothing below `oldest`: what is missing there is lost for good. True where that
 * moved the cursor; ret_from and ret_to get the first and last sequence that can't be had. */
bool gap_trimmed(gap_t *self, uint64_t oldest, uint64_t *ret_from, uint64_t *ret_to);

/* A page that was asked for from at most gap_cursor + 1 is complete: all that matches below `next`
 * was given to gap_event, and none of it came back as FETCH. */
void gap_page(gap_t *self, uint64_t next);

/* The state as text, and back. decode changes nothing where the text is malformed. */
MAILBUS_MUST_USE mailbus_code_t gap_encode(const gap_t *self, mailbus_buf_t *out,
                                           mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t gap_decode(gap_t *self, const char *text, mailbus_error_t *error);

#endif
