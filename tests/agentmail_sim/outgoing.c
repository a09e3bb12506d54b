#include "outgoing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "event.h"
#include "incoming.h"
#include "mailbus/json.h"
#include "memory.h"
#include "random_id.h"

const char *outgoing_kind_name(outgoing_kind_t kind)
{
    static const char *const names[] = {"send", "reply", "reply-all", "forward"};
    return names[kind];
}

static bool holds_address(const cJSON *array, const char *address)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (address_same(item->valuestring, address)) {
            return true;
        }
    }
    return false;
}

/* Append those of `from` that are in neither array and are not `own`. */
static void add_addresses(cJSON *array, const cJSON *other, const cJSON *from, const char *own)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, from)
    {
        const char *text = item->valuestring;
        if (!address_same(text, own) && !holds_address(array, text) &&
            !holds_address(other, text)) {
            cJSON_AddItemToArray(array, cJSON_CreateString(text));
        }
    }
}

static void set_subject(mail_t *mail, const char *prefix, const char *subject)
{
    if (mail->subject != NULL) {
        return;
    }
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    if (subject == NULL || strncasecmp(subject, prefix, strlen(prefix)) != 0) {
        mailbus_buf_printf(&text, "%s ", prefix);
    }
    mailbus_buf_text(&text, subject != NULL ? subject : "");
    mail->subject = mailbus_buf_take(&text, NULL);
}

void outgoing_answer(mail_t *mail, const message_t *original, const char *inbox_id, bool all)
{
    const mail_t *old = &original->mail;
    if (mail->to->child == NULL) { /* to whom it may concern: the one who wrote */
        bool replied_to = old->reply_to->child != NULL;
        if (original->sent) {
            add_addresses(mail->to, mail->cc, old->to, inbox_id);
        } else if (replied_to) {
            add_addresses(mail->to, mail->cc, old->reply_to, inbox_id);
        } else if (old->from != NULL) {
            cJSON_AddItemToArray(mail->to, cJSON_CreateString(old->from));
        }
    }
    if (all) {
        add_addresses(mail->cc, mail->to, old->to, inbox_id);
        add_addresses(mail->cc, mail->to, old->cc, inbox_id);
    }
    free(mail->subject); /* an answer has the subject of what it answers */
    mail->subject = NULL;
    set_subject(mail, "Re:", old->subject);
    mail->in_reply_to = memory_text(old->message_id);
    cJSON_Delete(mail->references);
    mail->references = cJSON_Duplicate(old->references, true);
    cJSON_AddItemToArray(mail->references, cJSON_CreateString(old->message_id));
}

void outgoing_forward(mail_t *mail, const message_t *original)
{
    const mail_t *old = &original->mail;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    if (mail->text != NULL) {
        mailbus_buf_printf(&text, "%s\n\n", mail->text);
    }
    mailbus_buf_printf(&text, "---------- Forwarded message ---------\nFrom: %s\nSubject: %s\n\n%s",
                       old->from != NULL ? old->from : "", old->subject != NULL ? old->subject : "",
                       old->text != NULL ? old->text : "");
    free(mail->text);
    mail->text = mailbus_buf_take(&text, NULL);
    if (mail->html == NULL && old->html != NULL) {
        mail->html = memory_text(old->html);
    }
    set_subject(mail, "Fwd:", old->subject);
    mail_copy_attachments(mail, old);
}

cJSON *outgoing_recipients(const mail_t *mail)
{
    cJSON *recipients = cJSON_CreateArray();
    const cJSON *const lists[] = {mail->to, mail->cc, mail->bcc};
    for (size_t at = 0; at < 3; at++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, lists[at])
        {
            char bare[ADDRESS_MAX + 1];
            if (address_bare(item->valuestring, bare) && !holds_address(recipients, bare)) {
                cJSON_AddItemToArray(recipients, cJSON_CreateString(bare));
            }
        }
    }
    return recipients;
}

const cJSON *outgoing_blocked(const sim_t *sim, const cJSON *recipients, outgoing_kind_t kind)
{
    bool answer = kind == CALL_REPLY || kind == CALL_REPLY_ALL;
    const cJSON *item;
    cJSON_ArrayForEach(item, recipients)
    {
        const cJSON *entry = lists_blocks(sim->lists, "send", item->valuestring);
        if (entry == NULL && answer) {
            entry = lists_blocks(sim->lists, "reply", item->valuestring);
        }
        if (entry != NULL) {
            return entry;
        }
    }
    return NULL;
}

/* Those recipients that are (or are not) NAME@simulator.amazonses.com. */
static cJSON *pick(const cJSON *recipients, const char *name, bool are)
{
    cJSON *picked = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, recipients)
    {
        if (address_is_simulator(item->valuestring, name) == are) {
            cJSON_AddItemToArray(picked, cJSON_CreateString(item->valuestring));
        }
    }
    return picked;
}

/* The service sends nothing more to these addresses. */
static void suppress(sim_t *sim, const cJSON *addresses, const char *reason, int64_t now_ms)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, addresses)
    {
        lists_add(sim->lists, "send", "block", item->valuestring, reason, true, now_ms);
    }
}

static void emit_fate(sim_t *sim, const message_t *message, const cJSON *recipients, int64_t now_ms)
{
    cJSON *bounced = pick(recipients, "bounce", true);
    cJSON *delivered = pick(recipients, "bounce", false);
    cJSON *complained = pick(recipients, "complaint", true);
    event_about(sim, "message.sent", message, cJSON_Duplicate(recipients, true), now_ms);
    if (delivered->child != NULL) {
        event_about(sim, "message.delivered", message, cJSON_Duplicate(delivered, true), now_ms);
    }
    if (bounced->child != NULL) {
        event_bounced(sim, message, bounced, now_ms);
        suppress(sim, bounced, "bounced", now_ms);
    }
    if (complained->child != NULL) {
        event_about(sim, "message.complained", message, cJSON_Duplicate(complained, true), now_ms);
        suppress(sim, complained, "complained", now_ms);
    }
    cJSON_Delete(bounced);
    cJSON_Delete(delivered);
    cJSON_Delete(complained);
}

/* What the receiving inbox gets: everything but the bcc and our labels. */
static void copy_mail(const mail_t *from, mail_t *to)
{
    mail_init(to);
    const struct {
        cJSON **to;
        const cJSON *from;
    } lists[] = {
        {&to->to, from->to},
        {&to->cc, from->cc},
        {&to->reply_to, from->reply_to},
        {&to->references, from->references},
        {&to->headers, from->headers},
    };
    for (size_t at = 0; at < sizeof lists / sizeof *lists; at++) {
        cJSON_Delete(*lists[at].to);
        *lists[at].to = cJSON_Duplicate(lists[at].from, true);
    }
    to->from = memory_text(from->from);
    to->subject = memory_text(from->subject);
    to->text = memory_text(from->text);
    to->html = memory_text(from->html);
    to->message_id = memory_text(from->message_id);
    to->in_reply_to = memory_text(from->in_reply_to);
    mail_copy_attachments(to, from);
}

/* What is left where systems on the way keep neither header fields nor threads. */
static void strip_marks(mail_t *mail)
{
    cJSON_Delete(mail->headers);
    mail->headers = cJSON_CreateObject();
    cJSON_Delete(mail->references);
    mail->references = cJSON_CreateArray();
    free(mail->in_reply_to);
    mail->in_reply_to = NULL;
}

/* The mails of this call that are for inboxes of our own: two automatic answerers can meet. */
static void deliver_here(sim_t *sim, const mail_t *mail, const cJSON *recipients, int64_t now_ms)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, recipients)
    {
        const cJSON *inbox = sim_find_inbox(sim, item->valuestring);
        message_t *message = NULL;
        char *event_id = NULL;
        mail_t copy;
        if (inbox == NULL) {
            continue;
        }
        copy_mail(mail, &copy);
        if (sim->strip_marks) {
            strip_marks(&copy);
        }
        if (incoming_take(sim, item->valuestring, &copy, NULL, NULL, now_ms, &message, &event_id,
                          NULL) == MAILBUS_EEXIST) { /* to itself: the message is there already */
            message = mailbox_find(sim->mailbox, item->valuestring, mail->message_id);
            event_id = event_received(sim, "message.received", NULL, message);
        }
        free(event_id);
        mail_clear(&copy);
    }
}

message_t *outgoing_send(sim_t *sim, const char *inbox_id, mail_t *mail, outgoing_kind_t kind,
                         const char *idempotency_key, int64_t now_ms)
{
    const cJSON *inbox = sim_find_inbox(sim, inbox_id);
    const char *display = mailbus_json_string(inbox, "display_name");
    mailbus_buf_t from = MAILBUS_BUF_INIT;
    if (display != NULL) {
        mailbus_buf_printf(&from, "%s <%s>", display, inbox_id);
    } else {
        mailbus_buf_text(&from, inbox_id);
    }
    mail->from = mailbus_buf_take(&from, NULL);
    mail->message_id = random_message_id(now_ms);
    cJSON_AddItemToArray(mail->labels, cJSON_CreateString("sent"));
    cJSON *recipients = outgoing_recipients(mail);
    mail_t copy;
    copy_mail(mail, &copy);
    message_t *message = mailbox_add(sim->mailbox, inbox_id, mail, now_ms);
    message->sent = true;
    message->call = memory_text(outgoing_kind_name(kind));
    message->idempotency_key = memory_text(idempotency_key);
    mailbox_count_sent(sim->mailbox);
    mb_log(sim->log, MB_INFO, "outgoing", "sent", MB_S("call", message->call),
           MB_S("inbox", inbox_id), MB_S("message_id", message->mail.message_id),
           MB_S("to", recipients->child->valuestring), MB_S("key", idempotency_key));
    emit_fate(sim, message, recipients, now_ms);
    deliver_here(sim, &copy, recipients, now_ms); /* may push the oldest out, never the newest */
    message = mailbox_find(sim->mailbox, inbox_id, copy.message_id);
    mail_clear(&copy);
    cJSON_Delete(recipients);
    return message;
}
