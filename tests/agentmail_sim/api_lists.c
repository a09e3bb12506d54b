/* /v0/lists/{send|receive|reply}/{allow|block} */
#include <string.h>

#include "call.h"
#include "mailbus/json.h"

/* Do the segments behind /v0/lists name a list? If not, 404 is answered. */
static bool check_list(call_t *call)
{
    if (!lists_known(call->parts[2], call->parts[3])) {
        call_error(call, 404, NULL,
                   "there is no list %.40s/%.40s: send, receive or reply, then "
                   "allow or block",
                   call->parts[2], call->parts[3]);
        return false;
    }
    return true;
}

void api_lists_list(call_t *call)
{
    if (check_list(call)) {
        call_answer(call, 200, lists_json(call->sim->lists, call->parts[2], call->parts[3]));
    }
}

void api_lists_create(call_t *call)
{
    cJSON *request = check_list(call) ? call_json(call) : NULL;
    if (request == NULL) {
        return;
    }
    const char *entry = mailbus_json_string(request, "entry");
    const cJSON *reason = mailbus_json_item(request, "reason");
    const cJSON *added = NULL;
    if (entry == NULL || (reason != NULL && !cJSON_IsString(reason) && !cJSON_IsNull(reason))) {
        call_error(call, 400, NULL, "entry must be an address or a domain, reason a string");
    } else {
        added = lists_add(call->sim->lists, call->parts[2], call->parts[3], entry,
                          cJSON_GetStringValue(reason), false, call->now_ms);
        if (added == NULL) {
            call_error(call, 400, NULL, "entry: '%.100s' is no address and no domain", entry);
        }
    }
    if (added != NULL) {
        call_answer(call, 200, cJSON_Duplicate(added, true));
    }
    cJSON_Delete(request);
}

void api_lists_get(call_t *call)
{
    if (!check_list(call)) {
        return;
    }
    const cJSON *entry =
        lists_find(call->sim->lists, call->parts[2], call->parts[3], call->parts[4]);
    if (entry == NULL) {
        call_error(call, 404, NULL, "%.200s is not on this list", call->parts[4]);
    } else {
        call_answer(call, 200, cJSON_Duplicate(entry, true));
    }
}

void api_lists_delete(call_t *call)
{
    if (!check_list(call)) {
        return;
    }
    if (!lists_remove(call->sim->lists, call->parts[2], call->parts[3], call->parts[4])) {
        call_error(call, 404, NULL, "%.200s is not on this list", call->parts[4]);
    } else {
        call_answer_text(call, 204, "application/json", "");
    }
}
