/* A received mail, read from an event's body or from the API's message object.
 *
 * Tolerant of everything the service is known to send: fields left out instead of null or empty,
 * `from` or `from_`, strings or arrays or {name, email}, attachments with or without content,
 * unknown keys. Every string comes from strangers. */
#ifndef AGENTMAIL_MESSAGE_H
#define AGENTMAIL_MESSAGE_H

#include "agentmail/address.h"
#include "agentmail/headers.h"

/* Strings are lent by the message and NULL where the field is absent or not a string. */
typedef struct {
    const char *id;           /* attachment_id */
    const char *filename;     /* hostile: never a path */
    const char *content_type; /* hostile: a claim */
    const char *content_id;
    const char *content; /* base64, where the event carries it (the older shape) */
    bool is_inline;
    double size; /* as claimed; -1 where unknown */
} agentmail_attachment_t;

typedef struct {
    const char *inbox_id;   /* our address, never NULL or "" */
    const char *message_id; /* with its angle brackets, never NULL or "" */
    const char *thread_id;
    const char *timestamp;
    const char *subject, *preview;
    const char *text, *html;
    const char *extracted_text, *extracted_html;
    const char *in_reply_to;
    /* text and html are both absent: an empty mail, or one over the service's payload limit (which
     * leaves them out without a flag); the API has the whole. */
    bool body_absent;
    bool has_headers;     /* the event carried `headers` at all */
    bool from_broken;     /* a sender is there that is no address */
    bool reply_to_broken; /* the same for Reply-To */
    agentmail_addresses_t from, to, cc, bcc, reply_to;
    agentmail_headers_t headers;
    const char **labels;
    size_t label_count;
    const char **references;
    size_t reference_count;
    agentmail_attachment_t *attachments;
    size_t attachment_count;
    cJSON *tree; /* owns the strings */
} agentmail_message_t;

/* Read the `message` of an event's body, or a message object itself (the API's answer). EINVAL
 * where it is not JSON, or without inbox_id or message_id. */
MAILBUS_MUST_USE mailbus_code_t agentmail_message_read(const char *body, size_t size,
                                                       agentmail_message_t **ret_message,
                                                       mailbus_error_t *error);
/* Take `text` and `html` out of the API's message object into a message whose event left them out.
 * `answer` keeps the rest. */
void agentmail_message_take_body(agentmail_message_t *message, cJSON *answer);
void agentmail_message_free(agentmail_message_t **message_p);

#endif
