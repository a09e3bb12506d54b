/* Which attachments of a mail are looked at at all, by what the mail claims about them.
 *
 * A claim costs nothing to make, so it decides only whether the bytes are fetched; what they are is
 * found out from them. Pure functions. */
#ifndef EXTRACT_CHOOSE_H
#define EXTRACT_CHOOSE_H

#include "agentmail/message.h"

#define CHOOSE_TYPES_MAX 32 /* words of extract.types: there are seven names and some types */

typedef struct choose choose_t;

/* `types`: blank-separated words, each a name (pdf text html docx odt xlsx image), a media type
 * (RFC 6838) or a range of them ("image/" and a star). `images`: as if "image" were among them.
 * EINVAL names the word that is neither. */
MAILBUS_MUST_USE mailbus_code_t choose_new(const char *types, bool images, bool inline_images,
                                           choose_t **ret_self, mailbus_error_t *error);
void choose_destroy(choose_t **self_p); /* takes NULL */

typedef enum {
    CHOOSE_LOOK,
    CHOOSE_TYPE,   /* none of the wanted types */
    CHOOSE_INLINE, /* a picture that the mail's HTML shows: a logo */
} choose_verdict_t;

/* Wanted is what claims a wanted type, what has a wanted type's extension, and what claims nothing
 * ("application/octet-stream", no type at all) unless its extension says that it is another of the
 * named types. */
choose_verdict_t choose_attachment(const choose_t *self, const agentmail_attachment_t *attachment);

#endif
