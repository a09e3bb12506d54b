#include "mailbus/json.h"

#include "json_keys.h"
#include "json_scan.h"

/* Of an object whose keys are compared: envelopes and headers have a dozen. */
enum { OBJECT_MAX_KEYS = 1000 };

mailbus_code_t mailbus_json_parse(const char *data, size_t size, cJSON **ret_tree,
                                  mailbus_error_t *error)
{
    size_t at = 0;
    const char *wrong = NULL;
    if (!proto_json_scan(data, size, &at, &wrong)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "not JSON at byte %zu: %s", at, wrong);
    }
    cJSON *tree = cJSON_ParseWithLength(data, size);
    if (tree == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for %zu bytes of JSON", size);
    }
    *ret_tree = tree;
    return MAILBUS_OK;
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
        code = mailbus_fail(error, MAILBUS_EINVAL, "not a JSON object");
    } else {
        code = proto_json_keys_check(tree, OBJECT_MAX_KEYS, "the object", error);
    }
    if (code != MAILBUS_OK) {
        cJSON_Delete(tree);
        return code;
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
        const unsigned char c = (unsigned char)text[at];
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
