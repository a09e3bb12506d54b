#include "agentmail/headers.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"

/* Append one field; the value is made one line. */
static mailbus_code_t add(agentmail_headers_t *headers, const char *name, size_t name_size,
                          const char *value, size_t value_size, mailbus_error_t *error)
{
    if (headers->count >= AGENTMAIL_HEADERS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d header fields",
                            AGENTMAIL_HEADERS_MAX);
    }
    agentmail_header_t *items = realloc(headers->items, (headers->count + 1) * sizeof *items);
    if (items == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    headers->items = items;
    mailbus_buf_t clean[2] = {MAILBUS_BUF_INIT, MAILBUS_BUF_INIT};
    mailbus_buf_text(&clean[0], "");
    mailbus_buf_text(&clean[1], "");
    agentmail_text_line(name, name_size, 0, &clean[0]);
    agentmail_text_line(value, value_size, 0, &clean[1]);
    agentmail_header_t *item = &items[headers->count];
    item->name = mailbus_buf_take(&clean[0], NULL);
    item->value = mailbus_buf_take(&clean[1], NULL);
    if (item->name == NULL || item->value == NULL) {
        free(item->name);
        free(item->value);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    headers->count++;
    return MAILBUS_OK;
}

static mailbus_code_t add_json(agentmail_headers_t *headers, const char *name, const cJSON *value,
                               mailbus_error_t *error)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    return add(headers, name, strlen(name), text, strlen(text), error);
}

/* "name": "value" or "name": ["value", …]. */
static mailbus_code_t add_member(agentmail_headers_t *headers, const char *name, const cJSON *value,
                                 mailbus_error_t *error)
{
    if (!cJSON_IsArray(value) || value->child == NULL) {
        return add_json(headers, name, value, error);
    }
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, value)
    {
        mailbus_code_t code = add_json(headers, name, entry, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    return MAILBUS_OK;
}

mailbus_code_t agentmail_headers_read(const cJSON *item, agentmail_headers_t *headers,
                                      mailbus_error_t *error)
{
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"headers\" is not an object");
    }
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, item)
    {
        const char *name = entry->string;
        const cJSON *value = entry;
        if (cJSON_IsArray(item)) {
            name = mailbus_json_string(entry, "name");
            value = mailbus_json_item(entry, "value");
        }
        if (name == NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL, "a header field without a name");
        }
        mailbus_code_t code = add_member(headers, name, value, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    return MAILBUS_OK;
}

/* The end of the line at `p`, its line feed not included; NULL where it has none. */
static const char *line_end(const char *p, const char *end)
{
    return p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 5322 §3.6.8: printable US-ASCII but the colon; blanks before the colon are obsolete syntax
 * that receivers must take (§4.5). */
static size_t name_size(const char *p, size_t size)
{
    size_t length = 0;
    while (length < size && p[length] > ' ' && p[length] < 0x7F && p[length] != ':') {
        length++;
    }
    return length;
}

static mailbus_code_t parse_field(const char *p, size_t size, agentmail_headers_t *headers,
                                  mailbus_error_t *error)
{
    size_t length = name_size(p, size);
    size_t colon = length;
    while (colon < size && is_blank(p[colon])) {
        colon++;
    }
    if (length == 0 || colon == size || p[colon] != ':') {
        return mailbus_fail(error, MAILBUS_EINVAL, "a line of the mail's header is not a field");
    }
    return add(headers, p, length, p + colon + 1, size - colon - 1, error);
}

mailbus_code_t agentmail_headers_parse(const char *data, size_t size, agentmail_headers_t *headers,
                                       mailbus_error_t *error)
{
    const char *p = data;
    const char *end = data + size;
    for (bool first = true;; first = false) {
        const char *stop = line_end(p, end);
        if (stop == NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "the mail's header does not end within %zu bytes", size);
        }
        if (stop == p || (stop == p + 1 && *p == '\r')) {
            return MAILBUS_OK;
        }
        while (stop + 1 < end && is_blank(stop[1])) { /* folded: the next line belongs to it */
            const char *next = line_end(stop + 1, end);
            if (next == NULL) {
                return mailbus_fail(error, MAILBUS_EINVAL,
                                    "the mail's header does not end within %zu bytes", size);
            }
            stop = next;
        }
        if (!first || stop - p < 5 || memcmp(p, "From ", 5) != 0) {
            mailbus_code_t code = parse_field(p, (size_t)(stop - p), headers, error);
            if (code != MAILBUS_OK) {
                return code;
            }
        }
        p = stop + 1;
    }
}

void agentmail_headers_free(agentmail_headers_t *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        free(headers->items[i].name);
        free(headers->items[i].value);
    }
    free(headers->items);
    *headers = (agentmail_headers_t)AGENTMAIL_HEADERS_INIT;
}

const char *agentmail_headers_next(const agentmail_headers_t *headers, const char *name, size_t *at)
{
    for (; *at < headers->count; ++*at) {
        if (agentmail_text_equal(headers->items[*at].name, name)) {
            return headers->items[(*at)++].value;
        }
    }
    return NULL;
}

const char *agentmail_headers_get(const agentmail_headers_t *headers, const char *name)
{
    size_t at = 0;
    return agentmail_headers_next(headers, name, &at);
}
