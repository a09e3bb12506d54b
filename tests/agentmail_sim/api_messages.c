/* /v0/inboxes/{inbox}/messages but for those calls that send, and /files, where the bytes are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "memory.h"

#define URL_LIFE_MS (3600LL * 1000) /* of a download_url, as at the service */

void api_messages_get(call_t *call)
{
    const char *inbox_id = call_inbox(call);
    message_t *message = inbox_id != NULL ? call_message(call, inbox_id) : NULL;
    if (message != NULL) {
        call_answer(call, 200, message_json(message, true));
    }
}

/* The `labels` of a query: a JSON array as the SDK sends it, or one label. NULL: all. */
static cJSON *wanted_labels(const call_t *call)
{
    const char *text = mb_http_query(call->request, "labels");
    cJSON *labels = NULL;
    if (text == NULL) {
        return NULL;
    }
    if (mailbus_json_parse(text, strlen(text), &labels, NULL) == MAILBUS_OK &&
        cJSON_IsArray(labels)) {
        return labels;
    }
    cJSON_Delete(labels);
    labels = cJSON_CreateArray();
    cJSON_AddItemToArray(labels, cJSON_CreateString(text));
    return labels;
}

static bool has_all(const cJSON *labels, const cJSON *wanted)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, wanted)
    {
        bool found = false;
        const cJSON *label;
        cJSON_ArrayForEach(label, labels)
        {
            found =
                found || (cJSON_IsString(one) && strcmp(label->valuestring, one->valuestring) == 0);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

void api_messages_list(call_t *call)
{
    enum { LIMIT_USUAL = 20, LIMIT_MAX = 100 };
    const char *inbox_id = call_inbox(call);
    size_t limit = inbox_id != NULL ? call_limit(call, "limit", LIMIT_USUAL, LIMIT_MAX) : 0;
    size_t token = limit > 0 ? call_limit(call, "page_token", 1, MAILBOX_MESSAGES_MAX) : 0;
    if (token == 0) {
        return;
    }
    const char *ascending = mb_http_query(call->request, "ascending");
    bool newest_first = ascending == NULL || strcmp(ascending, "true") != 0;
    cJSON *labels = wanted_labels(call);
    const message_t **found = NULL;
    size_t count = 0;
    size_t capacity = 0;
    for (const message_t *at = mailbox_first(call->sim->mailbox); at != NULL; at = at->next) {
        if (strcmp(at->inbox_id, inbox_id) == 0 && has_all(at->mail.labels, labels)) {
            if (count == capacity) {
                capacity = capacity == 0 ? 64 : capacity * 2;
                found = memory_grow(found, capacity, sizeof(const message_t *));
            }
            found[count++] = at;
        }
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON *array = cJSON_CreateArray();
    size_t at = token - 1; /* the token is the number of the first one to show, from 1 */
    for (; at < count && at < token - 1 + limit; at++) {
        const message_t *message = found[newest_first ? count - 1 - at : at];
        cJSON_AddItemToArray(array, message_json(message, false));
    }
    cJSON_AddNumberToObject(tree, "count", cJSON_GetArraySize(array));
    cJSON_AddNumberToObject(tree, "limit", (double)limit);
    if (at < count) {
        char next[32];
        snprintf(next, sizeof next, "%zu", at + 1);
        cJSON_AddStringToObject(tree, "next_page_token", next);
    }
    cJSON_AddItemToObject(tree, "messages", array);
    free(found);
    cJSON_Delete(labels);
    call_answer(call, 200, tree);
}

static bool read_labels(const cJSON *request, const char *key, const cJSON **ret_labels)
{
    const cJSON *labels = mailbus_json_item(request, key);
    const cJSON *item;
    *ret_labels = labels;
    if (labels != NULL && !cJSON_IsArray(labels)) {
        return false;
    }
    cJSON_ArrayForEach(item, labels)
    {
        if (!cJSON_IsString(item) || *item->valuestring == '\0') {
            return false;
        }
    }
    return true;
}

void api_messages_update(call_t *call)
{
    const char *inbox_id = call_inbox(call);
    message_t *message = inbox_id != NULL ? call_message(call, inbox_id) : NULL;
    cJSON *request = message != NULL ? call_json(call) : NULL;
    if (request == NULL) {
        return;
    }
    const cJSON *add = NULL;
    const cJSON *remove = NULL;
    if (!read_labels(request, "add_labels", &add) ||
        !read_labels(request, "remove_labels", &remove)) {
        call_error(call, 400, NULL, "add_labels and remove_labels must be arrays of strings");
    } else {
        message_label(message, add, remove, call->now_ms);
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "message_id", message->mail.message_id);
        cJSON_AddItemToObject(tree, "labels", cJSON_Duplicate(message->mail.labels, true));
        call_answer(call, 200, tree);
    }
    cJSON_Delete(request);
}

/* Add download_url and expires_at: the bytes are behind it without an API key. */
static void add_url(const call_t *call, const message_t *message, const char *path, cJSON *tree)
{
    char base[320];
    char expires[MAILBUS_TIME_SIZE];
    mailbus_buf_t url = MAILBUS_BUF_INIT;
    int64_t end_ms = call->now_ms + URL_LIFE_MS;
    call_base_url(call, base, sizeof base);
    mailbus_buf_printf(&url, "%s/files/%s/%s?expires=%lld", base, message->token, path,
                       (long long)end_ms);
    cJSON_AddStringToObject(tree, "download_url", url.data);
    mailbus_buf_free(&url);
    mailbus_time_format(end_ms, expires);
    cJSON_AddStringToObject(tree, "expires_at", expires);
}

void api_messages_raw(call_t *call)
{
    const char *inbox_id = call_inbox(call);
    const message_t *message = inbox_id != NULL ? call_message(call, inbox_id) : NULL;
    if (message == NULL) {
        return;
    }
    mailbus_buf_t raw = MAILBUS_BUF_INIT;
    message_raw(message, &raw);
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "message_id", message->mail.message_id);
    cJSON_AddNumberToObject(tree, "size", (double)raw.size);
    add_url(call, message, "raw", tree);
    mailbus_buf_free(&raw);
    call_answer(call, 200, tree);
}

static const attachment_t *find_attachment(const message_t *message, const char *id)
{
    for (size_t at = 0; at < message->mail.attachment_count; at++) {
        if (strcmp(message->mail.attachments[at].id, id) == 0) {
            return &message->mail.attachments[at];
        }
    }
    return NULL;
}

void api_messages_attachment(call_t *call)
{
    const char *inbox_id = call_inbox(call);
    const message_t *message = inbox_id != NULL ? call_message(call, inbox_id) : NULL;
    if (message == NULL) {
        return;
    }
    const attachment_t *attachment = find_attachment(message, call->parts[6]);
    if (attachment == NULL) {
        call_error(call, 404, NULL, "the message has no attachment %.100s", call->parts[6]);
        return;
    }
    char path[64];
    cJSON *tree = mail_attachment_json(attachment);
    snprintf(path, sizeof path, "attachments/%s", attachment->id);
    add_url(call, message, path, tree);
    call_answer(call, 200, tree);
}

/* The message behind /files/{token}; NULL: answered. */
static const message_t *file_message(call_t *call)
{
    const message_t *message = mailbox_find_token(call->sim->mailbox, call->parts[1]);
    const char *expires = mb_http_query(call->request, "expires");
    if (message == NULL) {
        call_error(call, 404, NULL, "there is no such file");
        return NULL;
    }
    if (expires == NULL || strtoll(expires, NULL, 10) < call->now_ms) {
        call_error(call, 403, "expired", "the URL has expired: ask the API for a new one");
        return NULL;
    }
    return message;
}

void api_files_raw(call_t *call)
{
    const message_t *message = file_message(call);
    if (message != NULL) {
        call->response->content_type = "message/rfc822";
        message_raw(message, &call->response->body);
    }
}

void api_files_attachment(call_t *call)
{
    const message_t *message = file_message(call);
    const attachment_t *attachment =
        message != NULL ? find_attachment(message, call->parts[3]) : NULL;
    if (attachment != NULL) { /* never as the type the mail claims: nothing is to run here */
        call->response->content_type = "application/octet-stream";
        mailbus_buf_append(&call->response->body, attachment->data, attachment->size);
    } else if (message != NULL) {
        call_error(call, 404, NULL, "there is no such file");
    }
}
