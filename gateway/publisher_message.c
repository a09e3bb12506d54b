#include "publisher_message.h"

#include <string.h>

mailbus_code_t publisher_event_frames(event_t *event, const char *stream,
                                      gateway_account_t *account, mailbus_buf_t *buffer,
                                      zmq_msg_t frames[3])
{
    mailbus_buf_clear(buffer);
    mailbus_code_t code = event_header(event, stream, buffer, NULL);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = gateway_frame_copy(event->topic, strlen(event->topic), &frames[0]);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = gateway_frame_copy(buffer->data, buffer->size, &frames[1]);
    if (code == MAILBUS_OK) {
        code = gateway_parcel_event(account, event, &frames[2]);
        if (code == MAILBUS_OK) {
            return MAILBUS_OK;
        }
        zmq_msg_close(&frames[1]);
    }
    zmq_msg_close(&frames[0]);
    return code;
}

mailbus_code_t publisher_heads_frames(const mailbus_heads_t *heads, mailbus_buf_t *buffer,
                                      zmq_msg_t frames[3])
{
    static const char topic[] = MAILBUS_TOPIC_HEADS;
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    mailbus_buf_clear(buffer);
    mailbus_code_t code = mailbus_heads_encode(heads, &header, buffer, NULL);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = gateway_frame_copy(topic, sizeof topic - 1, &frames[0]);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = gateway_frame_copy(header.data, header.size, &frames[1]);
    if (code != MAILBUS_OK) {
        zmq_msg_close(&frames[0]);
        goto out;
    }
    code = gateway_frame_copy(buffer->data, buffer->size, &frames[2]);
    if (code != MAILBUS_OK) {
        zmq_msg_close(&frames[0]);
        zmq_msg_close(&frames[1]);
    }
out:
    mailbus_buf_free(&header);
    return code;
}

bool publisher_send(void *socket, zmq_msg_t frames[3])
{
    for (int i = 0; i < 3; i++) {
        if (zmq_msg_send(&frames[i], socket, ZMQ_DONTWAIT | (i < 2 ? ZMQ_SNDMORE : 0)) < 0) {
            for (int rest = i; rest < 3; rest++) {
                zmq_msg_close(&frames[rest]);
            }
            return false;
        }
    }
    return true;
}
