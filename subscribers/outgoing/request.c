#include "outgoing/request.h"

#include <string.h>

#include "mailbus/json.h"

static void write_text(mailbus_buf_t *out, const char *text)
{
    mailbus_json_write_string(out, text, strlen(text));
}

static void write_member(mailbus_buf_t *out, const char *name, const char *value)
{
    write_text(out, name);
    mailbus_buf_char(out, ':');
    write_text(out, value);
}

static bool is_utf8(const char *text)
{
    return text == NULL || mailbus_utf8_valid(text, strlen(text));
}

mailbus_code_t request_render(const char *loop, const char *to, const outgoing_mail_t *mail,
                              mailbus_buf_t *out, mailbus_error_t *error)
{
    const struct {
        outgoing_kind_t kind;
        const char *name, *value;
    } headers[] = {
        {OUTGOING_REPLY, "Auto-Submitted", "auto-replied"}, /* RFC 3834 §5 */
        {OUTGOING_REPLY, "X-Auto-Response-Suppress", "All"},
        {OUTGOING_REPLY, "Precedence", "bulk"},
        {OUTGOING_FORWARD, "Auto-Submitted", "auto-generated"}, /* RFC 3834 §5.1 */
        {OUTGOING_FORWARD, "X-Auto-Response-Suppress", "All"},
        {OUTGOING_FORWARD, "X-Loop", loop},
    };
    const char *before = ",\"headers\":{";
    if (!is_utf8(mail->text) || !is_utf8(mail->html)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the text to send is not UTF-8");
    }
    mailbus_buf_text(out, "{\"to\":[");
    write_text(out, to);
    mailbus_buf_text(out, "],");
    write_member(out, "text", mail->text);
    if (mail->html != NULL) {
        mailbus_buf_char(out, ',');
        write_member(out, "html", mail->html);
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (headers[i].kind == mail->kind) {
            mailbus_buf_text(out, before);
            write_member(out, headers[i].name, headers[i].value);
            before = ",";
        }
    }
    mailbus_buf_text(out, "}}");
    return out->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
}
