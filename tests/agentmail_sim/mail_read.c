/* Stage: a request's JSON → a mail. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "mail.h"
#include "memory.h"

#include "encoding.h"
#include "mailbus/json.h"

#define HEADER_VALUE_MAX 16384 /* bytes of one header of the caller's */
#define LIST_MAX         1000  /* entries of one array of the request */

static bool has_line_break(const char *text)
{
    return strpbrk(text, "\r\n") != NULL;
}

/* A string, or an array of strings, appended to `list`. */
static mailbus_code_t read_list(const cJSON *request, const char *key, bool addresses, cJSON *list,
                                mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(request, key);
    if (item == NULL || cJSON_IsNull(item)) {
        return MAILBUS_OK;
    }
    bool single = cJSON_IsString(item);
    if (!single && !cJSON_IsArray(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s must be a string or an array of strings",
                            key);
    }
    int count = 0;
    for (const cJSON *entry = single ? item : item->child; entry != NULL;
         entry = single ? NULL : entry->next) {
        char bare[ADDRESS_MAX + 1];
        const char *text = cJSON_GetStringValue(entry);
        if (text == NULL || has_line_break(text) || ++count > LIST_MAX) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "%s must hold strings of one line, at most %d", key, LIST_MAX);
        }
        if (addresses && !address_bare(text, bare)) {
            return mailbus_fail(error, MAILBUS_EINVAL, "%s: '%.100s' is not an address", key, text);
        }
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_text(const cJSON *request, const char *key, bool one_line, char **text,
                                mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(request, key);
    if (item == NULL || cJSON_IsNull(item)) {
        return MAILBUS_OK;
    }
    if (!cJSON_IsString(item) || (one_line && has_line_break(item->valuestring))) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s must be a string%s", key,
                            one_line ? " of one line" : "");
    }
    free(*text);
    *text = memory_text(item->valuestring);
    return MAILBUS_OK;
}

static bool is_header_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f || *at == ':') { /* RFC 5322 §2.2 */
            return false;
        }
    }
    return *name != '\0';
}

static mailbus_code_t read_headers(const cJSON *request, cJSON *headers, mailbus_error_t *error)
{
    const cJSON *object = mailbus_json_item(request, "headers");
    if (object == NULL || cJSON_IsNull(object)) {
        return MAILBUS_OK;
    }
    if (!cJSON_IsObject(object)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "headers must be an object");
    }
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        const char *value = cJSON_GetStringValue(item);
        if (value == NULL || has_line_break(value) || strlen(value) > HEADER_VALUE_MAX ||
            !is_header_name(item->string)) {
            return mailbus_fail(
                error, MAILBUS_EINVAL,
                "headers: '%.60s' must be a header's name with a string of one line", item->string);
        }
        cJSON_AddStringToObject(headers, item->string, value);
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_content(const cJSON *item, attachment_t *attachment,
                                   mailbus_error_t *error)
{
    const char *content = mailbus_json_string(item, "content");
    if (content == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "attachments: content (base64) is missing; url is not taken here");
    }
    size_t size = strlen(content);
    size_t capacity = size / 4 * 3 + 3;
    attachment->data = memory_new(capacity);
    if (mb_base64_decode(content, size, (uint8_t *)attachment->data, capacity, &attachment->size) !=
        MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "attachments: content is not base64");
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_attachments(const cJSON *request, mail_t *self, mailbus_error_t *error)
{
    const cJSON *array = mailbus_json_item(request, "attachments");
    if (array == NULL || cJSON_IsNull(array)) {
        return MAILBUS_OK;
    }
    if (!cJSON_IsArray(array)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "attachments must be an array");
    }
    mailbus_code_t code = MAILBUS_OK;
    for (const cJSON *item = array->child; code == MAILBUS_OK && item != NULL; item = item->next) {
        if (!cJSON_IsObject(item) || self->attachment_count == LIST_MAX) {
            return mailbus_fail(error, MAILBUS_EINVAL, "attachments must hold objects, at most %d",
                                LIST_MAX);
        }
        attachment_t *attachment = mail_add_attachment(self);
        struct {
            const char *key;
            char **text;
        } fields[] = {
            {"filename", &attachment->filename},
            {"content_type", &attachment->content_type},
            {"content_disposition", &attachment->disposition},
            {"content_id", &attachment->content_id},
        };
        for (size_t at = 0; code == MAILBUS_OK && at < sizeof fields / sizeof *fields; at++) {
            code = read_text(item, fields[at].key, true, fields[at].text, error);
        }
        if (code == MAILBUS_OK) {
            code = read_content(item, attachment, error);
        }
        if (attachment->disposition == NULL) {
            attachment->disposition = memory_text("attachment");
        }
    }
    return code;
}

mailbus_code_t mail_read_json(const cJSON *request, bool incoming, mail_t *self,
                              mailbus_error_t *error)
{
    const struct {
        const char *key;
        bool addresses, incoming;
        cJSON *list;
    } lists[] = {
        {"to", true, false, self->to},          {"cc", true, false, self->cc},
        {"bcc", true, false, self->bcc},        {"reply_to", true, false, self->reply_to},
        {"labels", false, false, self->labels}, {"references", false, true, self->references},
    };
    const struct {
        const char *key;
        bool one_line, incoming;
        char **text;
    } texts[] = {
        {"subject", true, false, &self->subject},
        {"text", false, false, &self->text},
        {"html", false, false, &self->html},
        {"from", true, true, &self->from},
        {"in_reply_to", true, true, &self->in_reply_to},
        {"message_id", true, true, &self->message_id},
        {"thread_id", true, true, &self->thread_id},
    };
    mailbus_code_t code = MAILBUS_OK;
    for (size_t at = 0; code == MAILBUS_OK && at < sizeof lists / sizeof *lists; at++) {
        if (incoming || !lists[at].incoming) {
            code = read_list(request, lists[at].key, lists[at].addresses, lists[at].list, error);
        }
    }
    for (size_t at = 0; code == MAILBUS_OK && at < sizeof texts / sizeof *texts; at++) {
        if (incoming || !texts[at].incoming) {
            code = read_text(request, texts[at].key, texts[at].one_line, texts[at].text, error);
        }
    }
    if (code == MAILBUS_OK) {
        code = read_headers(request, self->headers, error);
    }
    return code == MAILBUS_OK ? read_attachments(request, self, error) : code;
}
