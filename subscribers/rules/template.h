/* Texts with {{placeholders}}, filled in with what strangers wrote. */
#ifndef RULES_TEMPLATE_H
#define RULES_TEMPLATE_H

#include "agentmail/message.h"

/* Bytes that one value may bring into an answer. What strangers write in a name or subject goes to
 * an address that they chose: there must be no room for an advertisement. */
#define TEMPLATE_VALUE_MAX 120
#define TEMPLATE_MAX       ((size_t)256 * 1024) /* bytes of a template; the service takes 6 MB a mail */

/* One placeholder with its value, which is hostile text: made one line and cut to `max` bytes (0:
 * TEMPLATE_VALUE_MAX) here. With `lines` it keeps its line breaks and tabs, and must then be clean
 * UTF-8 already; in HTML they are kept by <br>. */
typedef struct {
    const char *name; /* "subject"; NULL ends the table */
    const char *value;
    size_t max;
    bool lines;
} template_value_t;

/* The placeholders of every mail: {{sender.name}} (the address where there is no name),
 * {{sender.address}}, {{subject}} and {{inbox}}. */
enum { TEMPLATE_MAIL_VALUES = 4 };
extern const char *const template_mail_names[]; /* ends with NULL */
/* Their values, and the NULL that ends the table. The message needs no sender. */
void template_mail_values(const agentmail_message_t *message,
                          template_value_t values[TEMPLATE_MAIL_VALUES + 1]);

/* EINVAL where the text is not UTF-8, or holds a placeholder that is none of `names` (ends with
 * NULL) or has no end; the text names it. */
MAILBUS_MUST_USE mailbus_code_t template_check(const char *text, const char *const *names,
                                               mailbus_error_t *error);
/* template_check with the placeholders of every mail: for rules_key_t.check. */
MAILBUS_MUST_USE mailbus_code_t template_check_mail(const char *text, mailbus_error_t *error);
/* Append the filled-in template; with `html` values are escaped for HTML text and attributes. The
 * same values always give the same bytes. The template must have passed template_check with the
 * names of `values`. */
void template_render(const char *text, bool html, const template_value_t *values,
                     mailbus_buf_t *out);

#endif
