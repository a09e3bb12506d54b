#include "template.h"

#include <assert.h>
#include <string.h>

#include "agentmail/text.h"

typedef enum { SENDER_NAME, SENDER_ADDRESS, SUBJECT, INBOX, PLACEHOLDERS } placeholder_t;

static const char *const names[PLACEHOLDERS] = {"sender.name", "sender.address", "subject",
                                                "inbox"};

/* The placeholder that stands at `text` ("{{ name }}") and its size; PLACEHOLDERS where it is
 * unknown or has no end. */
static placeholder_t find(const char *text, size_t *ret_size)
{
    const char *end = strstr(text, "}}");
    if (end == NULL) {
        return PLACEHOLDERS;
    }
    const char *name = text + 2;
    const char *stop = end;
    while (name < stop && *name == ' ') {
        name++;
    }
    while (stop > name && stop[-1] == ' ') {
        stop--;
    }
    for (int i = 0; i < PLACEHOLDERS; i++) {
        if ((size_t)(stop - name) == strlen(names[i]) &&
            memcmp(name, names[i], strlen(names[i])) == 0) {
            *ret_size = (size_t)(end - text) + 2;
            return (placeholder_t)i;
        }
    }
    return PLACEHOLDERS;
}

mailbus_code_t template_check(const char *text, mailbus_error_t *error)
{
    size_t size = 0;
    for (const char *p = strstr(text, "{{"); p != NULL; p = strstr(p + size, "{{")) {
        if (find(p, &size) == PLACEHOLDERS) {
            mailbus_buf_t shown = MAILBUS_BUF_INIT;
            agentmail_text_line(p, strlen(p), 40, &shown);
            mailbus_code_t code =
                mailbus_fail(error, MAILBUS_EINVAL,
                             "%s is no placeholder; known are {{sender.name}}, {{sender.address}}, "
                             "{{subject}} and {{inbox}}",
                             shown.data == NULL ? "{{" : shown.data);
            mailbus_buf_free(&shown);
            return code;
        }
    }
    return MAILBUS_OK;
}

static void write_escaped(const mailbus_buf_t *value, mailbus_buf_t *out)
{
    for (size_t i = 0; i < value->size; i++) {
        switch (value->data[i]) {
        case '&':
            mailbus_buf_text(out, "&amp;");
            break;
        case '<':
            mailbus_buf_text(out, "&lt;");
            break;
        case '>':
            mailbus_buf_text(out, "&gt;");
            break;
        case '"':
            mailbus_buf_text(out, "&quot;");
            break;
        case '\'':
            mailbus_buf_text(out, "&#39;");
            break;
        default:
            mailbus_buf_append(out, &value->data[i], 1);
        }
    }
}

static const char *value_of(placeholder_t placeholder, const template_values_t *values)
{
    switch (placeholder) {
    case SENDER_NAME:
        return values->sender_name[0] != '\0' ? values->sender_name : values->sender_address;
    case SENDER_ADDRESS:
        return values->sender_address;
    case SUBJECT:
        return values->subject;
    case INBOX:
        return values->inbox;
    case PLACEHOLDERS:
        break;
    }
    assert(placeholder != PLACEHOLDERS); /* template_check came first */
    return "";
}

void template_render(const char *text, bool html, const template_values_t *values,
                     mailbus_buf_t *out)
{
    const char *p = NULL;
    for (; (p = strstr(text, "{{")) != NULL;) {
        size_t size = 2;
        const char *value = value_of(find(p, &size), values);
        mailbus_buf_t clean = MAILBUS_BUF_INIT;
        agentmail_text_line(value, strlen(value), TEMPLATE_VALUE_MAX, &clean);
        mailbus_buf_append(out, text, (size_t)(p - text));
        if (html) {
            write_escaped(&clean, out);
        } else if (clean.size > 0) {
            mailbus_buf_append(out, clean.data, clean.size);
        }
        out->failed = out->failed || clean.failed;
        mailbus_buf_free(&clean);
        text = p + size;
    }
    mailbus_buf_text(out, text);
}
