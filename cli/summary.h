/* What an event says, in a few words. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "mailbus/event.h"

/* Append who, whom and what, on one line and safe for a terminal; the event's id where the body
 * tells nothing. */
void summary_append(const mailbus_event_t *event, mailbus_buf_t *out);

#endif
