/* GET /sim/sent: every mail that went out; as JSON, as text to read, or only how many. */
#include <string.h>

#include "call.h"
#include "log_escape.h"

static cJSON *sent_json(const message_t *message)
{
    cJSON *json = message_json(message, true);
    cJSON_AddStringToObject(json, "call", message->call);
    if (message->idempotency_key != NULL) {
        cJSON_AddStringToObject(json, "idempotency_key", message->idempotency_key);
    }
    return json;
}

/* One line that a terminal can bear, whatever stands in the mail. */
static void put_line(const char *name, const char *text, size_t size, mailbus_buf_t *out)
{
    char bytes[2048];
    mb_line_t line = {.data = bytes, .capacity = sizeof bytes};
    mb_log_escape(text, size, 300, &line);
    mailbus_buf_printf(out, "    %s%s", name, *name != '\0' ? ": " : "");
    mailbus_buf_append(out, bytes, line.size);
    mailbus_buf_char(out, '\n');
}

static void put_mail(const message_t *message, mailbus_buf_t *out)
{
    const mail_t *mail = &message->mail;
    put_line("From", mail->from, strlen(mail->from), out);
    const cJSON *item;
    cJSON_ArrayForEach(item, mail->to)
    {
        put_line("To", item->valuestring, strlen(item->valuestring), out);
    }
    if (mail->subject != NULL) {
        put_line("Subject", mail->subject, strlen(mail->subject), out);
    }
    if (mail->in_reply_to != NULL) {
        put_line("In-Reply-To", mail->in_reply_to, strlen(mail->in_reply_to), out);
    }
    cJSON_ArrayForEach(item, mail->headers)
    {
        put_line(item->string, item->valuestring, strlen(item->valuestring), out);
    }
    mailbus_buf_char(out, '\n');
    for (const char *at = mail->text; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, "\n");
        put_line("", at, size, out);
        at += size + (at[size] == '\n');
    }
    mailbus_buf_char(out, '\n');
}

static void answer_format(call_t *call, const char *format)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_text(&text, "");
    if (strcmp(format, "count") == 0) {
        mailbus_buf_u64(&text, mailbox_sent_count(call->sim->mailbox));
        mailbus_buf_char(&text, '\n');
    } else {
        for (const message_t *at = mailbox_first(call->sim->mailbox); at != NULL; at = at->next) {
            if (at->sent) {
                put_mail(at, &text);
            }
        }
    }
    call_answer_text(call, 200, "text/plain; charset=utf-8", text.data);
    mailbus_buf_free(&text);
}

void control_sent(call_t *call)
{
    const char *format = mb_http_query(call->request, "format");
    if (format != NULL && strcmp(format, "json") != 0) {
        if (strcmp(format, "count") != 0 && strcmp(format, "text") != 0) {
            call_error(call, 400, NULL, "format must be json, text or count");
        } else {
            answer_format(call, format);
        }
        return;
    }
    size_t limit = call_limit(call, "limit", MAILBOX_MESSAGES_MAX, MAILBOX_MESSAGES_MAX);
    if (limit == 0) {
        return;
    }
    uint64_t held = 0;
    for (const message_t *at = mailbox_first(call->sim->mailbox); at != NULL; at = at->next) {
        held += at->sent;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON *array = cJSON_CreateArray();
    uint64_t passed = 0;
    for (const message_t *at = mailbox_first(call->sim->mailbox); at != NULL; at = at->next) {
        if (at->sent && held - passed++ <= limit) { /* the newest ones, oldest first */
            cJSON_AddItemToArray(array, sent_json(at));
        }
    }
    cJSON_AddNumberToObject(tree, "count", (double)mailbox_sent_count(call->sim->mailbox));
    cJSON_AddItemToObject(tree, "sent", array);
    call_answer(call, 200, tree);
}
