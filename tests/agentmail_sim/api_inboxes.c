/* /v0/inboxes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "call.h"
#include "mailbus/json.h"
#include "random_id.h"

void api_inboxes_list(call_t *call)
{
    size_t limit = call_limit(call, "limit", SIM_INBOXES_MAX, SIM_INBOXES_MAX);
    if (limit == 0) {
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON *array = cJSON_CreateArray();
    size_t count = 0;
    const cJSON *inbox;
    cJSON_ArrayForEach(inbox, call->sim->inboxes)
    {
        if (count < limit) {
            cJSON_AddItemToArray(array, cJSON_Duplicate(inbox, true));
            count++;
        }
    }
    cJSON_AddNumberToObject(tree, "count", (double)count);
    cJSON_AddItemToObject(tree, "inboxes", array);
    call_answer(call, 200, tree);
}

static void answer_inbox(call_t *call, const cJSON *inbox)
{
    call_answer(call, 200, cJSON_Duplicate(inbox, true));
}

void api_inboxes_get(call_t *call)
{
    const cJSON *inbox = sim_find_inbox(call->sim, call->parts[2]);
    if (inbox == NULL) {
        call_error(call, 404, NULL, "there is no inbox %.200s", call->parts[2]);
        return;
    }
    answer_inbox(call, inbox);
}

static const cJSON *find_client(const sim_t *sim, const char *client_id)
{
    const cJSON *inbox;
    cJSON_ArrayForEach(inbox, sim->inboxes)
    {
        const char *id = mailbus_json_string(inbox, "client_id");
        if (client_id != NULL && id != NULL && strcmp(id, client_id) == 0) {
            return inbox;
        }
    }
    return NULL;
}

/* username@domain, each with its default; false: they make no address. */
static bool make_address(const cJSON *request, char bare[ADDRESS_MAX + 1])
{
    const char *username = mailbus_json_string(request, "username");
    const char *domain = mailbus_json_string(request, "domain");
    char text[ADDRESS_MAX + 1];
    char *random = random_hex("inbox-", 8);
    int size = snprintf(text, sizeof text, "%s@%s", username != NULL ? username : random,
                        domain != NULL ? domain : "agentmail.to");
    free(random);
    return size > 0 && (size_t)size < sizeof text && strchr(text, '<') == NULL &&
           address_bare(text, bare);
}

void api_inboxes_create(call_t *call)
{
    static const char *const texts[] = {"username", "domain", "display_name", "client_id"};
    cJSON *request = call_json(call);
    if (request == NULL) {
        return;
    }
    char bare[ADDRESS_MAX + 1];
    for (size_t at = 0; at < sizeof texts / sizeof *texts; at++) {
        const cJSON *item = mailbus_json_item(request, texts[at]);
        if (item != NULL && !cJSON_IsString(item) && !cJSON_IsNull(item)) {
            call_error(call, 400, NULL, "%s must be a string", texts[at]);
            goto out;
        }
    }
    const char *display = mailbus_json_string(request, "display_name");
    const char *client_id = mailbus_json_string(request, "client_id");
    const cJSON *there = find_client(call->sim, client_id);
    if (there != NULL) { /* the same client asks again */
        answer_inbox(call, there);
    } else if (!make_address(request, bare) ||
               (display != NULL && strpbrk(display, "\r\n<>\"") != NULL)) {
        call_error(call, 400, NULL, "username, domain or display_name make no address");
    } else if (sim_find_inbox(call->sim, bare) != NULL) {
        call_error(call, 403, "is_taken", "%s is taken", bare);
    } else if (cJSON_GetArraySize(call->sim->inboxes) >= SIM_INBOXES_MAX) {
        call_error(call, 403, "limit_exceeded", "there are %d inboxes already", SIM_INBOXES_MAX);
    } else {
        cJSON *inbox = sim_inbox(call->sim, bare, call->now_ms);
        if (display != NULL) {
            cJSON_AddStringToObject(inbox, "display_name", display);
        }
        if (client_id != NULL) {
            cJSON_AddStringToObject(inbox, "client_id", client_id);
        }
        answer_inbox(call, inbox);
    }
out:
    cJSON_Delete(request);
}
