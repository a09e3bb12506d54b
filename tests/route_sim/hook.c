/* A receiver of webhooks: keeps what comes, with the header fields that a signature is checked by.
 */
#include <string.h>

#include "mailbus/json.h"
#include "stand.h"

void hook_take(request_t *request)
{
    static const char *const names[] = {"webhook-id", "webhook-timestamp", "webhook-signature",
                                        "content-type"};
    size_t size = 0;
    const char *body = mb_http_body(request->http, &size);
    if (!mailbus_utf8_valid(body, size) || strlen(body) != size) {
        reply_text(request, 400, "text/plain", "the body is not text");
        return;
    }
    cJSON *hook = cJSON_CreateObject();
    cJSON_AddStringToObject(hook, "name", request->parts[1]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = mb_http_header(request->http, names[i]);
        if (value != NULL) {
            cJSON_AddStringToObject(hook, names[i], value);
        }
    }
    cJSON_AddStringToObject(hook, "body", body);
    cJSON_AddItemToArray(request->stand->hooks, hook);
    reply_text(request, 200, "text/plain", "");
}
