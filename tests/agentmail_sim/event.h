/* Events: made, and handed to every webhook that wants them. */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include "sim.h"

#define EVENT_BODY_MAX (1024 * 1024) /* the service leaves text and html out above this */

/* How many deliveries of how many bytes an answer to one mail can take: asked for beforehand. */
bool event_has_room(sim_t *sim, size_t events, size_t bytes_each);

/* A mail has come in: event_type (message.received, or one of its variants) with message and
 * thread. Returns the event's id, the caller frees. */
char *event_received(sim_t *sim, const char *event_type, const char *event_id,
                     const message_t *message);
/* message.sent, message.delivered, message.complained: with `recipients` (bare addresses). Takes
 * `recipients`. */
void event_about(sim_t *sim, const char *event_type, const message_t *message, cJSON *recipients,
                 int64_t now_ms);
void event_bounced(sim_t *sim, const message_t *message, const cJSON *recipients, int64_t now_ms);
/* These bytes as they are, with the id of the delivery. With `guide` the webhook's secret text
 * signs as the guide does. How many webhooks get it. */
size_t event_raw(sim_t *sim, const char *delivery_id, const void *body, size_t size, bool guide);

#endif
