#include "mail.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"
#include "random_id.h"

void mail_init(mail_t *self)
{
    *self = (mail_t){
        .to = cJSON_CreateArray(),
        .cc = cJSON_CreateArray(),
        .bcc = cJSON_CreateArray(),
        .reply_to = cJSON_CreateArray(),
        .references = cJSON_CreateArray(),
        .labels = cJSON_CreateArray(),
        .headers = cJSON_CreateObject(),
    };
}

void mail_clear(mail_t *self)
{
    for (size_t at = 0; at < self->attachment_count; at++) {
        attachment_t *attachment = &self->attachments[at];
        free(attachment->id);
        free(attachment->filename);
        free(attachment->content_type);
        free(attachment->disposition);
        free(attachment->content_id);
        free(attachment->data);
    }
    free(self->attachments);
    free(self->from);
    free(self->subject);
    free(self->text);
    free(self->html);
    free(self->message_id);
    free(self->in_reply_to);
    free(self->thread_id);
    free(self->raw);
    cJSON_Delete(self->to);
    cJSON_Delete(self->cc);
    cJSON_Delete(self->bcc);
    cJSON_Delete(self->reply_to);
    cJSON_Delete(self->references);
    cJSON_Delete(self->labels);
    cJSON_Delete(self->headers);
    memset(self, 0, sizeof *self);
}

attachment_t *mail_add_attachment(mail_t *self)
{
    self->attachments =
        memory_grow(self->attachments, self->attachment_count + 1, sizeof *self->attachments);
    attachment_t *attachment = &self->attachments[self->attachment_count++];
    *attachment = (attachment_t){.id = random_uuid()};
    return attachment;
}

void mail_copy_attachments(mail_t *self, const mail_t *from)
{
    for (size_t at = 0; at < from->attachment_count; at++) {
        const attachment_t *old = &from->attachments[at];
        attachment_t *copy = mail_add_attachment(self);
        copy->filename = memory_text(old->filename);
        copy->content_type = memory_text(old->content_type);
        copy->disposition = memory_text(old->disposition);
        copy->content_id = memory_text(old->content_id);
        copy->data = memory_copy(old->data, old->size);
        copy->size = old->size;
    }
}

cJSON *mail_attachment_json(const attachment_t *attachment)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "attachment_id", attachment->id);
    cJSON_AddNumberToObject(json, "size", (double)attachment->size);
    const char *const fields[][2] = {
        {"filename", attachment->filename},
        {"content_type", attachment->content_type},
        {"content_disposition", attachment->disposition},
        {"content_id", attachment->content_id},
    };
    for (size_t at = 0; at < sizeof fields / sizeof *fields; at++) {
        if (fields[at][1] != NULL) {
            cJSON_AddStringToObject(json, fields[at][0], fields[at][1]);
        }
    }
    return json;
}

const char *mail_header(const mail_t *self, const char *name)
{
    return cJSON_GetStringValue(
        cJSON_GetObjectItem(self->headers, name)); /* any case, on purpose */
}
