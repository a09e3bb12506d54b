/* Where a path leads, and what /sim/fail makes of it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "memory.h"
#include "stand.h"

/* A * stands for any one segment. */
static const struct {
    const char *method, *pattern;
    request_handler_fn *handler;
    stand_call_t call; /* STAND_CALLS: none that can be made to fail */
} routes[] = {
    {"POST", "/api/chat.postMessage", slack_post, STAND_POST},
    {"GET", "/api/conversations.history", slack_history, STAND_HISTORY},
    {"GET", "/api/conversations.list", slack_list, STAND_LIST},
    {"POST", "/services/*/*/*", slack_webhook, STAND_WEBHOOK},
    {"POST", "/repos/*/*/issues", github_create, STAND_ISSUE},
    {"GET", "/repos/*/*/issues", github_list, STAND_ISSUES},
    {"GET", "/repositories/*/issues", github_list_by_number, STAND_ISSUES},
    {"POST", "/hook/*", hook_take, STAND_HOOK},
    {"GET", "/sim/messages", control_messages, STAND_CALLS},
    {"GET", "/sim/issues", control_issues, STAND_CALLS},
    {"GET", "/sim/hooks", control_hooks, STAND_CALLS},
    {"GET", "/sim/state", control_state, STAND_CALLS},
    {"POST", "/sim/fail", control_fail, STAND_CALLS},
    {"POST", "/sim/limits", control_limits, STAND_CALLS},
    {"POST", "/sim/reset", control_reset, STAND_CALLS},
};

static bool matches(const request_t *request, const char *pattern)
{
    for (size_t at = 0; at < request->part_count; at++) {
        if (*pattern++ != '/') {
            return false;
        }
        size_t size = strcspn(pattern, "/");
        const char *part = request->parts[at];
        bool any = size == 1 && *pattern == '*';
        if (!any && (strlen(part) != size || strncmp(part, pattern, size) != 0)) {
            return false;
        }
        pattern += size;
    }
    return *pattern == '\0';
}

/* Cut the path at its slashes, then decode: a %2F belongs to its segment. */
static bool split_path(request_t *request)
{
    const char *at = mb_http_path(request->http);
    while (*at == '/' && at[1] != '\0') {
        mailbus_buf_t part = MAILBUS_BUF_INIT;
        size_t size = strcspn(++at, "/");
        mailbus_buf_text(&part, "");
        if (request->part_count == REQUEST_PARTS_MAX ||
            mb_url_decode(at, size, false, &part) != MAILBUS_OK ||
            !mailbus_utf8_valid(part.data, part.size)) {
            mailbus_buf_free(&part);
            return false;
        }
        request->parts[request->part_count++] = mailbus_buf_take(&part, NULL);
        at += size;
    }
    return request->part_count > 0;
}

/* The body that a service would send with that status, where the rule has none. */
static const char *usual_body(stand_call_t call, unsigned status)
{
    static const char *const bodies[STAND_CALLS] = {
        [STAND_POST] = "{\"ok\":false,\"error\":\"internal_error\"}",
        [STAND_HISTORY] = "{\"ok\":false,\"error\":\"internal_error\"}",
        [STAND_LIST] = "{\"ok\":false,\"error\":\"internal_error\"}",
        [STAND_WEBHOOK] = "rollup_error",
        [STAND_ISSUE] = "{\"message\":\"made to fail by /sim/fail\"}",
        [STAND_ISSUES] = "{\"message\":\"made to fail by /sim/fail\"}",
        [STAND_HOOK] = "made to fail by /sim/fail",
    };
    bool slack = call == STAND_POST || call == STAND_HISTORY || call == STAND_LIST;
    return slack && status == 429 ? "{\"ok\":false,\"error\":\"ratelimited\"}" : bodies[call];
}

static void fail(request_t *request, stand_call_t call, const stand_rule_t *rule)
{
    if (rule->mode == STAND_RESET || rule->status == 0) {
        request->response->abort = true;
        return;
    }
    memset(request->response->headers, 0, sizeof request->response->headers);
    reply_text(request, rule->status, "application/json",
               rule->body != NULL ? rule->body : usual_body(call, rule->status));
    const cJSON *item;
    cJSON_ArrayForEach(item, rule->headers)
    {
        reply_header(request, item->string, item->valuestring);
    }
}

static void run(request_t *request, request_handler_fn *handler, stand_call_t call)
{
    if (call == STAND_CALLS || request->stand->rules[call].count == 0) {
        handler(request);
        return;
    }
    stand_rule_t *rule = &request->stand->rules[call];
    rule->count--;
    if (rule->mode == STAND_AFTER || rule->mode == STAND_SLOW) {
        handler(request);
    }
    if (rule->mode == STAND_SLOW) {
        const struct timespec pause = {rule->delay_ms / 1000, rule->delay_ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
    } else {
        fail(request, call, rule);
    }
}

void request_route(void *arg, const mb_http_request_t *http, mb_http_response_t *response)
{
    request_t request = {
        .stand = arg, .http = http, .response = response, .now_ms = mb_clock_wall_ms()};
    size_t at = sizeof routes / sizeof *routes;
    if (split_path(&request)) {
        for (at = 0; at < sizeof routes / sizeof *routes; at++) {
            if (strcmp(mb_http_method(http), routes[at].method) == 0 &&
                matches(&request, routes[at].pattern)) {
                break;
            }
        }
    }
    if (at < sizeof routes / sizeof *routes) {
        run(&request, routes[at].handler, routes[at].call);
    } else {
        mb_http_error(response, 404, "there is nothing at this path, or not with this method");
    }
    mb_log(request.stand->log, MB_DEBUG, "http", "request", MB_S("method", mb_http_method(http)),
           MB_S("path", mb_http_path(http)), MB_U("status", response->status));
    for (at = 0; at < request.part_count; at++) {
        free(request.parts[at]);
    }
}
