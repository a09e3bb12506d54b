/* What others are told about a file: the event attachment.extracted (PROTOCOL.md, and
 * proto/schemas/attachment.extracted.json), which is also the body of a POST. A pure function: the
 * same file gives the same bytes at every try. */
#ifndef EXTRACT_DESCRIBE_H
#define EXTRACT_DESCRIBE_H

#include "agentmail/message.h"
#include "archive.h"

#define DESCRIBE_TOPIC "attachment.extracted"

/* Bytes of text that a description may carry. JSON writes an LF in two, so that with this the whole
 * stays below the 2 MiB that receivers of a gateway's events are ready for. */
#define DESCRIBE_TEXT_MAX ((size_t)900 * 1024)

typedef struct {
    const char *id;           /* of this event */
    const char *source_event; /* of the mail's */
    const agentmail_message_t *message;
    int place; /* of the attachment in the mail, from 1 */
    const agentmail_attachment_t *attachment;
    const archive_claim_t *claim; /* one line each */
    const archive_file_t *file;
    const document_t *document; /* NULL: the bytes were never had */
    size_t max_text;            /* bytes, at most DESCRIBE_TEXT_MAX */
} describe_t;

/* Append the JSON. */
void describe(const describe_t *self, mailbus_buf_t *out);

/* How many of the first `max` bytes of `text` are whole characters (UTF-8). */
size_t describe_cut(const char *text, size_t size, size_t max);

#endif
