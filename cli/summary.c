#include "summary.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "agentmail/message.h"
#include "agentmail/text.h"
#include "mailbus/json.h"

enum {
    ADDRESS_MAX = 80,  /* bytes of one address or name on a line */
    SUBJECT_MAX = 160, /* bytes of a subject or reason */
    RECIPIENTS_MAX = 3 /* named on a line; the others are counted */
};

static void append_text(const char *text, size_t max, mailbus_buf_t *out)
{
    agentmail_text_line(text, strlen(text), max, out);
}

static void append_mailbox(const agentmail_address_t *mailbox, mailbus_buf_t *out)
{
    if (mailbox->name[0] != '\0') {
        append_text(mailbox->name, ADDRESS_MAX, out);
        mailbus_buf_text(out, " <");
        append_text(mailbox->address, ADDRESS_MAX, out);
        mailbus_buf_char(out, '>');
    } else {
        append_text(mailbox->address, ADDRESS_MAX, out);
    }
}

/* A mail that arrived: "support@… ← Jane <jane@…>: Question (2 attachments)". */
static bool append_received(const mailbus_event_t *event, mailbus_buf_t *out)
{
    agentmail_message_t *message = NULL;
    if (agentmail_message_read(event->body, event->body_size, &message, NULL) != MAILBUS_OK) {
        return false;
    }
    append_text(message->inbox_id, ADDRESS_MAX, out);
    mailbus_buf_text(out, " ← ");
    if (message->from.count > 0) {
        append_mailbox(&message->from.items[0], out);
    } else {
        mailbus_buf_text(out, "(no sender)");
    }
    mailbus_buf_text(out, ": ");
    if (message->subject != NULL && message->subject[0] != '\0') {
        append_text(message->subject, SUBJECT_MAX, out);
    } else {
        mailbus_buf_text(out, "(no subject)");
    }
    if (message->attachment_count > 0) {
        mailbus_buf_printf(out, " (%zu attachment%s)", message->attachment_count,
                           message->attachment_count == 1 ? "" : "s");
    }
    agentmail_message_free(&message);
    return true;
}

/* The object that an event is about: "send", "delivery", "bounce", …, whatever its name. */
static const cJSON *find_object(const cJSON *tree)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        if (cJSON_IsObject(item) && strcmp(item->string, "thread") != 0) {
            return item;
        }
    }
    return NULL;
}

/* Recipients are strings, or objects with an address. */
static void append_recipients(const cJSON *recipients, mailbus_buf_t *out)
{
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, recipients)
    {
        const char *address = cJSON_IsObject(item) ? mailbus_json_string(item, "address")
                                                   : cJSON_GetStringValue(item);
        if (address != NULL && ++count <= RECIPIENTS_MAX) {
            mailbus_buf_text(out, count == 1 ? " → " : ", ");
            append_text(address, ADDRESS_MAX, out);
        }
    }
    if (count > RECIPIENTS_MAX) {
        mailbus_buf_printf(out, " and %d more", count - RECIPIENTS_MAX);
    }
}

/* "support@… → jane@…: Permanent General". */
static bool append_object(const mailbus_event_t *event, mailbus_buf_t *out)
{
    static const char *const words[] = {"subject", "summary", "type",   "sub_type",
                                        "reason",  "domain",  "status", "title"};
    cJSON *tree = NULL;
    if (mailbus_json_parse(event->body, event->body_size, &tree, NULL) != MAILBUS_OK) {
        return false;
    }
    size_t before = out->size;
    const cJSON *object = find_object(tree);
    const char *inbox = mailbus_json_string(object, "inbox_id");
    inbox = inbox != NULL ? inbox : mailbus_json_string(tree, "inbox_id");
    if (inbox != NULL) {
        append_text(inbox, ADDRESS_MAX, out);
    }
    append_recipients(mailbus_json_item(object, "recipients"), out);
    bool first = true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *text = mailbus_json_string(object, words[i]);
        if (text != NULL && text[0] != '\0') {
            mailbus_buf_text(out, !first ? " " : out->size > before ? ": " : "");
            append_text(text, SUBJECT_MAX, out);
            first = false;
        }
    }
    cJSON_Delete(tree);
    return out->size > before;
}

void summary_append(const mailbus_event_t *event, mailbus_buf_t *out)
{
    bool received = strncmp(event->topic, "message.received", strlen("message.received")) == 0;
    if ((received && append_received(event, out)) || append_object(event, out)) {
        return;
    }
    append_text(event->id, MAILBUS_ID_MAX, out);
}
