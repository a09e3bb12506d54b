#include "agentmail/outcome.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/address.h"
#include "mailbus/json.h"

static const struct {
    const char *key;
    agentmail_outcome_kind_t kind;
} bodies[] = {
    {"send", AGENTMAIL_SENT},
    {"delivery", AGENTMAIL_DELIVERED},
    {"delivered", AGENTMAIL_DELIVERED},
    {"bounce", AGENTMAIL_BOUNCED},
    {"complaint", AGENTMAIL_COMPLAINED},
    {"reject", AGENTMAIL_REJECTED},
    {"open", AGENTMAIL_OPENED},
};

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = mailbus_json_string(object, key);
    return text == NULL || text[0] == '\0' ? NULL : text;
}

/* "a@b", {"address": "a@b", "status": …} or {"email": …}. */
static mailbus_code_t read_recipient(const cJSON *item, agentmail_outcome_t *outcome,
                                     mailbus_error_t *error)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_code_t code = agentmail_address_read(item, &list, error);
    if (code == MAILBUS_OK && list.count == 1) {
        agentmail_recipient_t *recipient = &outcome->recipients[outcome->recipient_count];
        recipient->address = strdup(list.items[0].address);
        recipient->status = text_of(item, "status");
        if (recipient->address == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        } else {
            outcome->recipient_count++;
        }
    }
    agentmail_addresses_free(&list);
    return code == MAILBUS_ENOMEM ? code : MAILBUS_OK;
}

static mailbus_code_t read_recipients(const cJSON *item, agentmail_outcome_t *outcome,
                                      mailbus_error_t *error)
{
    size_t room = cJSON_IsArray(item) ? (size_t)cJSON_GetArraySize(item) : item != NULL ? 1 : 0;
    if (room > AGENTMAIL_RECIPIENTS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "%zu recipients in one event", room);
    }
    if (room == 0) {
        return MAILBUS_OK;
    }
    outcome->recipients = calloc(room, sizeof *outcome->recipients);
    if (outcome->recipients == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (!cJSON_IsArray(item)) {
        return read_recipient(item, outcome, error);
    }
    mailbus_code_t code = MAILBUS_OK;
    for (const cJSON *entry = item->child; entry != NULL && code == MAILBUS_OK;
         entry = entry->next) {
        code = read_recipient(entry, outcome, error);
    }
    return code;
}

static const cJSON *find_body(const cJSON *tree, agentmail_outcome_kind_t *ret_kind)
{
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const cJSON *body = mailbus_json_item(tree, bodies[i].key);
        if (cJSON_IsObject(body)) {
            *ret_kind = bodies[i].kind;
            return body;
        }
    }
    return NULL;
}

mailbus_code_t agentmail_outcome_read(const char *body, size_t size,
                                      agentmail_outcome_t **ret_outcome, mailbus_error_t *error)
{
    agentmail_outcome_t *outcome = calloc(1, sizeof *outcome);
    if (outcome == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = mailbus_json_parse_object(body, size, &outcome->tree, error);
    const cJSON *object = code == MAILBUS_OK ? find_body(outcome->tree, &outcome->kind) : NULL;
    if (code == MAILBUS_OK && object == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "an event without the fate of a mail");
    }
    if (code == MAILBUS_OK) {
        outcome->inbox_id = text_of(object, "inbox_id");
        outcome->thread_id = text_of(object, "thread_id");
        outcome->message_id = text_of(object, "message_id");
        outcome->timestamp = text_of(object, "timestamp");
        outcome->type = text_of(object, "type");
        outcome->sub_type = text_of(object, "sub_type");
        outcome->reason = text_of(object, "reason");
        code = read_recipients(mailbus_json_item(object, "recipients"), outcome, error);
    }
    if (code == MAILBUS_OK) {
        *ret_outcome = outcome;
        outcome = NULL;
    }
    agentmail_outcome_free(&outcome);
    return code;
}

void agentmail_outcome_free(agentmail_outcome_t **outcome_p)
{
    agentmail_outcome_t *outcome = *outcome_p;
    if (outcome == NULL) {
        return;
    }
    for (size_t i = 0; i < outcome->recipient_count; i++) {
        free(outcome->recipients[i].address);
    }
    free(outcome->recipients);
    cJSON_Delete(outcome->tree);
    free(outcome);
    *outcome_p = NULL;
}
