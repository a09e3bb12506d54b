/* Delivers events to webhooks as Svix does: signed, retried on a schedule. A thread of its own with
 * several connections; everything here may be called from another thread. */
#ifndef SIM_DELIVERY_H
#define SIM_DELIVERY_H

#include "delivery_queue.h"
#include "fail_rule.h"
#include "log.h"

typedef struct delivery delivery_t;

/* Where an event goes. All lent. */
typedef struct {
    const char *webhook_id;
    const char *url;
    const char *secret;
    bool guide;           /* X-AgentMail-Signature instead of Svix's headers */
    const cJSON *headers; /* object of further headers; NULL: none */
} delivery_target_t;

/* What is delivered. All lent. */
typedef struct {
    const char *id; /* of the Svix message */
    const char *event_type;
    const char *event_id;
    const void *body;
    size_t size;
} delivery_event_t;

MAILBUS_MUST_USE mailbus_code_t delivery_new(mb_log_t *log, double time_scale,
                                             delivery_t **ret_self, mailbus_error_t *error);
/* What waits is given up. */
void delivery_destroy(delivery_t **self_p);
/* Look before adding: what does not fit is the caller's to refuse. */
bool delivery_has_room(delivery_t *self, size_t count, size_t bytes);
void delivery_add(delivery_t *self, const delivery_target_t *target, const delivery_event_t *event);
void delivery_cancel(delivery_t *self, const char *webhook_id);
void delivery_fail_next(delivery_t *self, const fail_rule_t *rule);
void delivery_reset(delivery_t *self);
cJSON *delivery_report(delivery_t *self, size_t limit);

#endif
