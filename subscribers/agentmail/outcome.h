/* What became of a mail that we sent: message.sent, .delivered, .bounced, .complained, .rejected
 * and .opened, in every shape that the service is known to send. */
#ifndef AGENTMAIL_OUTCOME_H
#define AGENTMAIL_OUTCOME_H

#include <cjson/cJSON.h>

#include "mailbus/buf.h"

#define AGENTMAIL_RECIPIENTS_MAX 10000 /* of one event; the service sends to 50 at once */

typedef enum {
    AGENTMAIL_SENT,
    AGENTMAIL_DELIVERED,
    AGENTMAIL_BOUNCED,
    AGENTMAIL_COMPLAINED,
    AGENTMAIL_REJECTED,
    AGENTMAIL_OPENED,
} agentmail_outcome_kind_t;

/* One recipient. Recipients that are no addresses are left out. */
typedef struct {
    char *address;      /* checked and unquoted (agentmail_address_parse) */
    const char *status; /* "5.1.1", "bounced", …: hostile; NULL where not said. Lent */
} agentmail_recipient_t;

/* Strings are lent by the outcome and NULL where the field is absent or not a string: the guide's
 * own message.bounced has no ids at all. */
typedef struct {
    agentmail_outcome_kind_t kind;
    const char *inbox_id, *thread_id, *message_id, *timestamp;
    const char *type; /* bounce: "Permanent", "Transient", "Undetermined"; complaint: its type */
    const char *sub_type; /* "General", "Suppressed", … */
    const char *reason;   /* reject */
    agentmail_recipient_t *recipients;
    size_t recipient_count;
    cJSON *tree; /* owns the strings */
} agentmail_outcome_t;

/* Read an event's body. EINVAL where it is not JSON or holds none of the bodies: send, delivery (an
 * older schema says delivered), bounce, complaint, reject, open. */
MAILBUS_MUST_USE mailbus_code_t agentmail_outcome_read(const char *body, size_t size,
                                                       agentmail_outcome_t **ret_outcome,
                                                       mailbus_error_t *error);
void agentmail_outcome_free(agentmail_outcome_t **outcome_p);

#endif
