/* /sim: what a test or a person does to the stand-in. */
#include <stdlib.h>
#include <string.h>

#include "log_escape.h"
#include "mailbus/json.h"
#include "memory.h"
#include "stand.h"

#define DELAY_MAX_MS 10000 /* of a slow answer: everything waits for it */

static void forget(stand_t *stand)
{
    cJSON_Delete(stand->channels);
    cJSON_Delete(stand->messages);
    cJSON_Delete(stand->repos);
    cJSON_Delete(stand->issues);
    cJSON_Delete(stand->hooks);
    for (size_t i = 0; i < STAND_CALLS; i++) {
        cJSON_Delete(stand->rules[i].headers);
        free(stand->rules[i].body);
    }
}

void stand_clear(stand_t *stand)
{
    forget(stand);
    *stand = (stand_t){.log = NULL};
}

void stand_init(stand_t *stand, mb_log_t *log)
{
    static const char *const channels[] = {"general", "billing-team", "team"};
    *stand = (stand_t){
        .log = log,
        .channels = cJSON_CreateArray(),
        .messages = cJSON_CreateArray(),
        .repos = cJSON_CreateArray(),
        .issues = cJSON_CreateArray(),
        .hooks = cJSON_CreateArray(),
        .limits = {.slack_interval_ms = 1000,
                   .github_per_minute = 80, /* docs.github.com: content-creating requests */
                   .github_retry_after = 60,
                   .page_max = 100},
    };
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        (void)slack_channel(stand, channels[i], true);
    }
}

void stand_reset(stand_t *stand)
{
    mb_log_t *log = stand->log;
    forget(stand);
    stand_init(stand, log);
}

void control_reset(request_t *request)
{
    stand_reset(request->stand);
    reply_text(request, 200, "application/json", "{}");
}

/* --- what came ----------------------------------------------------------------------------------
 */

/* Lines that a terminal can bear, whatever stands in the mail. */
static void put(const char *text, mailbus_buf_t *out)
{
    while (text != NULL && *text != '\0') {
        char bytes[2048];
        mb_line_t line = {.data = bytes, .capacity = sizeof bytes};
        size_t size = strcspn(text, "\n");
        mb_log_escape(text, size, 300, &line);
        mailbus_buf_text(out, "    ");
        mailbus_buf_append(out, bytes, line.size);
        mailbus_buf_char(out, '\n');
        text += size + (text[size] == '\n');
    }
}

static void reply_readable(request_t *request, const char *name, const cJSON *list,
                           const char *const *keys)
{
    const char *format = mb_http_query(request->http, "format");
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    if (format == NULL || strcmp(format, "text") != 0) {
        reply_list(request, name, list);
        return;
    }
    mailbus_buf_text(&text, "");
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        for (size_t i = 0; keys[i] != NULL; i++) {
            put(mailbus_json_string(item, keys[i]), &text);
        }
        mailbus_buf_char(&text, '\n');
    }
    reply_text(request, 200, "text/plain; charset=utf-8", text.data);
    mailbus_buf_free(&text);
}

void control_messages(request_t *request)
{
    static const char *const keys[] = {"channel_name", "text", NULL};
    reply_readable(request, "messages", request->stand->messages, keys);
}

void control_issues(request_t *request)
{
    static const char *const keys[] = {"html_url", "title", "body", NULL};
    reply_readable(request, "issues", request->stand->issues, keys);
}

void control_hooks(request_t *request)
{
    static const char *const keys[] = {"name", "webhook-id", "body", NULL};
    reply_readable(request, "hooks", request->stand->hooks, keys);
}

void control_state(request_t *request)
{
    const stand_t *stand = request->stand;
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddNumberToObject(tree, "messages", cJSON_GetArraySize(stand->messages));
    cJSON_AddNumberToObject(tree, "issues", cJSON_GetArraySize(stand->issues));
    cJSON_AddNumberToObject(tree, "hooks", cJSON_GetArraySize(stand->hooks));
    cJSON_AddNumberToObject(tree, "limited", (double)stand->limited);
    reply_json(request, 200, tree);
}

/* --- how it fails -------------------------------------------------------------------------------
 */

static int find_word(const cJSON *tree, const char *key, const char *const *words, int count)
{
    const char *word = mailbus_json_string(tree, key);
    for (int i = 0; word != NULL && i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static int64_t number_of(const cJSON *tree, const char *key, int64_t usual)
{
    const cJSON *item = mailbus_json_item(tree, key);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : usual;
}

static bool are_headers(const cJSON *headers)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, headers)
    {
        if (!cJSON_IsString(item)) {
            return false;
        }
    }
    return headers == NULL || cJSON_IsObject(headers);
}

static char *body_of(const cJSON *tree)
{
    const cJSON *body = mailbus_json_item(tree, "body");
    return body == NULL           ? NULL
           : cJSON_IsString(body) ? memory_text(body->valuestring)
                                  : cJSON_PrintUnformatted(body);
}

void control_fail(request_t *request)
{
    static const char *const targets[] = {"post",  "webhook", "history", "list",
                                          "issue", "issues",  "hook"};
    static const char *const modes[] = {"status", "reset", "after", "slow"};
    cJSON *tree = request_json(request);
    int target = find_word(tree, "target", targets, STAND_CALLS);
    int mode = mailbus_json_item(tree, "mode") == NULL ? 0 : find_word(tree, "mode", modes, 4);
    int64_t status = number_of(tree, "status", 0);
    int64_t delay = number_of(tree, "delay_ms", 0);
    const cJSON *headers = mailbus_json_item(tree, "headers");
    if (target < 0 || mode < 0 || (status != 0 && (status < 200 || status > 599)) ||
        delay > DELAY_MAX_MS || delay < 0 || !are_headers(headers)) {
        mb_http_error(request->response, 400, "see route-sim --help for what /sim/fail takes");
    } else {
        stand_rule_t *rule = &request->stand->rules[target];
        cJSON_Delete(rule->headers);
        free(rule->body);
        *rule = (stand_rule_t){
            .count = number_of(tree, "count", 1),
            .mode = (stand_mode_t)mode,
            .status = (unsigned)status,
            .delay_ms = delay,
            .headers = headers == NULL ? NULL : cJSON_Duplicate(headers, true),
            .body = body_of(tree),
        };
        reply_text(request, 200, "application/json", "{}");
    }
    cJSON_Delete(tree);
}

void control_limits(request_t *request)
{
    cJSON *tree = request_json(request);
    stand_limits_t *limits = &request->stand->limits;
    if (tree == NULL) {
        mb_http_error(request->response, 400, "not a JSON object");
        return;
    }
    *limits = (stand_limits_t){
        .slack_interval_ms = number_of(tree, "slack_interval_ms", limits->slack_interval_ms),
        .github_per_minute = number_of(tree, "github_per_minute", limits->github_per_minute),
        .github_retry_after = number_of(tree, "github_retry_after", limits->github_retry_after),
        .lag_ms = number_of(tree, "lag_ms", limits->lag_ms),
        .page_max = number_of(tree, "page_max", limits->page_max),
    };
    reply_text(request, 200, "application/json", "{}");
    cJSON_Delete(tree);
}
