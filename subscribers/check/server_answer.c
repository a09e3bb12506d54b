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

static answered_t refuse(const char *text, mailbus_buf_t *json)
{
    mailbus_check_error_write(text, json);
    return ANSWERED_ERROR;
}

static answered_t ask_list(check_decide_fn *decide, void *arg, const char *address,
                           mailbus_buf_t *json)
{
    char reason[MAILBUS_CHECK_REASON_MAX] = "";
    int64_t until_ms = 0;
    switch (decide(arg, address, reason, sizeof reason, &until_ms)) {
    case CHECK_YES:
        mailbus_check_answer_write(MAILBUS_CHECK_YES, NULL, 0, json);
        return ANSWERED_YES;
    case CHECK_NO:
        mailbus_check_answer_write(MAILBUS_CHECK_NO, reason, until_ms, json);
        return ANSWERED_NO;
    case CHECK_SILENT:
        break;
    }
    return ANSWERED_SILENT;
}

/* Exactly one mailbox, and no name beside it: an address is asked about, not a header. */
static answered_t answer_address(const char *text, check_decide_fn *decide, void *arg,
                                 mailbus_buf_t *json)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    answered_t answered;
    mailbus_code_t code = agentmail_address_parse(text, strlen(text), &list, NULL);
    if (code == MAILBUS_ENOMEM) {
        answered = ANSWERED_SILENT;
    } else if (code != MAILBUS_OK || list.count != 1 || list.items[0].name[0] != '\0') {
        answered = refuse("\"address\" is not one mail address", json);
    } else {
        answered = ask_list(decide, arg, list.items[0].address, json);
    }
    agentmail_addresses_free(&list);
    return answered;
}

static answered_t answer_body(const void *data, size_t size, check_decide_fn *decide, void *arg,
                              mailbus_buf_t *json)
{
    mailbus_error_t error = {.code = MAILBUS_OK};
    mailbus_check_t check = {NULL, NULL};
    answered_t answered;
    switch (mailbus_check_read(data, size, &check, &error)) {
    case MAILBUS_OK:
        answered = answer_address(check.address, decide, arg, json);
        break;
    case MAILBUS_ENOMEM:
        answered = ANSWERED_SILENT;
        break;
    default:
        answered = refuse(error.text, json);
        break;
    }
    mailbus_check_free(&check);
    return answered;
}

answered_t check_server_answer(void *socket, mb_message_t *message, check_decide_fn *decide,
                               void *arg, mailbus_buf_t *json)
{
    shape_t shape;
    if (!read_shape(message, &shape)) {
        return ANSWERED_DROPPED;
    }
    mailbus_buf_clear(json);
    answered_t answered =
        shape.body == 1
            ? answer_body(mb_message_data(message, shape.envelope),
                          mb_message_size(message, shape.envelope), decide, arg, json)
            : refuse("a question is one frame of JSON, behind an empty one where more come", json);
    if (answered == ANSWERED_SILENT || json->failed) {
        return ANSWERED_SILENT; /* without memory as without a list */
    }
    return send_answer(socket, message, &shape, json) ? answered : ANSWERED_UNSENT;
}
