#include "dead_http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dead.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum { LIMIT_DEFAULT = 100 };

typedef struct {
    mailbus_buf_t *out;
    int64_t after;
    size_t limit;
    int64_t number; /* show */
    size_t count;
    int64_t last;
} page_t;

static void put_text(mailbus_buf_t *out, const char *key, const char *text)
{
    mailbus_buf_printf(out, ",\"%s\":", key);
    mailbus_json_write_string(out, text, strlen(text));
}

static void put_time(mailbus_buf_t *out, const char *key, int64_t ms)
{
    char text[MAILBUS_TIME_SIZE];
    mailbus_time_format(ms, text);
    put_text(out, key, text);
}

static void put_frames(mailbus_buf_t *out, const dead_letter_t *letter)
{
    cJSON *tree = NULL;
    if (mailbus_json_parse_object(letter->header, letter->header_size, &tree, NULL) == MAILBUS_OK) {
        mailbus_buf_text(out, ",\"header\":");
        mailbus_buf_append(out, letter->header, letter->header_size);
    }
    cJSON_Delete(tree);
    const char *body = letter->body != NULL ? letter->body : "";
    if (mailbus_utf8_valid(body, letter->body_size)) {
        mailbus_buf_text(out, ",\"body\":");
        mailbus_json_write_string(out, body, letter->body_size);
    } else {
        mailbus_buf_text(out, ",\"body_base64\":\"");
        mb_base64_encode(letter->body, letter->body_size, out);
        mailbus_buf_char(out, '"');
    }
}

static void put_letter(void *arg, const dead_letter_t *letter)
{
    page_t *page = arg;
    mailbus_buf_t *out = page->out;
    if (page->count++ > 0) {
        mailbus_buf_char(out, ',');
    }
    page->last = letter->number;
    mailbus_buf_printf(out, "{\"id\":\"%" PRId64 "\"", letter->number);
    put_text(out, "event", letter->id);
    put_text(out, "topic", letter->topic);
    mailbus_buf_printf(out, ",\"sequence\":\"%" PRIu64 "\"", letter->sequence);
    put_text(out, "reason", letter->reason);
    mailbus_buf_printf(out, ",\"attempts\":%u,\"crashes\":%u", letter->attempts, letter->crashes);
    put_time(out, "first", letter->first_ms);
    put_time(out, "set_aside", letter->set_aside_ms);
    if (letter->header != NULL) {
        put_frames(out, letter);
    }
    mailbus_buf_char(out, '}');
}

static mailbus_code_t list(store_t *store, void *arg, mailbus_error_t *error)
{
    page_t *page = arg;
    return dead_list(store, page->after, page->limit, put_letter, page, error);
}

static mailbus_code_t show(store_t *store, void *arg, mailbus_error_t *error)
{
    page_t *page = arg;
    return dead_show(store, page->number, put_letter, page, error);
}

static void answer_error(mb_http_response_t *response, mailbus_code_t code,
                         const mailbus_error_t *error)
{
    mailbus_buf_clear(&response->body);
    mb_http_error(response, code == MAILBUS_ENOTFOUND ? 404 : 500, error->text);
}

/* A number that fits, or `otherwise` where there is no such parameter. */
static bool read_parameter(const mb_http_request_t *request, const char *name, int64_t otherwise,
                           int64_t *ret_number)
{
    const char *text = mb_http_query(request, name);
    uint64_t number;
    if (text == NULL) {
        *ret_number = otherwise;
        return true;
    }
    if (mailbus_sequence_parse(text, &number) != MAILBUS_OK || number > INT64_MAX) {
        return false;
    }
    *ret_number = (int64_t)number;
    return true;
}

static void serve_list(const dead_http_t *self, const mb_http_request_t *request,
                       mb_http_response_t *response)
{
    int64_t after;
    int64_t limit;
    if (!read_parameter(request, "after", 0, &after) ||
        !read_parameter(request, "limit", LIMIT_DEFAULT, &limit) || limit < 1 ||
        limit > DEAD_LIST_MAX) {
        mb_http_error(response, 400, "after is a number, limit one from 1 to 1000");
        return;
    }
    page_t page = {.out = &response->body, .after = after, .limit = (size_t)limit};
    mailbus_error_t error = {0};
    mailbus_buf_text(&response->body, "{\"dead\":[");
    mailbus_code_t code = inbox_with_store(self->inbox, list, &page, &error);
    if (code != MAILBUS_OK) {
        answer_error(response, code, &error);
        return;
    }
    mailbus_buf_text(&response->body, "],\"next\":");
    if (page.count == page.limit) {
        mailbus_buf_printf(&response->body, "\"%" PRId64 "\"}\n", page.last);
    } else {
        mailbus_buf_text(&response->body, "null}\n");
    }
}

static void serve_one(const dead_http_t *self, int64_t number, mb_http_response_t *response)
{
    page_t page = {.out = &response->body, .number = number};
    mailbus_error_t error = {0};
    mailbus_code_t code = inbox_with_store(self->inbox, show, &page, &error);
    if (code != MAILBUS_OK) {
        answer_error(response, code, &error);
        return;
    }
    mailbus_buf_char(&response->body, '\n');
}

static void serve_change(const dead_http_t *self, int64_t number, const char *verb,
                         mb_http_response_t *response)
{
    mailbus_error_t error = {0};
    mailbus_code_t code = strcmp(verb, "retry") == 0
                              ? inbox_dead_retry(self->inbox, number, mb_clock_wall_ms(), &error)
                              : inbox_dead_drop(self->inbox, number, &error);
    if (code != MAILBUS_OK) {
        answer_error(response, code, &error);
        return;
    }
    mailbus_buf_printf(&response->body, "{\"id\":\"%" PRId64 "\",\"done\":\"%s\"}\n", number, verb);
}

void dead_http_handle(void *arg, const mb_http_request_t *request, mb_http_response_t *response)
{
    const dead_http_t *self = arg;
    const char *path = mb_http_path(request);
    bool get = strcmp(mb_http_method(request), "GET") == 0;
    bool post = strcmp(mb_http_method(request), "POST") == 0;
    char digits[20];
    char verb[8] = "";
    int end = -1;
    bool all = strcmp(path, "/dead") == 0;
    bool one = sscanf(path, "/dead/%19[0-9]%n", digits, &end) == 1;
    if (one && path[end] == '/') {
        size_t rest = strlen(path + end + 1);
        memcpy(verb, path + end + 1, rest < sizeof verb ? rest + 1 : 0);
        one = strcmp(verb, "retry") == 0 || strcmp(verb, "drop") == 0;
    } else if (one && path[end] != '\0') {
        one = false;
    }
    int64_t number = one ? strtoll(digits, NULL, 10) : 0;
    if (!all && !one) {
        mb_http_error(response, 404,
                      "no such page: /dead, /dead/ID, /dead/ID/retry, /dead/ID/drop");
    } else if (verb[0] != '\0' && post) {
        serve_change(self, number, verb, response);
    } else if (verb[0] == '\0' && get) {
        if (all) {
            serve_list(self, request, response);
        } else {
            serve_one(self, number, response);
        }
    } else {
        mb_http_method_error(response, verb[0] != '\0' ? "POST" : "GET");
    }
}
