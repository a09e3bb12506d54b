#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "clock.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "memory.h"

void call_answer(call_t *call, unsigned status, cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    call_answer_text(call, status, "application/json", text);
    free(text);
    cJSON_Delete(tree);
}

void call_answer_text(call_t *call, unsigned status, const char *content_type, const char *text)
{
    call->response->status = status;
    call->response->content_type = content_type;
    mailbus_buf_clear(&call->response->body);
    mailbus_buf_text(&call->response->body, text);
}

/* What the service calls its errors, and the code where the caller gives none. */
static const struct {
    unsigned status;
    const char *name, *code;
} errors[] = {
    {400, "ValidationError", "validation_error"},
    {401, "UnauthorizedError", "unauthorized"},
    {403, "MessageRejectedError", "message_rejected"},
    {404, "NotFoundError", "not_found"},
    {405, "MethodNotAllowedError", "method_not_allowed"},
    {409, "ConflictError", "conflict"},
    {413, "PayloadTooLargeError", "payload_too_large"},
    {422, "UnprocessableError", "unprocessable"},
    {429, "RateLimitError", "rate_limit_exceeded"},
    {403, "IsTakenError", "is_taken"},
    {403, "LimitExceededError", "limit_exceeded"},
    {403, "ExpiredError", "expired"},
    {503, "ServiceUnavailableError", "service_unavailable"},
    {0, "ServerError", "server_error"},
};

void call_error(call_t *call, unsigned status, const char *code, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t at = 0;
    while (errors[at].status != 0 &&
           (errors[at].status != status ||
            (status == 403 && code != NULL && strcmp(errors[at].code, code) != 0))) {
        at++;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "name", errors[at].name);
    cJSON_AddStringToObject(tree, "code", code != NULL ? code : errors[at].code);
    cJSON_AddStringToObject(tree, "message", message);
    call_answer(call, status, tree);
}

void call_header(call_t *call, const char *name, const char *value)
{
    size_t count = sizeof call->response->headers / sizeof *call->response->headers;
    for (size_t at = 0; at < count; at++) {
        char(*header)[256] = call->response->headers[at];
        if (header[0][0] == '\0') {
            snprintf(header[0], sizeof header[0], "%s", name);
            snprintf(header[1], sizeof header[1], "%s", value);
            return;
        }
    }
}

void call_fail(call_t *call, const fail_rule_t *rule)
{
    if (rule->mode == FAIL_RESET || rule->status == 0) {
        call->response->abort = true;
        return;
    }
    call_error(call, rule->status, NULL, "made to fail by /sim/fail");
    if (rule->retry_after > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", rule->retry_after);
        call_header(call, "Retry-After", seconds);
    }
}

cJSON *call_json(call_t *call)
{
    size_t size = 0;
    const char *body = mb_http_body(call->request, &size);
    mailbus_error_t error;
    cJSON *tree = NULL;
    if (size == 0) {
        return cJSON_CreateObject();
    }
    if (mailbus_json_parse_object(body, size, &tree, &error) != MAILBUS_OK) {
        call_error(call, 400, NULL, "the body: %s", error.text);
        return NULL;
    }
    return tree;
}

size_t call_limit(call_t *call, const char *name, size_t usual, size_t most)
{
    const char *text = mb_http_query(call->request, name);
    if (text == NULL) {
        return usual;
    }
    char *end = NULL;
    unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (number == 0 || *end != '\0' || number > most) {
        call_error(call, 400, NULL, "%s must be a number from 1 to %zu", name, most);
        return 0;
    }
    return number;
}

const char *call_inbox(call_t *call)
{
    const cJSON *inbox = sim_find_inbox(call->sim, call->parts[2]); /* /v0/inboxes/{inbox} */
    if (inbox == NULL) {
        call_error(call, 404, NULL, "there is no inbox %.200s", call->parts[2]);
        return NULL;
    }
    return mailbus_json_string(inbox, "inbox_id");
}

message_t *call_message(call_t *call, const char *inbox_id)
{
    message_t *message = mailbox_find(call->sim->mailbox, inbox_id, call->parts[4]);
    if (message == NULL) {
        call_error(call, 404, NULL, "there is no message %.200s in this inbox", call->parts[4]);
    }
    return message;
}

void call_base_url(const call_t *call, char *text, size_t size)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-_:[]";
    const char *host = mb_http_header(call->request, "Host");
    bool usable = host != NULL && *host != '\0' && strspn(host, allowed) == strlen(host);
    snprintf(text, size, "http://%s", usable ? host : call->sim->address);
}

/* Where a path leads. A * stands for any one segment. */
static const struct {
    const char *method, *pattern;
    call_handler_fn *handler;
} routes[] = {
    {"GET", "/v0/inboxes", api_inboxes_list},
    {"POST", "/v0/inboxes", api_inboxes_create},
    {"GET", "/v0/inboxes/*", api_inboxes_get},
    {"GET", "/v0/inboxes/*/messages", api_messages_list},
    {"POST", "/v0/inboxes/*/messages/send", api_send},
    {"GET", "/v0/inboxes/*/messages/*", api_messages_get},
    {"PATCH", "/v0/inboxes/*/messages/*", api_messages_update},
    {"POST", "/v0/inboxes/*/messages/*/reply", api_reply},
    {"POST", "/v0/inboxes/*/messages/*/reply-all", api_reply_all},
    {"POST", "/v0/inboxes/*/messages/*/forward", api_forward},
    {"GET", "/v0/inboxes/*/messages/*/raw", api_messages_raw},
    {"GET", "/v0/inboxes/*/messages/*/attachments/*", api_messages_attachment},
    {"GET", "/v0/webhooks", api_webhooks_list},
    {"POST", "/v0/webhooks", api_webhooks_create},
    {"GET", "/v0/webhooks/*", api_webhooks_get},
    {"PATCH", "/v0/webhooks/*", api_webhooks_update},
    {"DELETE", "/v0/webhooks/*", api_webhooks_delete},
    {"GET", "/v0/lists/*/*", api_lists_list},
    {"POST", "/v0/lists/*/*", api_lists_create},
    {"GET", "/v0/lists/*/*/*", api_lists_get},
    {"DELETE", "/v0/lists/*/*/*", api_lists_delete},
    {"GET", "/files/*/raw", api_files_raw},
    {"GET", "/files/*/attachments/*", api_files_attachment},
    {"POST", "/sim/receive", control_receive},
    {"POST", "/sim/events", control_events},
    {"GET", "/sim/sent", control_sent},
    {"GET", "/sim/deliveries", control_deliveries},
    {"POST", "/sim/fail", control_fail},
    {"POST", "/sim/reset", control_reset},
};

static bool matches(const call_t *call, const char *pattern)
{
    for (size_t at = 0; at < call->part_count; at++) {
        if (*pattern++ != '/') {
            return false;
        }
        size_t size = strcspn(pattern, "/");
        bool any = size == 1 && *pattern == '*';
        if (!any &&
            (strlen(call->parts[at]) != size || strncmp(call->parts[at], pattern, size) != 0)) {
            return false;
        }
        pattern += size;
    }
    return *pattern == '\0';
}

/* Cut the path at its slashes, then decode: a %2F belongs to its segment. */
static bool split_path(call_t *call)
{
    const char *at = mb_http_path(call->request);
    while (*at == '/') {
        at++;
        size_t size = strcspn(at, "/");
        if (size == 0 && *at == '\0') { /* a slash at the end */
            break;
        }
        mailbus_buf_t part = MAILBUS_BUF_INIT;
        mailbus_buf_text(&part, "");
        if (call->part_count == CALL_PARTS_MAX ||
            mb_url_decode(at, size, false, &part) != MAILBUS_OK ||
            !mailbus_utf8_valid(part.data, part.size)) {
            mailbus_buf_free(&part);
            return false;
        }
        call->parts[call->part_count++] = mailbus_buf_take(&part, NULL);
        at += size;
    }
    return *at == '\0' && call->part_count > 0;
}

/* Any key that is not empty will do: the stand-in has no accounts. */
static bool is_authorised(const call_t *call)
{
    static const char scheme[] = "Bearer ";
    const char *value = mb_http_header(call->request, "Authorization");
    return value != NULL && strncasecmp(value, scheme, sizeof scheme - 1) == 0 &&
           value[sizeof scheme - 1 + strspn(value + sizeof scheme - 1, " ")] != '\0';
}

static void run_handler(call_t *call, call_handler_fn *handler)
{
    fail_rule_t *rule = &call->sim->api_rule;
    bool api = strcmp(call->parts[0], "v0") == 0;
    if (api && !is_authorised(call)) {
        call_error(call, 401, NULL, "no API key: send Authorization: Bearer am_…");
        return;
    }
    bool fail = api && rule->count > 0;
    rule->count -= fail;
    if (!fail || rule->mode == FAIL_AFTER) {
        handler(call);
    }
    if (fail) {
        call_fail(call, rule);
    }
}

void call_route(void *arg, const mb_http_request_t *request, mb_http_response_t *response)
{
    call_t call = {
        .sim = arg, .request = request, .response = response, .now_ms = mb_clock_wall_ms()};
    const char *method = mb_http_method(request);
    bool known_path = false;
    call_handler_fn *handler = NULL;
    if (!split_path(&call)) {
        call_error(&call, 404, NULL, "there is nothing at this path");
        goto out;
    }
    for (size_t at = 0; handler == NULL && at < sizeof routes / sizeof *routes; at++) {
        if (matches(&call, routes[at].pattern)) {
            known_path = true;
            handler = strcmp(method, routes[at].method) == 0 ? routes[at].handler : NULL;
        }
    }
    if (handler != NULL) {
        run_handler(&call, handler);
    } else if (known_path) {
        call_error(&call, 405, NULL, "%.20s is not a method of this path", method);
    } else {
        call_error(&call, 404, NULL, "there is nothing at this path");
    }
    mb_log(call.sim->log, MB_DEBUG, "http", "call", MB_S("method", method),
           MB_S("path", mb_http_path(request)), MB_U("status", response->status));
out:
    for (size_t at = 0; at < call.part_count; at++) {
        free(call.parts[at]);
    }
}
