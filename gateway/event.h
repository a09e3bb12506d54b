/* One webhook on its way through the gateway, from the envelope (stage 3) to the wire (stages 5,
 * 6).
 *
 * Made by envelope.c, numbered by journal.c, read by everybody after that. Counted references,
 * because the connection, the journal's batch and the publisher's queue hold it at once. Nothing in
 * it changes once the journal has committed it. */
#ifndef GATEWAY_EVENT_H
#define GATEWAY_EVENT_H

#include <stdatomic.h>

#include "encoding.h"
#include "mailbus/event.h"

typedef struct event {
    atomic_int references;
    /* From the envelope. Strings are owned by the event. */
    char *topic;
    char *id;
    char *webhook_id; /* NULL: the delivery had no id header */
    char *source;
    char *subject;                  /* NULL: no message id */
    char *time;                     /* NULL: the body names no time; recorded_ms stands for it */
    uint8_t sha256[MB_SHA256_SIZE]; /* of the body */
    char *body;
    size_t body_size;
    /* From the journal, before the commit. */
    uint64_t sequence;
    uint64_t previous;
    int64_t recorded_ms;
} event_t;

/* An empty event with one reference; NULL without memory. Fields are filled with malloc'ed strings.
 */
event_t *event_new(void);
event_t *event_hold(event_t *self);
void event_release(event_t **self_p); /* the last one frees; takes half-made ones */

/* Append the header frame, the same bytes every time (publisher and replay both call this). */
MAILBUS_MUST_USE mailbus_code_t event_header(const event_t *self, const char *stream,
                                             mailbus_buf_t *out, mailbus_error_t *error);

#endif
