/* Slack: reading back, page by page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"
#include "stand.h"

/* The entries from `cursor` on ("n" and a number), at most `limit`, moved out of `all`. */
static void reply_page(request_t *request, const char *name, cJSON *all)
{
    const char *cursor = mb_http_query(request->http, "cursor");
    int64_t from = cursor != NULL && cursor[0] == 'n' ? strtoll(cursor + 1, NULL, 10) : 0;
    int64_t limit = request_number(request, "limit", 100);
    int64_t most = request->stand->limits.page_max;
    limit = limit < 1 || limit > most ? most : limit;
    cJSON *page = cJSON_CreateArray();
    int64_t at = 0;
    for (cJSON *item = all->child; item != NULL; item = item->next, at++) {
        if (at >= from && at < from + limit) {
            cJSON_AddItemToArray(page, cJSON_Duplicate(item, true));
        }
    }
    char next[24] = "";
    if (at > from + limit) {
        snprintf(next, sizeof next, "n%lld", (long long)(from + limit));
    }
    cJSON_Delete(all);
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddTrueToObject(tree, "ok");
    cJSON_AddItemToObject(tree, name, page);
    cJSON_AddBoolToObject(tree, "has_more", next[0] != '\0');
    cJSON_AddStringToObject(cJSON_AddObjectToObject(tree, "response_metadata"), "next_cursor",
                            next);
    reply_json(request, 200, tree);
}

void slack_list(request_t *request)
{
    if (slack_authorised(request, "channels:read")) {
        reply_page(request, "channels", cJSON_Duplicate(request->stand->channels, true));
    }
}

/* Without include_all_metadata a message keeps its metadata's type only. */
static cJSON *shown(const cJSON *message, bool all_metadata)
{
    cJSON *copy = cJSON_Duplicate(message, true);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(copy, "metadata");
    if (!all_metadata) {
        cJSON_DeleteItemFromObjectCaseSensitive(metadata, "event_payload");
    }
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "via");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "channel_name");
    return copy;
}

void slack_history(request_t *request)
{
    const char *id = mb_http_query(request->http, "channel");
    const char *oldest = mb_http_query(request->http, "oldest");
    const char *all = mb_http_query(request->http, "include_all_metadata");
    double from = oldest == NULL ? 0 : strtod(oldest, NULL);
    if (!slack_authorised(request, "channels:history")) {
        return;
    }
    const cJSON *channel = id == NULL ? NULL : slack_channel(request->stand, id, false);
    if (channel == NULL || strcmp(mailbus_json_string(channel, "id"), id) != 0) {
        reply_slack_error(request, "channel_not_found"); /* names are not taken here */
        return;
    }
    double newest = (double)(request->now_ms - request->stand->limits.lag_ms);
    cJSON *found = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, request->stand->messages)
    {
        if (strcmp(mailbus_json_string(item, "channel"), id) == 0 &&
            strtod(mailbus_json_string(item, "ts"), NULL) > from &&
            mailbus_json_item(item, "ms")->valuedouble <= newest) {
            cJSON_InsertItemInArray(found, 0, shown(item, all != NULL && strcmp(all, "true") == 0));
        }
    }
    reply_page(request, "messages", found);
}
