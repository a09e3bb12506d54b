/* A mail as it came in by a call or as a file, before it is a message of an inbox. */
#ifndef SIM_MAIL_H
#define SIM_MAIL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "mailbus/error.h"

typedef struct {
    char *id; /* UUID */
    char *filename;
    char *content_type;
    char *disposition;
    char *content_id;
    char *data;
    size_t size;
} attachment_t;

/* Texts are NULL and arrays empty where there is nothing. Arrays hold strings. */
typedef struct {
    char *from;
    cJSON *to, *cc, *bcc, *reply_to;
    cJSON *references; /* message ids, oldest first */
    cJSON *labels;
    cJSON *headers; /* object: name → value */
    char *subject, *text, *html;
    char *message_id;  /* with its angle brackets */
    char *in_reply_to; /* the same */
    char *thread_id;
    char *raw; /* the file it came as; NULL: it is written when asked for */
    size_t raw_size;
    attachment_t *attachments;
    size_t attachment_count;
} mail_t;

void mail_init(mail_t *self);
void mail_clear(mail_t *self);
/* The next attachment, empty but for its id; valid until the next one is added. */
attachment_t *mail_add_attachment(mail_t *self);
void mail_copy_attachments(mail_t *self, const mail_t *from);
/* The attachment's metadata as the API shows it. */
cJSON *mail_attachment_json(const attachment_t *attachment);
/* The value of a header, any case; NULL: none. Lent. */
const char *mail_header(const mail_t *self, const char *name);

/* Fill an initialised mail from a request's JSON: to, cc, bcc, reply_to (string or array), subject,
 * text, html, labels, headers, attachments; with `incoming` from, in_reply_to, references,
 * message_id and thread_id too. EINVAL names the field. Nothing that holds a line break gets into a
 * header. Keys that are not known are passed over, as the real service does. */
MAILBUS_MUST_USE mailbus_code_t mail_read_json(const cJSON *request, bool incoming, mail_t *self,
                                               mailbus_error_t *error);

/* Fill an initialised mail from a message in the Internet Message Format (RFC 5322, MIME). Never
 * fails on what is odd inside; EINVAL where it is no message at all, ETOOBIG beyond the bounds. */
MAILBUS_MUST_USE mailbus_code_t eml_read(const char *data, size_t size, mail_t *self,
                                         mailbus_error_t *error);

#endif
