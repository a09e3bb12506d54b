#include "incoming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "event.h"
#include "memory.h"
#include "random_id.h"

static void add_label(cJSON *labels, const char *label)
{
    cJSON_AddItemToArray(labels, cJSON_CreateString(label));
}

/* The labels that the service gives to a mail of this event type. */
static void label_by_type(mail_t *mail, const char *event_type)
{
    static const char usual[] = "message.received";
    const char *variant = event_type + sizeof usual - 1;
    if (strncmp(event_type, usual, sizeof usual - 1) == 0 && *variant == '.') {
        add_label(mail->labels, variant + 1);
    } else {
        add_label(mail->labels, "received");
        add_label(mail->labels, "unread");
    }
}

/* An id in angle brackets, made up where the mail has none. */
static void complete_message_id(mail_t *mail)
{
    char *old = mail->message_id;
    mailbus_buf_t id = MAILBUS_BUF_INIT;
    if (old == NULL) {
        char *uuid = random_uuid();
        mailbus_buf_printf(&id, "<%s@mail.local>", uuid);
        free(uuid);
    } else if (old[0] == '<') {
        return;
    } else {
        mailbus_buf_printf(&id, "<%s>", old);
    }
    mail->message_id = mailbus_buf_take(&id, NULL);
    free(old);
}

/* What every mail has got by the time it lies in an inbox. */
static void complete_headers(mail_t *mail)
{
    char bare[ADDRESS_MAX + 1];
    if (mail_header(mail, "Message-ID") == NULL) {
        cJSON_AddStringToObject(mail->headers, "Message-ID", mail->message_id);
    }
    if (mail_header(mail, "Return-Path") == NULL && mail->raw == NULL && mail->from != NULL &&
        address_bare(mail->from, bare)) {
        char path[ADDRESS_MAX + 3];
        snprintf(path, sizeof path, "<%s>", bare);
        cJSON_AddStringToObject(mail->headers, "Return-Path", path);
    }
}

mailbus_code_t incoming_take(sim_t *sim, const char *inbox_id, mail_t *mail, const char *event_type,
                             const char *event_id, int64_t now_ms, message_t **ret_message,
                             char **ret_event_id, mailbus_error_t *error)
{
    if (event_type == NULL) {
        bool blocked =
            mail->from != NULL && lists_blocks(sim->lists, "receive", mail->from) != NULL;
        event_type = blocked ? "message.received.blocked" : "message.received";
    }
    complete_message_id(mail);
    if (mailbox_find(sim->mailbox, inbox_id, mail->message_id) != NULL) {
        return mailbus_fail(error, MAILBUS_EEXIST, "%.60s has a message %.150s already", inbox_id,
                            mail->message_id);
    }
    complete_headers(mail);
    label_by_type(mail, event_type);
    sim_inbox(sim, inbox_id, now_ms);
    message_t *message = mailbox_add(sim->mailbox, inbox_id, mail, now_ms);
    message->thread->received_ms = now_ms;
    *ret_event_id = event_received(sim, event_type, event_id, message);
    *ret_message = message;
    return MAILBUS_OK;
}
