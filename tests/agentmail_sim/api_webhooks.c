/* /v0/webhooks */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "mailbus/event.h"
#include "mailbus/json.h"
#include "random_id.h"

static cJSON *find_webhook(call_t *call)
{
    cJSON *webhook;
    cJSON_ArrayForEach(webhook, call->sim->webhooks)
    {
        if (strcmp(mailbus_json_string(webhook, "webhook_id"), call->parts[2]) == 0) {
            return webhook;
        }
    }
    call_error(call, 404, NULL, "there is no webhook %.100s", call->parts[2]);
    return NULL;
}

/* As the API shows it: without the headers, which may hold secrets of the receiver's. */
static cJSON *shown(const cJSON *webhook)
{
    cJSON *copy = cJSON_Duplicate(webhook, true);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "headers");
    return copy;
}

void api_webhooks_list(call_t *call)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON *array = cJSON_CreateArray();
    const cJSON *webhook;
    cJSON_ArrayForEach(webhook, call->sim->webhooks)
    {
        cJSON_AddItemToArray(array, shown(webhook));
    }
    cJSON_AddNumberToObject(tree, "count", cJSON_GetArraySize(array));
    cJSON_AddItemToObject(tree, "webhooks", array);
    call_answer(call, 200, tree);
}

void api_webhooks_get(call_t *call)
{
    const cJSON *webhook = find_webhook(call);
    if (webhook != NULL) {
        call_answer(call, 200, shown(webhook));
    }
}

static bool is_string_array(const cJSON *array)
{
    const cJSON *item;
    if (!cJSON_IsArray(array)) {
        return false;
    }
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item)) {
            return false;
        }
    }
    return true;
}

static bool are_event_types(const cJSON *array)
{
    const cJSON *item;
    if (!is_string_array(array) || array->child == NULL) {
        return false;
    }
    cJSON_ArrayForEach(item, array)
    {
        if (mailbus_topic_check(item->valuestring, strlen(item->valuestring), NULL) != MAILBUS_OK) {
            return false;
        }
    }
    return true;
}

static bool are_headers(const cJSON *object)
{
    const cJSON *item;
    if (!cJSON_IsObject(object)) {
        return false;
    }
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item) || strpbrk(item->valuestring, "\r\n") != NULL ||
            strpbrk(item->string, "\r\n: ") != NULL || *item->string == '\0') {
            return false;
        }
    }
    return true;
}

/* What is wrong with a request to create, or NULL. */
static const char *create_mistake(const cJSON *request)
{
    const char *url = mailbus_json_string(request, "url");
    const cJSON *inbox_ids = mailbus_json_item(request, "inbox_ids");
    const cJSON *pod_ids = mailbus_json_item(request, "pod_ids");
    const cJSON *headers = mailbus_json_item(request, "headers");
    const cJSON *client_id = mailbus_json_item(request, "client_id");
    if (url == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) {
        return "url must begin with http:// or https://";
    }
    if (!are_event_types(mailbus_json_item(request, "event_types"))) {
        return "event_types must be an array of event types, at least one";
    }
    if ((inbox_ids != NULL && !is_string_array(inbox_ids)) ||
        (pod_ids != NULL && !is_string_array(pod_ids))) {
        return "inbox_ids and pod_ids must be arrays of strings";
    }
    if (headers != NULL && !are_headers(headers)) {
        return "headers must be an object of header names with strings of one line";
    }
    return client_id != NULL && !cJSON_IsString(client_id) ? "client_id must be a string" : NULL;
}

static const cJSON *find_client(const sim_t *sim, const char *client_id)
{
    const cJSON *webhook;
    cJSON_ArrayForEach(webhook, sim->webhooks)
    {
        const char *id = mailbus_json_string(webhook, "client_id");
        if (client_id != NULL && id != NULL && strcmp(id, client_id) == 0) {
            return webhook;
        }
    }
    return NULL;
}

void api_webhooks_create(call_t *call)
{
    static const char *const kept[] = {"event_types", "inbox_ids", "pod_ids", "headers",
                                       "client_id"};
    cJSON *request = call_json(call);
    if (request == NULL) {
        return;
    }
    const char *mistake = create_mistake(request);
    const cJSON *there = find_client(call->sim, mailbus_json_string(request, "client_id"));
    if (mistake != NULL) {
        call_error(call, 400, NULL, "%s", mistake);
    } else if (there != NULL) { /* the same client asks again */
        call_answer(call, 200, shown(there));
    } else if (cJSON_GetArraySize(call->sim->webhooks) >= SIM_WEBHOOKS_MAX) {
        call_error(call, 403, "limit_exceeded", "there are %d webhooks already", SIM_WEBHOOKS_MAX);
    } else {
        char *secret = random_webhook_secret();
        cJSON *webhook =
            sim_add_webhook(call->sim, mailbus_json_string(request, "url"), secret, call->now_ms);
        for (size_t at = 0; at < sizeof kept / sizeof *kept; at++) {
            const cJSON *item = mailbus_json_item(request, kept[at]);
            if (item != NULL) {
                cJSON_AddItemToObject(webhook, kept[at], cJSON_Duplicate(item, true));
            }
        }
        free(secret);
        call_answer(call, 200, shown(webhook));
    }
    cJSON_Delete(request);
}

static void remove_all(cJSON *array, const cJSON *texts)
{
    const cJSON *text;
    cJSON_ArrayForEach(text, texts)
    {
        for (cJSON *item = array->child, *next; item != NULL; item = next) {
            next = item->next;
            if (strcmp(item->valuestring, text->valuestring) == 0) {
                cJSON_Delete(cJSON_DetachItemViaPointer(array, item));
            }
        }
    }
}

/* {add|remove}_{inbox|pod}_ids change the array under `key`. */
static void change_ids(cJSON *webhook, const char *key, const cJSON *add, const cJSON *remove)
{
    if (add == NULL && remove == NULL) {
        return;
    }
    cJSON *array = cJSON_GetObjectItemCaseSensitive(webhook, key);
    if (array == NULL) {
        array = cJSON_AddArrayToObject(webhook, key);
    }
    remove_all(array, add); /* each once */
    remove_all(array, remove);
    const cJSON *item;
    cJSON_ArrayForEach(item, add)
    {
        cJSON_AddItemToArray(array, cJSON_CreateString(item->valuestring));
    }
}

void api_webhooks_update(call_t *call)
{
    cJSON *webhook = find_webhook(call);
    cJSON *request = webhook != NULL ? call_json(call) : NULL;
    if (request == NULL) {
        return;
    }
    static const char *const ids[] = {"add_inbox_ids", "remove_inbox_ids", "add_pod_ids",
                                      "remove_pod_ids"};
    const cJSON *items[4];
    const cJSON *types = mailbus_json_item(request, "event_types");
    for (size_t at = 0; at < 4; at++) {
        items[at] = mailbus_json_item(request, ids[at]);
        if (items[at] != NULL && !is_string_array(items[at])) {
            call_error(call, 400, NULL, "%s must be an array of strings", ids[at]);
            goto out;
        }
    }
    if (types != NULL && !are_event_types(types)) {
        call_error(call, 400, NULL, "event_types must be an array of event types, at least one");
        goto out;
    }
    if (types != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(webhook, "event_types");
        cJSON_AddItemToObject(webhook, "event_types", cJSON_Duplicate(types, true));
    }
    change_ids(webhook, "inbox_ids", items[0], items[1]);
    change_ids(webhook, "pod_ids", items[2], items[3]);
    call_answer(call, 200, shown(webhook));
out:
    cJSON_Delete(request);
}

void api_webhooks_delete(call_t *call)
{
    cJSON *webhook = find_webhook(call);
    if (webhook != NULL) {
        delivery_cancel(call->sim->delivery, mailbus_json_string(webhook, "webhook_id"));
        cJSON_Delete(cJSON_DetachItemViaPointer(call->sim->webhooks, webhook));
        call_answer_text(call, 204, "application/json", "");
    }
}
