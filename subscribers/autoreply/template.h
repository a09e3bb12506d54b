/* Answer texts with {{placeholders}}. */
#ifndef AUTOREPLY_TEMPLATE_H
#define AUTOREPLY_TEMPLATE_H

#include "mailbus/buf.h"

/* Bytes that one value may bring into an answer. What strangers write in a name or subject goes to
 * an address that they chose: there must be no room for an advertisement. */
#define TEMPLATE_VALUE_MAX 120
#define TEMPLATE_MAX       ((size_t)256 * 1024) /* bytes of a template; the service takes 6 MB a mail */

/* Hostile text, cleaned and cut here. None is NULL. */
typedef struct {
    const char *sender_name; /* "" where the mail had none: the address stands for it */
    const char *sender_address;
    const char *subject;
    const char *inbox;
} template_values_t;

/* EINVAL with the placeholder's name where the template holds one that does not exist or does not
 * end. Known are {{sender.name}}, {{sender.address}}, {{subject}} and {{inbox}}. */
MAILBUS_MUST_USE mailbus_code_t template_check(const char *text, mailbus_error_t *error);
/* Append the filled-in template; with `html` values are escaped for HTML text and attributes. The
 * same values always give the same bytes. The template must have passed template_check. */
void template_render(const char *text, bool html, const template_values_t *values,
                     mailbus_buf_t *out);

#endif
