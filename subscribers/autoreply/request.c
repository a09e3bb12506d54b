#include "request.h"

#include <assert.h>
#include <string.h>

#include "guards.h"
#include "mailbus/json.h"
#include "rules/template.h"

/* Sent with every answer. The API sets From, Subject ("Re: …"), In-Reply-To and References. */
static const char *const headers[][2] = {
    {"Auto-Submitted", "auto-replied"}, /* RFC 3834 §5 */
    {"X-Auto-Response-Suppress", "All"},
    {"Precedence", "bulk"},
};

static void write_text(mailbus_buf_t *out, const char *text)
{
    mailbus_json_write_string(out, text, strlen(text));
}

static void write_rendered(mailbus_buf_t *out, const char *key, const char *text, bool html,
                           const template_value_t *values)
{
    mailbus_buf_t rendered = MAILBUS_BUF_INIT;
    template_render(text, html, values, &rendered);
    mailbus_buf_printf(out, ",\"%s\":", key);
    mailbus_json_write_string(out, rendered.data == NULL ? "" : rendered.data, rendered.size);
    out->failed = out->failed || rendered.failed;
    mailbus_buf_free(&rendered);
}

mailbus_code_t request_render(const agentmail_message_t *message, const rule_t *rule,
                              mailbus_buf_t *out, mailbus_error_t *error)
{
    const agentmail_address_t *recipient = guards_recipient(message);
    assert(recipient != NULL && message->from.count > 0); /* guards_of_message came first */
    template_value_t values[TEMPLATE_MAIL_VALUES + 1];
    template_mail_values(message, values);
    mailbus_buf_text(out, "{\"to\":[");
    write_text(out, recipient->address);
    mailbus_buf_char(out, ']');
    write_rendered(out, "text", rule_text(rule, "text"), false, values);
    if (rule_text(rule, "html") != NULL) {
        write_rendered(out, "html", rule_text(rule, "html"), true, values);
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        mailbus_buf_text(out, i == 0 ? ",\"headers\":{" : ",");
        write_text(out, headers[i][0]);
        mailbus_buf_char(out, ':');
        write_text(out, headers[i][1]);
    }
    mailbus_buf_text(out, "}}");
    return out->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
}
