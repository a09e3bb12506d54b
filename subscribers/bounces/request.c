#include "request.h"

#include <string.h>

#include "agentmail/address.h"
#include "mailbus/json.h"

enum {
    LIMIT = 500,      /* rows of one answer, where the request says nothing */
    LIMIT_MAX = 2000, /* and where it does */
};

mailbus_code_t request_text(const cJSON *request, const char *key, const char **ret_text,
                            mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(request, key);
    if (item != NULL && !cJSON_IsNull(item) && !cJSON_IsString(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is a text", key);
    }
    const char *text = mailbus_json_string(request, key);
    *ret_text = text != NULL && text[0] != '\0' ? text : NULL;
    return MAILBUS_OK;
}

mailbus_code_t request_limit(const cJSON *request, int64_t *ret_limit, mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(request, "limit");
    if (item == NULL || cJSON_IsNull(item)) {
        *ret_limit = LIMIT;
        return MAILBUS_OK;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"limit\" is a number, at least 1");
    }
    *ret_limit = item->valuedouble > LIMIT_MAX ? LIMIT_MAX : (int64_t)item->valuedouble;
    return MAILBUS_OK;
}

mailbus_code_t request_address(const cJSON *request, char **ret_key, mailbus_error_t *error)
{
    const char *text = NULL;
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_error_t why = {0};
    mailbus_code_t code = request_text(request, "address", &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = agentmail_address_parse(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), &list,
                                   &why);
    if (code == MAILBUS_OK && list.count == 1) {
        agentmail_address_key(list.items[0].address, &key);
        *ret_key = mailbus_buf_take(&key, NULL);
        code = *ret_key != NULL ? code : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else if (code != MAILBUS_ENOMEM) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "say one mail address%s%s",
                            why.text[0] != '\0' ? ": " : "", why.text);
    }
    agentmail_addresses_free(&list);
    return code;
}
