#include "mails.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

agentmail_message_t *mail_with(const char *json)
{
    cJSON *tree = cJSON_Parse("{\"inbox_id\":\"support@agentmail.to\",\"message_id\":\"<m@x>\","
                              "\"from\":\"Jane Doe <jane@example.com>\","
                              "\"to\":[\"Support <support@agentmail.to>\"],"
                              "\"subject\":\"Question\"}");
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&text, "{%s}", json);
    cJSON *more = cJSON_Parse(text.data);
    assert_non_null(tree);
    assert_non_null(more);
    while (more->child != NULL) {
        cJSON *item = cJSON_DetachItemViaPointer(more, more->child);
        char *key = strdup(item->string);
        cJSON_DeleteItemFromObjectCaseSensitive(tree, key);
        assert_true(cJSON_AddItemToObject(tree, key, item));
        free(key);
    }
    char *printed = cJSON_PrintUnformatted(tree);
    agentmail_message_t *message = NULL;
    mailbus_error_t error = {0};
    if (agentmail_message_read(printed, strlen(printed), &message, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", error.text, printed);
    }
    cJSON_free(printed);
    cJSON_Delete(more);
    cJSON_Delete(tree);
    mailbus_buf_free(&text);
    return message;
}
