/* Stage: a message → JSON, with the keys that the service has; what is empty is left out. */
#include <stdlib.h>
#include <string.h>

#include "mailbox.h"
#include "memory.h"

#include "mailbus/replay.h"

enum { PREVIEW_MAX = 200 };

static void add_time(cJSON *json, const char *key, int64_t ms)
{
    char text[MAILBUS_TIME_SIZE];
    mailbus_time_format(ms, text);
    cJSON_AddStringToObject(json, key, text);
}

static void add_text(cJSON *json, const char *key, const char *text)
{
    if (text != NULL) {
        cJSON_AddStringToObject(json, key, text);
    }
}

static void add_array(cJSON *json, const char *key, const cJSON *array)
{
    if (cJSON_GetArraySize(array) > 0) {
        cJSON_AddItemToObject(json, key, cJSON_Duplicate(array, true));
    }
}

/* The first words of a text on one line, never cut inside a UTF-8 character. */
static void add_preview(cJSON *json, const char *text)
{
    char preview[PREVIEW_MAX + 1];
    size_t size = 0;
    bool blank = true;
    for (; text != NULL && *text != '\0' && size < PREVIEW_MAX; text++) {
        bool space = *text == ' ' || *text == '\n' || *text == '\r' || *text == '\t';
        if (!space || !blank) {
            preview[size++] = space ? ' ' : *text;
        }
        blank = space;
    }
    if (text != NULL && *text != '\0') {
        while (size > 0 && ((unsigned char)*text & 0xc0) == 0x80) {
            text--;
            size--;
        }
    }
    while (size > 0 && preview[size - 1] == ' ') {
        size--;
    }
    preview[size] = '\0';
    if (size > 0) {
        cJSON_AddStringToObject(json, "preview", preview);
    }
}

/* The text without the history that mail programs quote below an answer. */
static void add_extracted(cJSON *json, const char *text)
{
    const char *line = text;
    size_t size = 0;
    while (line != NULL && *line != '\0') {
        size_t length = strcspn(line, "\n");
        size_t shown = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
        bool quote = *line == '>';
        bool intro = shown > 10 && strncmp(line, "On ", 3) == 0 &&
                     strncmp(line + shown - 6, "wrote:", 6) == 0;
        if (quote || intro) {
            break;
        }
        line += length + (line[length] == '\n');
        size = (size_t)(line - text);
    }
    while (size > 0 &&
           (text[size - 1] == '\n' || text[size - 1] == '\r' || text[size - 1] == ' ')) {
        size--;
    }
    if (size > 0) {
        char *extracted = memory_copy(text, size);
        cJSON_AddStringToObject(json, "extracted_text", extracted);
        free(extracted);
    }
}

static void add_attachments(cJSON *json, const mail_t *mail)
{
    if (mail->attachment_count == 0) {
        return;
    }
    cJSON *array = cJSON_AddArrayToObject(json, "attachments");
    for (size_t at = 0; at < mail->attachment_count; at++) {
        cJSON_AddItemToArray(array, mail_attachment_json(&mail->attachments[at]));
    }
}

cJSON *message_json(const message_t *message, bool with_bodies)
{
    const mail_t *mail = &message->mail;
    cJSON *json = cJSON_CreateObject();
    add_text(json, "inbox_id", message->inbox_id);
    add_text(json, "thread_id", message->thread->id);
    add_text(json, "message_id", mail->message_id);
    cJSON_AddItemToObject(json, "labels", cJSON_Duplicate(mail->labels, true));
    add_time(json, "timestamp", message->created_ms);
    add_text(json, "from", mail->from);
    cJSON_AddItemToObject(json, "to", cJSON_Duplicate(mail->to, true));
    add_array(json, "cc", mail->cc);
    add_array(json, "bcc", mail->bcc);
    add_array(json, "reply_to", mail->reply_to);
    add_text(json, "subject", mail->subject);
    add_preview(json, mail->text);
    if (with_bodies) {
        add_text(json, "text", mail->text);
        add_text(json, "html", mail->html);
        add_extracted(json, mail->text);
        add_text(json, "extracted_html", mail->html);
    }
    add_attachments(json, mail);
    add_text(json, "in_reply_to", mail->in_reply_to);
    add_array(json, "references", mail->references);
    if (mail->headers->child != NULL) {
        cJSON_AddItemToObject(json, "headers", cJSON_Duplicate(mail->headers, true));
    }
    cJSON_AddNumberToObject(json, "size", (double)message->size);
    add_time(json, "updated_at", message->updated_ms);
    add_time(json, "created_at", message->created_ms);
    return json;
}

cJSON *message_thread_json(const message_t *message)
{
    const thread_t *thread = message->thread;
    cJSON *json = cJSON_CreateObject();
    add_text(json, "inbox_id", message->inbox_id);
    add_text(json, "thread_id", thread->id);
    cJSON_AddItemToObject(json, "labels", cJSON_Duplicate(message->mail.labels, true));
    add_time(json, "timestamp", message->created_ms);
    if (thread->received_ms != 0) {
        add_time(json, "received_timestamp", thread->received_ms);
    }
    cJSON_AddItemToObject(json, "senders", cJSON_Duplicate(thread->senders, true));
    cJSON_AddItemToObject(json, "recipients", cJSON_Duplicate(thread->recipients, true));
    add_text(json, "subject", thread->subject);
    add_preview(json, message->mail.text);
    add_text(json, "last_message_id", thread->last_message_id);
    cJSON_AddNumberToObject(json, "message_count", (double)thread->messages);
    cJSON_AddNumberToObject(json, "size", (double)thread->size);
    add_time(json, "updated_at", message->updated_ms);
    add_time(json, "created_at", thread->created_ms);
    add_attachments(json, &message->mail);
    return json;
}
