#include "agentmail/message.h"

#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"

enum {
    STRINGS_MAX = 10000, /* labels or references of one mail: RFC 5322 sets no limit, memory does */
    ATTACHMENTS_MAX = 10000 /* parts of one mail */
};

/* "" is as good as absent: the service leaves empty fields out. */
static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = mailbus_json_string(object, key);
    return text == NULL || text[0] == '\0' ? NULL : text;
}

/* The strings of an array, or the one string; other types are skipped. */
static mailbus_code_t read_strings(const cJSON *item, const char ***ret_strings, size_t *ret_count,
                                   mailbus_error_t *error)
{
    size_t room = cJSON_IsString(item)  ? 1
                  : cJSON_IsArray(item) ? (size_t)cJSON_GetArraySize(item)
                                        : 0;
    if (room == 0) {
        return MAILBUS_OK;
    }
    if (room > STRINGS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "a list of %zu strings in a message", room);
    }
    const char **strings = calloc(room, sizeof *strings);
    if (strings == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    size_t count = 0;
    for (const cJSON *entry = cJSON_IsString(item) ? item : item->child; entry != NULL;
         entry = cJSON_IsString(item) ? NULL : entry->next) {
        if (cJSON_IsString(entry)) {
            strings[count++] = entry->valuestring;
        }
    }
    *ret_strings = strings;
    *ret_count = count;
    return MAILBUS_OK;
}

static agentmail_attachment_t read_attachment(const cJSON *entry)
{
    const cJSON *size = mailbus_json_item(entry, "size");
    const char *disposition = text_of(entry, "content_disposition");
    return (agentmail_attachment_t){
        .id = text_of(entry, "attachment_id"),
        .filename = text_of(entry, "filename"),
        .content_type = text_of(entry, "content_type"),
        .content_id = text_of(entry, "content_id"),
        .content = text_of(entry, "content"),
        .is_inline = cJSON_IsTrue(mailbus_json_item(entry, "inline")) ||
                     (disposition != NULL && strcmp(disposition, "inline") == 0),
        .size = cJSON_IsNumber(size) && size->valuedouble >= 0 ? size->valuedouble : -1,
    };
}

static mailbus_code_t read_attachments(const cJSON *item, agentmail_message_t *message,
                                       mailbus_error_t *error)
{
    size_t room = cJSON_IsArray(item) ? (size_t)cJSON_GetArraySize(item) : 0;
    if (room == 0) {
        return MAILBUS_OK;
    }
    if (room > ATTACHMENTS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "%zu attachments in one message", room);
    }
    message->attachments = calloc(room, sizeof *message->attachments);
    if (message->attachments == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, item)
    {
        if (cJSON_IsObject(entry)) {
            message->attachments[message->attachment_count++] = read_attachment(entry);
        }
    }
    return MAILBUS_OK;
}

/* `from` or, where it is absent or empty, `from_`. */
static const cJSON *sender_item(const cJSON *tree)
{
    const cJSON *from = mailbus_json_item(tree, "from");
    bool empty = from == NULL || cJSON_IsNull(from) ||
                 (cJSON_IsArray(from) && from->child == NULL) ||
                 (cJSON_IsString(from) && from->valuestring[0] == '\0');
    return empty ? mailbus_json_item(tree, "from_") : from;
}

/* Broken entries are left out; only running out of memory or bounds is an error. */
static mailbus_code_t read_addresses(const cJSON *item, agentmail_addresses_t *list,
                                     bool *ret_broken, mailbus_error_t *error)
{
    mailbus_code_t code = agentmail_address_read(item, list, error);
    if (code == MAILBUS_EINVAL) {
        *ret_broken = true;
        return MAILBUS_OK;
    }
    return code;
}

static mailbus_code_t read_lists(const cJSON *object, agentmail_message_t *message,
                                 mailbus_error_t *error)
{
    bool ignored = false;
    const struct {
        const cJSON *item;
        agentmail_addresses_t *list;
        bool *broken;
    } fields[] = {
        {sender_item(object), &message->from, &message->from_broken},
        {mailbus_json_item(object, "to"), &message->to, &ignored},
        {mailbus_json_item(object, "cc"), &message->cc, &ignored},
        {mailbus_json_item(object, "bcc"), &message->bcc, &ignored},
        {mailbus_json_item(object, "reply_to"), &message->reply_to, &message->reply_to_broken},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        mailbus_code_t code =
            read_addresses(fields[i].item, fields[i].list, fields[i].broken, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    mailbus_code_t code = read_strings(mailbus_json_item(object, "labels"), &message->labels,
                                       &message->label_count, error);
    if (code == MAILBUS_OK) {
        code = read_strings(mailbus_json_item(object, "references"), &message->references,
                            &message->reference_count, error);
    }
    const cJSON *headers = mailbus_json_item(object, "headers");
    if (code == MAILBUS_OK && headers != NULL && !cJSON_IsNull(headers)) {
        code = agentmail_headers_read(headers, &message->headers, error);
        message->has_headers = code == MAILBUS_OK;
        if (code == MAILBUS_EINVAL) { /* as good as absent: the raw message has them */
            agentmail_headers_free(&message->headers);
            code = MAILBUS_OK;
        }
    }
    return code != MAILBUS_OK
               ? code
               : read_attachments(mailbus_json_item(object, "attachments"), message, error);
}

static bool is_absent(const cJSON *object, const char *key)
{
    const cJSON *item = mailbus_json_item(object, key);
    return item == NULL || cJSON_IsNull(item);
}

static void read_texts(const cJSON *object, agentmail_message_t *message)
{
    message->inbox_id = text_of(object, "inbox_id");
    message->message_id = text_of(object, "message_id");
    message->thread_id = text_of(object, "thread_id");
    message->timestamp = text_of(object, "timestamp");
    message->subject = text_of(object, "subject");
    message->preview = text_of(object, "preview");
    message->text = text_of(object, "text");
    message->html = text_of(object, "html");
    message->extracted_text = text_of(object, "extracted_text");
    message->extracted_html = text_of(object, "extracted_html");
    message->in_reply_to = text_of(object, "in_reply_to");
    message->body_absent = is_absent(object, "text") && is_absent(object, "html");
}

mailbus_code_t agentmail_message_read(const char *body, size_t size,
                                      agentmail_message_t **ret_message, mailbus_error_t *error)
{
    agentmail_message_t *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = mailbus_json_parse_object(body, size, &message->tree, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    const cJSON *object = mailbus_json_item(message->tree, "message");
    object = cJSON_IsObject(object) ? object : message->tree;
    read_texts(object, message);
    if (message->inbox_id == NULL || message->message_id == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "a message without \"%s\"",
                            message->inbox_id == NULL ? "inbox_id" : "message_id");
        goto out;
    }
    code = read_lists(object, message, error);
    if (code == MAILBUS_OK) {
        *ret_message = message;
        message = NULL;
    }
out:
    agentmail_message_free(&message);
    return code;
}

/* Moves the member into the message's tree, which owns its strings. A document may hold "text"
 * already (null, or ""): the strings are looked at through the item. */
static const char *take_text(agentmail_message_t *message, cJSON *answer, const char *key)
{
    if (text_of(answer, key) == NULL) {
        return NULL;
    }
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(answer, key);
    if (!cJSON_AddItemToObject(message->tree, key, item)) {
        cJSON_Delete(item);
        return NULL;
    }
    return item->valuestring;
}

void agentmail_message_take_body(agentmail_message_t *message, cJSON *answer)
{
    message->text = take_text(message, answer, "text");
    message->html = take_text(message, answer, "html");
    message->body_absent = false;
}

void agentmail_message_free(agentmail_message_t **message_p)
{
    agentmail_message_t *message = *message_p;
    if (message == NULL) {
        return;
    }
    agentmail_addresses_free(&message->from);
    agentmail_addresses_free(&message->to);
    agentmail_addresses_free(&message->cc);
    agentmail_addresses_free(&message->bcc);
    agentmail_addresses_free(&message->reply_to);
    agentmail_headers_free(&message->headers);
    free(message->labels);
    free(message->references);
    free(message->attachments);
    cJSON_Delete(message->tree);
    free(message);
    *message_p = NULL;
}
