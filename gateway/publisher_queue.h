/* Between the journal's thread and the publisher's: events that are committed and not yet sent, and
 * the heads that describe what is no longer in here.
 *
 * Bounded by number and by bytes. What does not fit pushes the oldest out: those are not published,
 * and subscribers fetch them. The heads cover what was taken or pushed out, never what still waits,
 * so a subscriber is not told of an event before it was sent (or given up). */
#ifndef PUBLISHER_QUEUE_H
#define PUBLISHER_QUEUE_H

#include "event.h"
#include "mailbus/heads.h"

typedef struct publisher_queue publisher_queue_t;

/* heads: where the journal stands before the first event comes; copied. */
MAILBUS_MUST_USE mailbus_code_t publisher_queue_new(size_t max_events, size_t max_bytes,
                                                    const mailbus_heads_t *heads,
                                                    publisher_queue_t **ret_self,
                                                    mailbus_error_t *error);
void publisher_queue_destroy(publisher_queue_t **self_p);

/* Hold and append events, in the order of their sequences. Any thread. Returns how many were pushed
 * out; `ret_was_empty` says whether the taker may be asleep. */
size_t publisher_queue_put(publisher_queue_t *self, event_t *const *events, size_t count,
                           bool *ret_was_empty);
/* Take up to `max` events into `events`; the caller releases them. Any thread. From now on the
 * heads cover them: ask for the heads only after they were sent. */
size_t publisher_queue_take(publisher_queue_t *self, event_t **events, size_t max);
/* A copy of the heads, freed by the caller. EFULL where there are more topics than the wire can
 * name (MAILBUS_HEADS_MAX_TOPICS): heads that leave one out would hide its loss. */
MAILBUS_MUST_USE mailbus_code_t publisher_queue_heads(publisher_queue_t *self,
                                                      mailbus_heads_t **ret_heads);

#endif
