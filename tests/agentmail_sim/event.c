#include "event.h"

#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "memory.h"
#include "random_id.h"
#include "webhook_signature.h"

bool event_has_room(sim_t *sim, size_t events, size_t bytes_each)
{
    size_t count = events * (size_t)cJSON_GetArraySize(sim->webhooks);
    return delivery_has_room(sim->delivery, count, count * bytes_each);
}

static bool array_allows(const cJSON *array, const char *text)
{
    if (array == NULL || array->child == NULL) { /* no filter */
        return true;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (text != NULL && strcmp(item->valuestring, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Hand `event` to the webhooks that are enabled and want this type and inbox. */
static size_t deliver(sim_t *sim, const delivery_event_t *event, const char *inbox_id, bool filter,
                      bool guide)
{
    size_t count = 0;
    const cJSON *webhook;
    cJSON_ArrayForEach(webhook, sim->webhooks)
    {
        const char *secret = mailbus_json_string(webhook, "secret");
        mb_webhook_key_t key;
        if (!cJSON_IsTrue(mailbus_json_item(webhook, "enabled")) ||
            (filter &&
             (!array_allows(mailbus_json_item(webhook, "event_types"), event->event_type) ||
              !array_allows(mailbus_json_item(webhook, "inbox_ids"), inbox_id)))) {
            continue;
        }
        delivery_target_t target = {
            .webhook_id = mailbus_json_string(webhook, "webhook_id"),
            .url = mailbus_json_string(webhook, "url"),
            .secret = secret,
            .guide = guide || mb_webhook_key_parse(secret, &key, NULL) != MAILBUS_OK,
            .headers = mailbus_json_item(webhook, "headers"),
        };
        delivery_add(sim->delivery, &target, event);
        count++;
    }
    return count;
}

static void leave_out(cJSON *message)
{
    static const char *const keys[] = {"text", "html", "extracted_text", "extracted_html"};
    for (size_t at = 0; at < sizeof keys / sizeof *keys; at++) {
        cJSON_DeleteItemFromObjectCaseSensitive(message, keys[at]);
    }
}

/* Complete, print and deliver an event; takes `payload`, stored under `key`. */
static char *emit(sim_t *sim, const char *event_type, const char *event_id, const char *inbox_id,
                  const char *key, cJSON *payload, cJSON *thread)
{
    char *id = event_id != NULL ? memory_text(event_id) : random_hex("evt_", 24);
    char *delivery_id = random_base62("msg_", 27);
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "type", "event");
    cJSON_AddStringToObject(event, "event_type", event_type);
    cJSON_AddStringToObject(event, "event_id", id);
    cJSON_AddItemToObject(event, key, payload);
    if (thread != NULL) {
        cJSON_AddItemToObject(event, "thread", thread);
    }
    char *body = cJSON_PrintUnformatted(event);
    if (strlen(body) > EVENT_BODY_MAX) {
        leave_out(payload);
        free(body);
        body = cJSON_PrintUnformatted(event);
    }
    const delivery_event_t out = {delivery_id, event_type, id, body, strlen(body)};
    size_t count = deliver(sim, &out, inbox_id, true, false);
    mb_log(sim->log, MB_INFO, "event", "emitted", MB_S("id", id), MB_S("topic", event_type),
           MB_S("inbox", inbox_id), MB_U("webhooks", count));
    free(body);
    free(delivery_id);
    cJSON_Delete(event);
    return id;
}

char *event_received(sim_t *sim, const char *event_type, const char *event_id,
                     const message_t *message)
{
    return emit(sim, event_type, event_id, message->inbox_id, "message",
                message_json(message, true), message_thread_json(message));
}

static cJSON *about(const message_t *message, int64_t now_ms)
{
    char time[MAILBUS_TIME_SIZE];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "inbox_id", message->inbox_id);
    cJSON_AddStringToObject(json, "thread_id", message->thread->id);
    cJSON_AddStringToObject(json, "message_id", message->mail.message_id);
    mailbus_time_format(now_ms, time);
    cJSON_AddStringToObject(json, "timestamp", time);
    return json;
}

void event_about(sim_t *sim, const char *event_type, const message_t *message, cJSON *recipients,
                 int64_t now_ms)
{
    bool complaint = strcmp(event_type, "message.complained") == 0;
    const char *key = strcmp(event_type, "message.sent") == 0 ? "send"
                      : complaint                             ? "complaint"
                                                              : "delivery";
    cJSON *payload = about(message, now_ms);
    if (complaint) {
        cJSON_AddStringToObject(payload, "type", "abuse");
        cJSON_AddStringToObject(payload, "sub_type", "spam");
    }
    cJSON_AddItemToObject(payload, "recipients", recipients);
    free(emit(sim, event_type, NULL, message->inbox_id, key, payload, NULL));
}

void event_bounced(sim_t *sim, const message_t *message, const cJSON *recipients, int64_t now_ms)
{
    cJSON *payload = about(message, now_ms);
    cJSON_AddStringToObject(payload, "type", "Permanent");
    cJSON_AddStringToObject(payload, "sub_type", "General");
    cJSON *array = cJSON_AddArrayToObject(payload, "recipients");
    const cJSON *item;
    cJSON_ArrayForEach(item, recipients)
    {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "address", item->valuestring);
        cJSON_AddStringToObject(entry, "status", "bounced");
        cJSON_AddItemToArray(array, entry);
    }
    free(emit(sim, "message.bounced", NULL, message->inbox_id, "bounce", payload, NULL));
}

size_t event_raw(sim_t *sim, const char *delivery_id, const void *body, size_t size, bool guide)
{
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse(body, size, &tree, NULL);
    const char *type = code == MAILBUS_OK ? mailbus_json_string(tree, "event_type") : NULL;
    const char *id = code == MAILBUS_OK ? mailbus_json_string(tree, "event_id") : NULL;
    const delivery_event_t out = {
        .id = delivery_id,
        .event_type = type != NULL ? type : "",
        .event_id = id != NULL ? id : "",
        .body = body,
        .size = size,
    };
    size_t count = deliver(sim, &out, NULL, false, guide);
    mb_log(sim->log, MB_INFO, "event", "passed on as it is", MB_S("id", id), MB_S("topic", type),
           MB_S("delivery", delivery_id), MB_U("webhooks", count));
    cJSON_Delete(tree);
    return count;
}
