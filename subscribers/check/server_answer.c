#include "server_answer.h"

#include <string.h>

#include "agentmail/address.h"

/* Where the parts of a message are. */
typedef struct {
    size_t envelope; /* frames from 0 on that are sent back: routing id, further ids, delimiter */
    size_t body;     /* frames behind it */
} shape_t;

/* The envelope ends with the first empty frame (RFC 28 §REP); a DEALER may leave it out, and then
 * is the routing id alone. False where nobody could be answered. */
static bool read_shape(mb_message_t *message, shape_t *ret_shape)
{
    size_t envelope = 1;
    for (size_t i = 1; i < message->count; i++) {
        if (mb_message_size(message, i) == 0) {
            envelope = i + 1;
            break;
        }
    }
    for (size_t i = 0; i < envelope; i++) {
        if (mb_message_size(message, i) > CHECK_ENVELOPE_MAX) {
            return false;
        }
    }
    *ret_shape = (shape_t){.envelope = envelope, .body = message->count - envelope};
    return message->count >= 1 && !message->too_many;
}

/* The first frame decides for the whole message: with ROUTER_MANDATORY it fails where the peer is
 * gone or has no room. */
static bool send_answer(void *socket, mb_message_t *message, const shape_t *shape,
                        const mailbus_buf_t *json)
{
    for (size_t i = 0; i < shape->envelope; i++) {
        if (mb_frame_send(socket, mb_message_data(message, i), mb_message_size(message, i), true,
                          NULL) != MAILBUS_OK) {
            return false;
        }
    }
    return mb_frame_send(socket, json->data, json->size, false, NULL) == MAILBUS_OK;
}

static answered_t refuse(const char *text, check_list_t *list)
{
    mailbus_check_error_write(text, &list->json);
    return ANSWERED_ERROR;
}

static answered_t ask_list(check_list_t *list, const char *address)
{
    char reason[MAILBUS_CHECK_REASON_MAX] = "";
    int64_t until_ms = 0;
    switch (list->decide(list->arg, address, reason, sizeof reason, &until_ms)) {
    case CHECK_YES:
        mailbus_check_answer_write(MAILBUS_CHECK_YES, NULL, 0, &list->json);
        return ANSWERED_YES;
    case CHECK_NO:
        mailbus_check_answer_write(MAILBUS_CHECK_NO, reason, until_ms, &list->json);
        return ANSWERED_NO;
    case CHECK_SILENT:
        break;
    }
    memcpy(list->why_silent, reason, sizeof reason);
    return ANSWERED_SILENT;
}

/* Exactly one mailbox, and no name beside it: an address is asked about, not a header. */
static answered_t answer_address(const char *text, check_list_t *list)
{
    agentmail_addresses_t found = AGENTMAIL_ADDRESSES_INIT;
    answered_t answered = ANSWERED_SILENT; /* without memory as without a list */
    mailbus_code_t code = agentmail_address_parse(text, strlen(text), &found, NULL);
    if (code != MAILBUS_ENOMEM) {
        answered = code == MAILBUS_OK && found.count == 1 && found.items[0].name[0] == '\0'
                       ? ask_list(list, found.items[0].address)
                       : refuse("\"address\" is not one mail address", list);
    }
    agentmail_addresses_free(&found);
    return answered;
}

static answered_t answer_body(const void *data, size_t size, check_list_t *list)
{
    mailbus_error_t error = {.code = MAILBUS_OK};
    mailbus_check_t check = {NULL, NULL};
    answered_t answered = ANSWERED_SILENT;
    mailbus_code_t code = mailbus_check_read(data, size, &check, &error);
    if (code != MAILBUS_ENOMEM) {
        answered =
            code == MAILBUS_OK ? answer_address(check.address, list) : refuse(error.text, list);
    }
    mailbus_check_free(&check);
    return answered;
}

answered_t check_server_answer(void *socket, mb_message_t *message, check_list_t *list)
{
    shape_t shape;
    if (!read_shape(message, &shape)) {
        return ANSWERED_DROPPED;
    }
    mailbus_buf_clear(&list->json);
    list->why_silent[0] = '\0';
    answered_t answered =
        shape.body == 1
            ? answer_body(mb_message_data(message, shape.envelope),
                          mb_message_size(message, shape.envelope), list)
            : refuse("a question is one frame of JSON, behind an empty one where more come", list);
    if (answered == ANSWERED_SILENT || list->json.failed) {
        return ANSWERED_SILENT;
    }
    return send_answer(socket, message, &shape, &list->json) ? answered : ANSWERED_UNSENT;
}
