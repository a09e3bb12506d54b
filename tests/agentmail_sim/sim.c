#include "sim.h"

#include <string.h>

#include "address.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "memory.h"
#include "random_id.h"

#include <stdlib.h>

static void add_times(cJSON *json, int64_t now_ms)
{
    char text[MAILBUS_TIME_SIZE];
    mailbus_time_format(now_ms, text);
    cJSON_AddStringToObject(json, "updated_at", text);
    cJSON_AddStringToObject(json, "created_at", text);
}

cJSON *sim_inbox(sim_t *self, const char *inbox_id, int64_t now_ms)
{
    cJSON *inbox = cJSON_GetObjectItemCaseSensitive(self->inboxes, inbox_id);
    if (inbox != NULL) {
        return inbox;
    }
    inbox = cJSON_AddObjectToObject(self->inboxes, inbox_id);
    cJSON_AddStringToObject(inbox, "pod_id", "pod_local");
    cJSON_AddStringToObject(inbox, "inbox_id", inbox_id);
    cJSON_AddStringToObject(inbox, "email", inbox_id);
    add_times(inbox, now_ms);
    return inbox;
}

const cJSON *sim_find_inbox(const sim_t *self, const char *address)
{
    char bare[ADDRESS_MAX + 1];
    return address_bare(address, bare) ? cJSON_GetObjectItemCaseSensitive(self->inboxes, bare)
                                       : NULL;
}

cJSON *sim_add_webhook(sim_t *self, const char *url, const char *secret, int64_t now_ms)
{
    cJSON *webhook = cJSON_CreateObject();
    char *id = random_base62("ep_", 27);
    cJSON_AddStringToObject(webhook, "webhook_id", id);
    cJSON_AddStringToObject(webhook, "url", url);
    cJSON_AddStringToObject(webhook, "secret", secret);
    cJSON_AddBoolToObject(webhook, "enabled", true);
    add_times(webhook, now_ms);
    cJSON_AddItemToArray(self->webhooks, webhook);
    free(id);
    return webhook;
}

void sim_reset(sim_t *self, int64_t now_ms)
{
    delivery_reset(self->delivery);
    mailbox_clear(self->mailbox);
    lists_clear(self->lists);
    idempotency_clear(self->idempotency);
    cJSON_Delete(self->inboxes);
    cJSON_Delete(self->webhooks);
    self->inboxes = cJSON_CreateObject();
    self->webhooks = cJSON_CreateArray();
    self->api_rule.count = 0;
    for (size_t at = 0; at < self->first_inbox_count; at++) {
        sim_inbox(self, self->first_inboxes[at], now_ms);
    }
    if (self->webhook_url != NULL) {
        sim_add_webhook(self, self->webhook_url, self->webhook_secret, now_ms);
    }
}
