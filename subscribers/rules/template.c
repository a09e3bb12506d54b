#include "rules/template.h"

#include <assert.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"

const char *const template_mail_names[] = {"sender.name", "sender.address", "subject", "inbox",
                                           NULL};

void template_mail_values(const agentmail_message_t *message,
                          template_value_t values[TEMPLATE_MAIL_VALUES + 1])
{
    const agentmail_address_t *sender = message->from.count > 0 ? &message->from.items[0] : NULL;
    const char *address = sender == NULL ? "" : sender->address;
    const char *const texts[] = {
        sender == NULL || sender->name[0] == '\0' ? address : sender->name,
        address,
        message->subject == NULL ? "" : message->subject,
        message->inbox_id,
    };
    for (size_t i = 0; i < TEMPLATE_MAIL_VALUES; i++) {
        values[i] = (template_value_t){.name = template_mail_names[i], .value = texts[i]};
    }
    values[TEMPLATE_MAIL_VALUES] = (template_value_t){.name = NULL};
}

/* The name in the placeholder that stands at `text` ("{{ name }}"), and the size of both; NULL
 * where it has no end. */
static const char *find(const char *text, size_t *ret_name_size, size_t *ret_size)
{
    const char *end = strstr(text, "}}");
    if (end == NULL) {
        return NULL;
    }
    const char *name = text + 2;
    const char *stop = end;
    while (name < stop && *name == ' ') {
        name++;
    }
    while (stop > name && stop[-1] == ' ') {
        stop--;
    }
    *ret_name_size = (size_t)(stop - name);
    *ret_size = (size_t)(end - text) + 2;
    return name;
}

static bool is_name(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && memcmp(name, text, size) == 0;
}

static mailbus_code_t unknown(const char *text, const char *const *names, mailbus_error_t *error)
{
    mailbus_buf_t shown = MAILBUS_BUF_INIT;
    agentmail_text_line(text, strlen(text), 40, &shown);
    mailbus_buf_text(&shown, " is no placeholder; known are ");
    for (size_t i = 0; names[i] != NULL; i++) {
        mailbus_buf_printf(&shown, "%s{{%s}}",
                           i == 0                 ? ""
                           : names[i + 1] == NULL ? " and "
                                                  : ", ",
                           names[i]);
    }
    mailbus_code_t code = mailbus_fail(error, MAILBUS_EINVAL, "%s",
                                       shown.data == NULL ? "no placeholder" : shown.data);
    mailbus_buf_free(&shown);
    return code;
}

mailbus_code_t template_check(const char *text, const char *const *names, mailbus_error_t *error)
{
    size_t size = 0;
    if (!mailbus_utf8_valid(text, strlen(text))) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the text is not UTF-8");
    }
    for (const char *p = strstr(text, "{{"); p != NULL; p = strstr(p + size, "{{")) {
        size_t name_size = 0;
        size_t i = 0;
        const char *name = find(p, &name_size, &size);
        while (name != NULL && names[i] != NULL && !is_name(names[i], name, name_size)) {
            i++;
        }
        if (name == NULL || names[i] == NULL) {
            return unknown(p, names, error);
        }
    }
    return MAILBUS_OK;
}

mailbus_code_t template_check_mail(const char *text, mailbus_error_t *error)
{
    return template_check(text, template_mail_names, error);
}

static void write_escaped(const char *text, size_t size, mailbus_buf_t *out)
{
    for (size_t i = 0; i < size; i++) {
        switch (text[i]) {
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
        case '\n':
            mailbus_buf_text(out, "<br>\n");
            break;
        default:
            mailbus_buf_append(out, &text[i], 1);
        }
    }
}

/* At most `max` bytes of clean UTF-8, cut between letters. */
static size_t cut(const char *text, size_t max)
{
    size_t size = strnlen(text, max + 1);
    if (size > max) {
        for (size = max; size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80; size--) {
        }
    }
    return size;
}

static void write_value(const template_value_t *value, bool html, mailbus_buf_t *out)
{
    mailbus_buf_t clean = MAILBUS_BUF_INIT;
    size_t max = value->max == 0 ? TEMPLATE_VALUE_MAX : value->max;
    const char *text = value->value;
    size_t size = 0;
    if (value->lines) {
        size = cut(text, max);
    } else {
        agentmail_text_line(text, strlen(text), max, &clean);
        text = clean.data;
        size = clean.size;
    }
    if (size > 0 && html) {
        write_escaped(text, size, out);
    } else if (size > 0) {
        mailbus_buf_append(out, text, size);
    }
    out->failed = out->failed || clean.failed;
    mailbus_buf_free(&clean);
}

void template_render(const char *text, bool html, const template_value_t *values,
                     mailbus_buf_t *out)
{
    for (const char *p = NULL; (p = strstr(text, "{{")) != NULL;) {
        size_t size = 0;
        size_t name_size = 0;
        size_t i = 0;
        const char *name = find(p, &name_size, &size);
        assert(name != NULL); /* template_check came first */
        while (values[i].name != NULL && !is_name(values[i].name, name, name_size)) {
            i++;
        }
        assert(values[i].name != NULL); /* the same */
        mailbus_buf_append(out, text, (size_t)(p - text));
        write_value(&values[i], html, out);
        text = p + size;
    }
    mailbus_buf_text(out, text);
}
