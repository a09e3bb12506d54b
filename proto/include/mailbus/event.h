/* An event on the bus: three frames (topic, header, body), as in PROTOCOL.md §Event. */
#ifndef MAILBUS_EVENT_H
#define MAILBUS_EVENT_H

#include "mailbus/buf.h"

#define MAILBUS_TOPIC_MAX   128  /* bytes of a topic, PROTOCOL.md §Limits */
#define MAILBUS_ID_MAX      256  /* bytes of an event id */
#define MAILBUS_SUBJECT_MAX 998  /* RFC 5322 line limit: no message id is longer */
#define MAILBUS_HEADER_MAX  8192 /* bytes of the header frame */
#define MAILBUS_TOPIC_HEADS "bus.heads"
#define MAILBUS_RESERVED    "bus." /* topics that begin so are the bus's own */
#define MAILBUS_UUID_SIZE   37     /* text form with its NUL */
#define MAILBUS_TIME_SIZE   32     /* RFC 3339 text in UTC with its NUL */

/* One event, decoded. Strings are NUL-terminated, UTF-8, and never NULL unless said so. */
typedef struct {
    const char *topic;         /* event type, "message.received" */
    const char *id;            /* event id, unique for ever */
    const char *source;        /* "/agentmail/inboxes/<inbox>" or "/agentmail" */
    const char *subject;       /* message id with its angle brackets; NULL where there is none */
    const char *time;          /* when it happened, RFC 3339 */
    const char *stream;        /* UUID of the journal */
    const char *webhook_id;    /* id of the delivery; NULL where the sender gave none */
    const char *recorded_time; /* when the journal took it, RFC 3339 */
    uint64_t sequence;         /* number in the journal: from 1, dense over all topics */
    uint64_t previous; /* sequence of the event before on the same topic; 0: it is the first */
    const void *body;  /* the bytes that were signed */
    size_t body_size;
} mailbus_event_t;

/* OK where `topic` is an event type: [a-z0-9_-]+(\.[a-z0-9_-]+)*, at most MAILBUS_TOPIC_MAX bytes.
 * EACCESS where it is well formed but begins with MAILBUS_RESERVED; EINVAL otherwise. */
MAILBUS_MUST_USE mailbus_code_t mailbus_topic_check(const char *topic, size_t size,
                                                    mailbus_error_t *error);

/* Append the header frame of `event` to `out`: the same fields always give the same bytes, so what
 * replay sends is identical to what was published. Allocates nothing but the buffer's growth. */
MAILBUS_MUST_USE mailbus_code_t mailbus_header_encode(const mailbus_event_t *event,
                                                      mailbus_buf_t *out, mailbus_error_t *error);

/* Decode three frames into an event of the caller's (mailbus_event_free). The body is copied too.
 * Strict: EINVAL with the name of the field that is missing, of the wrong type or out of range,
 * where topic and `type` differ, or `previous` is not below `sequence`. Unknown attributes are
 * ignored. */
MAILBUS_MUST_USE mailbus_code_t mailbus_event_decode(const void *topic, size_t topic_size,
                                                     const void *header, size_t header_size,
                                                     const void *body, size_t body_size,
                                                     mailbus_event_t **ret_event,
                                                     mailbus_error_t *error);
void mailbus_event_free(mailbus_event_t **event_p);

/* Append the path of `source` for an inbox (percent-encoded as RFC 3986 pchar asks); "/agentmail"
 * for NULL or "". */
void mailbus_source_encode(const char *inbox, mailbus_buf_t *out);

/* The decimal number in `text`: digits only, no leading zero, fits uint64_t. */
MAILBUS_MUST_USE mailbus_code_t mailbus_sequence_parse(const char *text, uint64_t *ret_sequence);

#endif
