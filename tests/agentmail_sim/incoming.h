/* Stage: a mail arrives at an inbox. */
#ifndef SIM_INCOMING_H
#define SIM_INCOMING_H

#include "sim.h"

/* Put the mail (moved from) into the inbox, made where it is not there yet, and emit its event.
 * event_type NULL: message.received, or message.received.blocked for a sender on a block list.
 * event_id NULL: a new one. EEXIST: the inbox has a message of this id. `ret_event_id` is the
 * caller's to free. */
MAILBUS_MUST_USE mailbus_code_t incoming_take(sim_t *sim, const char *inbox_id, mail_t *mail,
                                              const char *event_type, const char *event_id,
                                              int64_t now_ms, message_t **ret_message,
                                              char **ret_event_id, mailbus_error_t *error);

#endif
