#include "field.h"

#include <string.h>

#include "mailbus/replay.h"

/* RFC 3339 with an offset and more decimals than any clock has. */
enum { TIME_MAX = 64 };

/* 2^64 has twenty digits. */
enum { SEQUENCE_MAX = 20 };

static bool in_charset(const char *text, field_charset_t charset)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f || (c > 0x7e && charset != FIELD_TEXT) ||
            (c == ' ' && charset == FIELD_GRAPHIC)) {
            return false;
        }
    }
    return true;
}

mailbus_code_t proto_field_string(const cJSON *object, const char *key, size_t most,
                                  field_charset_t charset, const char **ret_value,
                                  mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(object, key);
    if (item == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is missing", key);
    }
    if (!cJSON_IsString(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not a string", key);
    }
    const char *value = item->valuestring;
    if (value[0] == '\0' || strnlen(value, most + 1) > most) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is %s", key,
                            value[0] == '\0' ? "empty" : "too long");
    }
    if (!in_charset(value, charset)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" holds %s", key,
                            charset == FIELD_TEXT ? "a control character"
                                                  : "something else than printable ASCII");
    }
    *ret_value = value;
    return MAILBUS_OK;
}

mailbus_code_t proto_field_optional(const cJSON *object, const char *key, size_t most,
                                    field_charset_t charset, const char **ret_value,
                                    mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(object, key);
    if (item == NULL || cJSON_IsNull(item)) {
        *ret_value = NULL;
        return MAILBUS_OK;
    }
    return proto_field_string(object, key, most, charset, ret_value, error);
}

mailbus_code_t proto_field_sequence(const cJSON *object, const char *key, uint64_t least,
                                    uint64_t *ret_value, mailbus_error_t *error)
{
    const char *text = "";
    mailbus_code_t code =
        proto_field_string(object, key, SEQUENCE_MAX, FIELD_GRAPHIC, &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    uint64_t value = 0;
    if (mailbus_sequence_parse(text, &value) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not a decimal number", key);
    }
    if (value < least) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is below %llu", key,
                            (unsigned long long)least);
    }
    *ret_value = value;
    return MAILBUS_OK;
}

static bool is_uuid(const char *text)
{
    for (size_t i = 0; i < MAILBUS_UUID_SIZE - 1; i++) {
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (hyphen ? text[i] != '-' : !hex) {
            return false;
        }
    }
    return text[MAILBUS_UUID_SIZE - 1] == '\0';
}

mailbus_code_t proto_field_uuid(const cJSON *object, const char *key, const char **ret_value,
                                mailbus_error_t *error)
{
    const char *value = "";
    mailbus_code_t code =
        proto_field_string(object, key, MAILBUS_UUID_SIZE - 1, FIELD_GRAPHIC, &value, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (!is_uuid(value)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not a UUID in lower case", key);
    }
    *ret_value = value;
    return MAILBUS_OK;
}

mailbus_code_t proto_field_time(const cJSON *object, const char *key, const char **ret_value,
                                mailbus_error_t *error)
{
    const char *value = "";
    int64_t ms;
    mailbus_code_t code = proto_field_string(object, key, TIME_MAX, FIELD_GRAPHIC, &value, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mailbus_time_parse(value, &ms) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not an RFC 3339 time", key);
    }
    *ret_value = value;
    return MAILBUS_OK;
}

mailbus_code_t proto_field_request(const cJSON *object, bool may_be_empty, char *ret_request,
                                   mailbus_error_t *error)
{
    const char *text = mailbus_json_string(object, "request");
    if (may_be_empty && text != NULL && text[0] == '\0') {
        ret_request[0] = '\0';
        return MAILBUS_OK;
    }
    const char *value = "";
    mailbus_code_t code =
        proto_field_string(object, "request", MAILBUS_REQUEST_ID_MAX, FIELD_GRAPHIC, &value, error);
    if (code == MAILBUS_OK) {
        memcpy(ret_request, value, strlen(value) + 1);
    }
    return code;
}
