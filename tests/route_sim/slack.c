/* Slack: posting, by chat.postMessage and by incoming webhooks, one message a second and channel.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "mailbus/json.h"
#include "stand.h"

/* A message that is a little early is let through: clocks and networks are not exact. */
#define TOLERANCE_PERCENT 90

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool slack_authorised(request_t *request, const char *scope)
{
    const char *token = request_token(request);
    const char *error = NULL;
    if (token == NULL) {
        error = "not_authed";
    } else if (!starts(token, "xoxb-")) {
        error = "invalid_auth";
    } else if (strcmp(scope, "chat:write") != 0 && strstr(token, "nohistory") != NULL) {
        error = "missing_scope";
    }
    if (error != NULL) {
        reply_slack_error(request, error);
    }
    return error == NULL;
}

static cJSON *make_channel(stand_t *stand, const char *name)
{
    uint8_t digest[MB_SHA256_SIZE];
    char id[12];
    mb_sha256(name, strlen(name), digest);
    snprintf(id, sizeof id, "C%02X%02X%02X%02X%02X", digest[0], digest[1], digest[2], digest[3],
             digest[4]);
    cJSON *channel = cJSON_CreateObject();
    cJSON_AddStringToObject(channel, "id", id);
    cJSON_AddStringToObject(channel, "name", name);
    cJSON_AddBoolToObject(channel, "is_archived", starts(name, "archived"));
    cJSON_AddNumberToObject(channel, "last_ms", 0);
    cJSON_AddItemToArray(stand->channels, channel);
    return channel;
}

cJSON *slack_channel(stand_t *stand, const char *name, bool make)
{
    const char *bare = name[0] == '#' ? name + 1 : name;
    cJSON *item;
    cJSON_ArrayForEach(item, stand->channels)
    {
        if (strcmp(mailbus_json_string(item, "id"), name) == 0 ||
            strcmp(mailbus_json_string(item, "name"), bare) == 0) {
            return item;
        }
    }
    bool is_id = name[0] == 'C' && strspn(name + 1, "0123456789ABCDEF") == 10;
    bool missing = bare[0] == '\0' || starts(bare, "missing") || is_id;
    return make && !missing ? make_channel(stand, bare) : NULL;
}

/* False: too early, and 429 is answered. */
static bool within_limit(request_t *request, cJSON *channel)
{
    stand_t *stand = request->stand;
    cJSON *last = cJSON_GetObjectItemCaseSensitive(channel, "last_ms");
    double since = (double)request->now_ms - last->valuedouble;
    if (since * 100 < (double)(stand->limits.slack_interval_ms * TOLERANCE_PERCENT)) {
        stand->limited++;
        reply_text(request, 429, "application/json", "{\"ok\":false,\"error\":\"ratelimited\"}");
        reply_header(request, "Retry-After", "1");
        return false;
    }
    cJSON_SetNumberValue(last, (double)request->now_ms);
    return true;
}

/* Keep the message; its ts. Lent. */
static const char *keep(request_t *request, cJSON *message, const cJSON *channel, const char *via)
{
    stand_t *stand = request->stand;
    char ts[40];
    int64_t us = request->now_ms * 1000;
    stand->last_us = us > stand->last_us ? us : stand->last_us + 1;
    snprintf(ts, sizeof ts, "%" PRId64 ".%06" PRId64, stand->last_us / 1000000,
             stand->last_us % 1000000);
    cJSON_DeleteItemFromObjectCaseSensitive(message, "channel");
    cJSON_AddStringToObject(message, "ts", ts);
    cJSON_AddStringToObject(message, "channel", mailbus_json_string(channel, "id"));
    cJSON_AddStringToObject(message, "channel_name", mailbus_json_string(channel, "name"));
    cJSON_AddStringToObject(message, "via", via);
    cJSON_AddNumberToObject(message, "ms", (double)request->now_ms);
    cJSON_AddItemToArray(stand->messages, message);
    return mailbus_json_string(message, "ts");
}

static const char *channel_error(const cJSON *channel)
{
    const char *name = channel == NULL ? NULL : mailbus_json_string(channel, "name");
    return name == NULL               ? "channel_not_found"
           : starts(name, "archived") ? "is_archived"
           : starts(name, "private")  ? "not_in_channel"
                                      : NULL;
}

void slack_post(request_t *request)
{
    if (!slack_authorised(request, "chat:write")) {
        return;
    }
    cJSON *message = request_json(request);
    const char *name = mailbus_json_string(message, "channel");
    cJSON *channel = name == NULL ? NULL : slack_channel(request->stand, name, true);
    const char *error = message == NULL ? "invalid_json" : channel_error(channel);
    if (error == NULL) {
        error = slack_check(message);
    }
    if (error != NULL || !within_limit(request, channel)) {
        if (error != NULL) {
            reply_slack_error(request, error);
        }
        cJSON_Delete(message);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddTrueToObject(tree, "ok");
    cJSON_AddStringToObject(tree, "channel", mailbus_json_string(channel, "id"));
    cJSON_AddStringToObject(tree, "ts", keep(request, message, channel, "api"));
    reply_json(request, 200, tree);
}

/* Incoming webhooks speak in plain words, with the status of the error. */
void slack_webhook(request_t *request)
{
    static const struct {
        const char *error;
        unsigned status;
    } statuses[] = {{"channel_not_found", 404}, {"is_archived", 410}, {"not_in_channel", 403}};
    cJSON *message = request_json(request);
    cJSON *channel = slack_channel(request->stand, request->parts[3], true);
    const char *error = channel_error(channel);
    unsigned status = 400;
    if (error == NULL && (message == NULL || slack_check(message) != NULL)) {
        error = message == NULL ? "invalid_payload" : slack_check(message);
    }
    for (size_t i = 0; error != NULL && i < sizeof statuses / sizeof *statuses; i++) {
        status = strcmp(error, statuses[i].error) == 0 ? statuses[i].status : status;
    }
    if (error != NULL) {
        reply_text(request, status, "text/html",
                   status == 410   ? "channel_is_archived"
                   : status == 403 ? "action_prohibited"
                                   : error);
    } else if (within_limit(request, channel)) {
        keep(request, message, channel, "webhook");
        reply_text(request, 200, "text/html", "ok");
        return;
    }
    cJSON_Delete(message);
}
