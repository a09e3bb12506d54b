#include "command.h"

#include <inttypes.h>
#include <string.h>

#include "mailbus/json.h"
#include "mailbus/replay.h"

mailbus_code_t mb_command_text(const cJSON *request, const char *key, const char **ret_text,
                               mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(request, key);
    if (item != NULL && !cJSON_IsNull(item) && !cJSON_IsString(item)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is a text", key);
    }
    *ret_text = mailbus_json_string(request, key);
    return MAILBUS_OK;
}

mailbus_code_t mb_command_number(const cJSON *request, const char *key, mb_command_bounds_t bounds,
                                 int64_t *ret_number, mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(request, key);
    if (item == NULL || cJSON_IsNull(item)) {
        *ret_number = bounds.otherwise;
        return MAILBUS_OK;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= (double)bounds.least) ||
        item->valuedouble > (double)bounds.most ||
        item->valuedouble != (double)(int64_t)item->valuedouble) {
        return bounds.most < MB_COMMAND_NUMBER_MAX
                   ? mailbus_fail(error, MAILBUS_EINVAL,
                                  "\"%s\" is a whole number from %" PRId64 " to %" PRId64, key,
                                  bounds.least, bounds.most)
                   : mailbus_fail(error, MAILBUS_EINVAL,
                                  "\"%s\" is a whole number from %" PRId64 " on", key,
                                  bounds.least);
    }
    *ret_number = (int64_t)item->valuedouble;
    return MAILBUS_OK;
}

mailbus_code_t mb_command_run(mb_command_fn *command, sqlite3 *db, const char *request, size_t size,
                              int64_t now_ms, mailbus_buf_t *answer, mailbus_error_t *error)
{
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(request, size, &tree, error);
    if (code == MAILBUS_OK) {
        code = command(db, tree, now_ms, answer, error);
    }
    cJSON_Delete(tree);
    return code;
}

mailbus_code_t mb_command_answer(cJSON **tree_p, mailbus_buf_t *answer, mailbus_error_t *error)
{
    char *text = *tree_p != NULL ? cJSON_PrintUnformatted(*tree_p) : NULL;
    cJSON_Delete(*tree_p);
    *tree_p = NULL;
    if (text == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_buf_text(answer, text);
    cJSON_free(text);
    return answer->failed ? mailbus_fail(error, MAILBUS_ETOOBIG, "the answer is too long")
                          : MAILBUS_OK;
}

static void write_key(mailbus_buf_t *answer, const char *key)
{
    if (answer->size > 0 && answer->data[answer->size - 1] != '{') {
        mailbus_buf_char(answer, ',');
    }
    mailbus_buf_printf(answer, "\"%s\":", key);
}

void mb_command_write_text(mailbus_buf_t *answer, const char *key, const char *text)
{
    write_key(answer, key);
    if (text == NULL) {
        mailbus_buf_text(answer, "null");
    } else {
        mailbus_json_write_string(answer, text, strlen(text));
    }
}

void mb_command_write_number(mailbus_buf_t *answer, const char *key, int64_t number)
{
    write_key(answer, key);
    mailbus_buf_printf(answer, "%" PRId64, number);
}

void mb_command_write_time(mailbus_buf_t *answer, const char *key, int64_t time_ms)
{
    char time[MAILBUS_TIME_SIZE];
    if (time_ms > 0) {
        mailbus_time_format(time_ms, time);
    }
    mb_command_write_text(answer, key, time_ms > 0 ? time : NULL);
}
