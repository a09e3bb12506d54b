/* Stage 3: what a verified body says about itself: event type, id, inbox, message, time.
 *
 * Strict where two readers could differ (JSON, doubled keys, the type and the id), and tolerant
 * everywhere else: new event types and fields arrive often, and the body goes through untouched. */
#ifndef GATEWAY_ENVELOPE_H
#define GATEWAY_ENVELOPE_H

#include "event.h"

#define ENVELOPE_INBOX_MAX 320 /* bytes of an address: RFC 5321 §4.5.3.1, 64 + @ + 255 */

/* Read a verified body into an event.
 *   topic    = event_type, any that mailbus_topic_check takes
 *   id       = event_id; else `webhook_id`; else "sha256-" and the hex SHA-256 of the body
 *   source   = from inbox_id of the body object, or of the envelope
 *   subject  = message_id of the body object;  time = its timestamp (RFC 3339)
 * The last three are left out where they are missing or unusable. `webhook_id` may be NULL.
 * On OK the event owns the bytes (and *body_p is NULL), so they are never copied; on failure they
 * stay the caller's. `*body_p` comes from malloc.
 * EINVAL: the body can't be read, with the reason in words; EACCESS: a topic that is reserved. */
MAILBUS_MUST_USE mailbus_code_t envelope_read(char **body_p, size_t size, const char *webhook_id,
                                              event_t **ret_event, mailbus_error_t *error);

#endif
