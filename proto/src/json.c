#include "mailbus/json.h"

#include <stdlib.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at `at` (RFC 3629 §4), 0 where there is none. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    unsigned char first = at[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xc2 ? 0
                    : first < 0xe0 ? 2
                    : first < 0xf0 ? 3
                    : first < 0xf5 ? 4
                                   : 0;
    if (length == 0 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
        (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return length;
}

bool mailbus_utf8_valid(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    size_t at = 0;
    while (at < size) {
        if (bytes[at] < 0x80) {
            at++;
            continue;
        }
        size_t length = utf8_sequence(bytes + at, size - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

/* What cJSON would let pass, found in one pass before it: where it stands and what it is. */
typedef struct {
    const unsigned char *data;
    size_t size;
    size_t at;
    int depth;
    const char *wrong;
} scan_t;

/* Four hex digits at `at`; -1 where they are not. */
static int hex4(const unsigned char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static bool scan_unicode_escape(scan_t *scan)
{
    if (scan->size - scan->at < 6) {
        scan->wrong = "a \\u escape is cut short";
        return false;
    }
    int code = hex4(scan->data + scan->at + 2);
    if (code == 0) {
        scan->wrong = "\\u0000 is not allowed";
        return false;
    }
    if (code < 0 || (code >= 0xdc00 && code <= 0xdfff)) {
        scan->wrong = "a \\u escape is malformed";
        return false;
    }
    if (code < 0xd800 || code > 0xdbff) {
        scan->at += 6;
        return true;
    }
    const unsigned char *second = scan->data + scan->at + 6;
    int low = scan->size - scan->at >= 12 && second[0] == '\\' && second[1] == 'u'
                  ? hex4(second + 2)
                  : -1;
    if (low < 0xdc00 || low > 0xdfff) {
        scan->wrong = "a surrogate has no partner";
        return false;
    }
    scan->at += 12;
    return true;
}

/* From behind the opening quote to behind the closing one. */
static bool scan_string(scan_t *scan)
{
    while (scan->at < scan->size) {
        unsigned char c = scan->data[scan->at];
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c == '\\') {
            if (scan->at + 1 >= scan->size) {
                break;
            }
            if (scan->data[scan->at + 1] != 'u') {
                scan->at += 2;
            } else if (!scan_unicode_escape(scan)) {
                return false;
            }
        } else if (c < 0x20) {
            scan->wrong = "a control character stands in a string";
            return false;
        } else if (c < 0x80) {
            scan->at++;
        } else {
            size_t length = utf8_sequence(scan->data + scan->at, scan->size - scan->at);
            if (length == 0) {
                scan->wrong = "a string is not UTF-8";
                return false;
            }
            scan->at += length;
        }
    }
    scan->wrong = "a string has no end";
    return false;
}

static bool scan_document(scan_t *scan)
{
    while (scan->at < scan->size) {
        unsigned char c = scan->data[scan->at++];
        if (c == '"') {
            if (!scan_string(scan)) {
                return false;
            }
        } else if (c == '{' || c == '[') {
            if (++scan->depth > MAILBUS_JSON_MAX_DEPTH) {
                scan->wrong = "it is nested too deeply";
                return false;
            }
        } else if (c == '}' || c == ']') {
            scan->depth--;
        } else if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c >= 0x7f) {
            scan->wrong = "a character stands outside of strings that JSON does not know";
            return false;
        }
    }
    return true;
}

mailbus_code_t mailbus_json_parse(const char *data, size_t size, cJSON **ret_tree,
                                  mailbus_error_t *error)
{
    scan_t scan = {.data = (const unsigned char *)data, .size = size};
    if (!scan_document(&scan)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "not JSON at byte %zu: %s", scan.at, scan.wrong);
    }
    const char *end = NULL;
    cJSON *tree = cJSON_ParseWithLengthOpts(data, size, &end, 0);
    if (tree == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "not JSON at byte %zu",
                            end == NULL ? 0 : (size_t)(end - data));
    }
    while (end < data + size && (*end == ' ' || *end == '\t' || *end == '\n' || *end == '\r')) {
        end++;
    }
    if (end != data + size) {
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_EINVAL, "something follows the JSON at byte %zu",
                            (size_t)(end - data));
    }
    *ret_tree = tree;
    return MAILBUS_OK;
}

enum {
    MAX_KEYS = 1000,   /* of one checked object: envelopes and headers have a dozen */
    PAIRWISE_KEYS = 32 /* up to here comparing all pairs is quicker than sorting */
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first key that an object has twice, NULL where there is none. */
static const char *repeated_key(const cJSON *object, size_t count, const char **keys)
{
    size_t n = 0;
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        keys[n++] = item->string;
    }
    if (count > PAIRWISE_KEYS) {
        qsort(keys, count, sizeof *keys, compare_keys);
        for (size_t i = 1; i < count; i++) {
            if (strcmp(keys[i - 1], keys[i]) == 0) {
                return keys[i];
            }
        }
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (strcmp(keys[i], keys[j]) == 0) {
                return keys[i];
            }
        }
    }
    return NULL;
}

mailbus_code_t mailbus_json_parse_object(const char *data, size_t size, cJSON **ret_tree,
                                         mailbus_error_t *error)
{
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse(data, size, &tree, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (!cJSON_IsObject(tree)) {
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_EINVAL, "not a JSON object");
    }
    size_t count = 0;
    for (const cJSON *item = tree->child; item != NULL && count <= MAX_KEYS; item = item->next) {
        count++;
    }
    if (count > MAX_KEYS) {
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_ETOOBIG, "an object with more than %d keys", MAX_KEYS);
    }
    const char *keys[MAX_KEYS];
    if (repeated_key(tree, count, keys) != NULL) {
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_EINVAL, "a key stands twice in the object");
    }
    *ret_tree = tree;
    return MAILBUS_OK;
}

const cJSON *mailbus_json_item(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *mailbus_json_string(const cJSON *object, const char *key)
{
    const cJSON *item = mailbus_json_item(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

void mailbus_json_write_string(mailbus_buf_t *buf, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    mailbus_buf_char(buf, '"');
    size_t from = 0;
    for (size_t at = 0; at < size; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            continue;
        }
        mailbus_buf_append(buf, text + from, at - from);
        from = at + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            mailbus_buf_append(buf, escape, 2);
        } else {
            mailbus_buf_append(buf, escape, sizeof escape);
        }
    }
    mailbus_buf_append(buf, text + from, size - from);
    mailbus_buf_char(buf, '"');
}
