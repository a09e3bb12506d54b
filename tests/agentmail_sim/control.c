/* /sim: what a test or a person does to the stand-in. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "call.h"
#include "event.h"
#include "incoming.h"
#include "mailbus/event.h"
#include "mailbus/json.h"
#include "memory.h"
#include "random_id.h"

/* The inbox a mail is for: as asked, else the first recipient that is one of ours, else the first
 * recipient. False where there is none. */
static bool choose_inbox(const sim_t *sim, const char *asked, const mail_t *mail,
                         char bare[ADDRESS_MAX + 1])
{
    if (asked != NULL) {
        return address_bare(asked, bare);
    }
    const cJSON *const lists[] = {mail->to, mail->cc};
    for (size_t at = 0; at < 2; at++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, lists[at])
        {
            if (sim_find_inbox(sim, item->valuestring) != NULL) {
                return address_bare(item->valuestring, bare);
            }
        }
    }
    return mail->to->child != NULL && address_bare(mail->to->child->valuestring, bare);
}

/* A key that is not known is a typing error here, where people write by hand. */
static const char *unknown_key(const cJSON *request)
{
    static const char *const known[] = {
        "from",       "to",         "cc",        "bcc",      "reply_to",    "subject",
        "text",       "html",       "headers",   "labels",   "attachments", "in_reply_to",
        "references", "message_id", "thread_id", "inbox_id", "event_id",    "event_type",
    };
    for (const cJSON *item = request->child; item != NULL; item = item->next) {
        bool found = false;
        for (size_t at = 0; at < sizeof known / sizeof *known; at++) {
            found = found || strcmp(item->string, known[at]) == 0;
        }
        if (!found) {
            return item->string;
        }
    }
    return NULL;
}

/* The mail in the body: a file, or JSON (then `ret_request` is the caller's to delete). */
static bool read_mail(call_t *call, mail_t *mail, cJSON **ret_request)
{
    size_t size = 0;
    const char *body = mb_http_body(call->request, &size);
    const char *type = mb_http_header(call->request, "Content-Type");
    mailbus_error_t error;
    if (type != NULL && strncasecmp(type, "message/rfc822", strlen("message/rfc822")) == 0) {
        if (eml_read(body, size, mail, &error) != MAILBUS_OK) {
            call_error(call, 400, NULL, "%s", error.text);
            return false;
        }
        return true;
    }
    cJSON *request = call_json(call);
    if (request == NULL) {
        return false;
    }
    *ret_request = request;
    const char *unknown = unknown_key(request);
    if (unknown != NULL) {
        call_error(call, 400, NULL, "'%.60s' is not a key of a mail", unknown);
        return false;
    }
    if (mail_read_json(request, true, mail, &error) != MAILBUS_OK) {
        call_error(call, 400, NULL, "%s", error.text);
        return false;
    }
    return true;
}

/* A word from the query, else from the JSON body, else NULL. Lent. */
static const char *option(const call_t *call, const cJSON *request, const char *name)
{
    const char *value = mb_http_query(call->request, name);
    return value != NULL ? value : mailbus_json_string(request, name);
}

static void take_mail(call_t *call, const cJSON *request, mail_t *mail)
{
    const char *event_type = option(call, request, "event_type");
    const char *event_id = option(call, request, "event_id");
    char inbox_id[ADDRESS_MAX + 1];
    char from[ADDRESS_MAX + 1];
    size_t size = 0;
    mb_http_body(call->request, &size);
    if (event_type != NULL &&
        mailbus_topic_check(event_type, strlen(event_type), NULL) != MAILBUS_OK) {
        call_error(call, 400, NULL, "event_type: '%.100s' is no event type", event_type);
    } else if (mail->from == NULL || !address_bare(mail->from, from)) {
        call_error(call, 400, NULL, "from must be an address");
    } else if (!choose_inbox(call->sim, option(call, request, "inbox_id"), mail, inbox_id)) {
        call_error(call, 400, NULL, "no inbox: give inbox_id or to");
    } else if (!event_has_room(call->sim, 1, 2 * size + 4096)) {
        call_error(call, 503, NULL,
                   "too many deliveries wait: the receiver of the webhooks is behind");
    } else {
        mailbus_error_t error;
        message_t *message = NULL;
        char *id = NULL;
        if (incoming_take(call->sim, inbox_id, mail, event_type, event_id, call->now_ms, &message,
                          &id, &error) != MAILBUS_OK) {
            call_error(call, 409, NULL, "%s", error.text);
            return;
        }
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddStringToObject(tree, "event_id", id);
        cJSON_AddStringToObject(tree, "message_id", message->mail.message_id);
        cJSON_AddStringToObject(tree, "thread_id", message->thread->id);
        cJSON_AddStringToObject(tree, "inbox_id", message->inbox_id);
        call_answer(call, 200, tree);
        free(id);
    }
}

void control_receive(call_t *call)
{
    cJSON *request = NULL;
    mail_t mail;
    mail_init(&mail);
    if (read_mail(call, &mail, &request)) {
        take_mail(call, request, &mail);
    }
    mail_clear(&mail);
    cJSON_Delete(request);
}

/* Is `id` what a header can hold? */
static bool is_delivery_id(const char *id)
{
    for (const char *at = id; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f) {
            return false;
        }
    }
    return *id != '\0' && strlen(id) <= MAILBUS_ID_MAX;
}

void control_events(call_t *call)
{
    size_t size = 0;
    const void *body = mb_http_body(call->request, &size);
    const char *scheme = mb_http_query(call->request, "scheme");
    const char *given = mb_http_query(call->request, "id");
    if (scheme != NULL && strcmp(scheme, "svix") != 0 && strcmp(scheme, "guide") != 0) {
        call_error(call, 400, NULL, "scheme must be svix or guide");
        return;
    }
    if (given != NULL && !is_delivery_id(given)) {
        call_error(call, 400, NULL, "id must be printable, without blanks, at most %d bytes",
                   MAILBUS_ID_MAX);
        return;
    }
    if (!event_has_room(call->sim, 1, size)) {
        call_error(call, 503, NULL,
                   "too many deliveries wait: the receiver of the webhooks is behind");
        return;
    }
    char *id = given != NULL ? memory_text(given) : random_base62("msg_", 27);
    size_t count =
        event_raw(call->sim, id, body, size, scheme != NULL && strcmp(scheme, "guide") == 0);
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "id", id);
    cJSON_AddNumberToObject(tree, "deliveries", (double)count);
    call_answer(call, 200, tree);
    free(id);
}

/* A whole number under `key`, `usual` where it is not there; false: it is something else. */
static bool read_number(const cJSON *request, const char *key, int64_t usual, int64_t most,
                        int64_t *ret_number)
{
    const cJSON *item = mailbus_json_item(request, key);
    *ret_number = usual;
    if (item == NULL) {
        return true;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= (double)most)) {
        return false;
    }
    *ret_number = (int64_t)item->valuedouble;
    return (double)*ret_number == item->valuedouble;
}

void control_fail(call_t *call)
{
    static const char *const modes[] = {"status", "reset", "after"};
    cJSON *request = call_json(call);
    if (request == NULL) {
        return;
    }
    const char *target = mailbus_json_string(request, "target");
    const char *mode = mailbus_json_string(request, "mode");
    int64_t count = 0;
    int64_t status = 0;
    int64_t retry_after = 0;
    size_t which = 0;
    while (mode != NULL && which < 3 && strcmp(mode, modes[which]) != 0) {
        which++;
    }
    bool webhook = target != NULL && strcmp(target, "webhook") == 0;
    if (!webhook && (target == NULL || strcmp(target, "api") != 0)) {
        call_error(call, 400, NULL, "target must be webhook or api");
    } else if (which == 3) {
        call_error(call, 400, NULL, "mode must be status, reset or after");
    } else if (!read_number(request, "count", 1, 1000000000, &count) ||
               !read_number(request, "status", 503, 599, &status) ||
               !read_number(request, "retry_after", 0, 86400, &retry_after) ||
               (status != 0 && status < 300)) {
        call_error(call, 400, NULL,
                   "count, status (0, or 300 to 599) and retry_after must be whole numbers");
    } else {
        const fail_rule_t rule = {count, (fail_mode_t)which, (unsigned)status,
                                  (unsigned)retry_after};
        if (webhook) {
            delivery_fail_next(call->sim->delivery, &rule);
        } else {
            call->sim->api_rule = rule;
        }
        call_answer(call, 200, cJSON_CreateObject());
    }
    cJSON_Delete(request);
}

void control_deliveries(call_t *call)
{
    size_t limit = call_limit(call, "limit", DELIVERY_WAITING_MAX, DELIVERY_WAITING_MAX);
    if (limit > 0) {
        call_answer(call, 200, delivery_report(call->sim->delivery, limit));
    }
}

void control_reset(call_t *call)
{
    sim_reset(call->sim, call->now_ms);
    call_answer(call, 200, cJSON_CreateObject());
}
