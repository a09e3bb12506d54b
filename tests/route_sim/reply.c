/* Answers in each service's own shape. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mailbus/json.h"
#include "stand.h"

void reply_text(request_t *request, unsigned status, const char *content_type, const char *text)
{
    request->response->status = status;
    request->response->content_type = content_type;
    mailbus_buf_clear(&request->response->body);
    mailbus_buf_text(&request->response->body, text);
}

void reply_json(request_t *request, unsigned status, cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    reply_text(request, status, "application/json; charset=utf-8", text);
    free(text);
    cJSON_Delete(tree);
}

void reply_header(request_t *request, const char *name, const char *value)
{
    size_t count = sizeof request->response->headers / sizeof *request->response->headers;
    for (size_t at = 0; at < count; at++) {
        char(*header)[256] = request->response->headers[at];
        if (header[0][0] == '\0') {
            snprintf(header[0], sizeof header[0], "%s", name);
            snprintf(header[1], sizeof header[1], "%s", value);
            return;
        }
    }
}

void reply_header_number(request_t *request, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    reply_header(request, name, text);
}

void reply_slack_error(request_t *request, const char *error)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddFalseToObject(tree, "ok");
    cJSON_AddStringToObject(tree, "error", error);
    reply_json(request, 200, tree);
}

void reply_github_error(request_t *request, unsigned status, const char *message)
{
    char number[8];
    snprintf(number, sizeof number, "%u", status);
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "message", message);
    cJSON_AddStringToObject(tree, "documentation_url", "https://docs.github.com/rest");
    cJSON_AddStringToObject(tree, "status", number);
    reply_json(request, status, tree);
}

cJSON *request_json(const request_t *request)
{
    size_t size = 0;
    const char *body = mb_http_body(request->http, &size);
    cJSON *tree = NULL;
    return mailbus_json_parse_object(body, size, &tree, NULL) == MAILBUS_OK ? tree : NULL;
}

const char *request_token(const request_t *request)
{
    static const char *const schemes[] = {"Bearer ", "token "};
    const char *value = mb_http_header(request->http, "Authorization");
    for (size_t i = 0; value != NULL && i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (strncasecmp(value, schemes[i], size) == 0 && value[size] != '\0') {
            return value + size;
        }
    }
    return NULL;
}

int64_t request_number(const request_t *request, const char *name, int64_t usual)
{
    const char *text = mb_http_query(request->http, name);
    return text == NULL || text[strspn(text, "0123456789")] != '\0' || *text == '\0'
               ? usual
               : (int64_t)strtoll(text, NULL, 10);
}

size_t text_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += (*text & 0xC0) != 0x80;
    }
    return count;
}

void reply_list(request_t *request, const char *name, const cJSON *list)
{
    const char *format = mb_http_query(request->http, "format");
    if (format != NULL && strcmp(format, "count") == 0) {
        char text[24];
        snprintf(text, sizeof text, "%d\n", cJSON_GetArraySize(list));
        reply_text(request, 200, "text/plain", text);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddItemToObject(tree, name, cJSON_Duplicate(list, true));
    reply_json(request, 200, tree);
}
