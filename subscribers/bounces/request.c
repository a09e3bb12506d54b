#include "request.h"

#include <string.h>

#include "agentmail/address.h"
#include "command.h"

enum {
    LIMIT = 500,      /* rows of one answer, where the request says nothing */
    LIMIT_MAX = 2000, /* and where it does */
};

mailbus_code_t request_text(const cJSON *request, const char *key, const char **ret_text,
                            mailbus_error_t *error)
{
    const char *text = NULL;
    mailbus_code_t code = mb_command_text(request, key, &text, error);
    *ret_text = text != NULL && text[0] != '\0' ? text : NULL;
    return code;
}

mailbus_code_t request_limit(const cJSON *request, int64_t *ret_limit, mailbus_error_t *error)
{
    static const mb_command_bounds_t bounds = {1, MB_COMMAND_NUMBER_MAX, LIMIT};
    int64_t limit = 0;
    mailbus_code_t code = mb_command_number(request, "limit", bounds, &limit, error);
    *ret_limit = limit > LIMIT_MAX ? LIMIT_MAX : limit;
    return code;
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
