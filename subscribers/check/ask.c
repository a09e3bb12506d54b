/* One question to all peers. The thread that asks owns the sockets; they live for that question. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "clock.h"
#include "peers_priv.h"
#include "zmq_monitor.h"
#include "zmq_socket.h"

enum {
    FRAME_MAX = MAILBUS_CHECK_MAX + 64, /* CURVE adds 33 bytes */
    RECONNECT_MS = 100,                 /* a peer that is just being restarted is met in time */
    HWM = 4,                            /* one question, one answer; what else comes can wait */
    WATCHED = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | MB_MONITOR_HANDSHAKE_FAILED,
};

/* A peer that is being asked. */
typedef struct {
    const peer_entry_t *entry;
    const char *own_name;
    check_reply_t *reply;
    void *socket; /* NULL: it is settled */
    mb_monitor_t *monitor;
    bool connected, shaken; /* as far as the monitor saw it */
    int failure;            /* ZMQ_EVENT_HANDSHAKE_FAILED_… */
} asking_t;

mailbus_code_t check_peer_socket(const check_peers_t *self, const peer_entry_t *entry,
                                 void **ret_socket, mailbus_error_t *error)
{
    const mb_socket_options_t options = {.send_hwm = HWM,
                                         .receive_hwm = HWM,
                                         .linger_ms = 0,
                                         .max_inbound = FRAME_MAX,
                                         .own = entry->name[0] != '\0' ? &self->own : NULL,
                                         .server_key = entry->server_key};
    const int pause = RECONNECT_MS;
    void *socket = NULL;
    mailbus_code_t code = mb_socket_new_client(self->context, ZMQ_DEALER, &options, &socket, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &pause, sizeof pause) != 0 ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL_MAX, &pause, sizeof pause) != 0) {
        code = mb_socket_fail(error, "can't set up a socket");
        mb_socket_close(&socket);
        return code;
    }
    *ret_socket = socket;
    return MAILBUS_OK;
}

/* --- what came of it ---------------------------------------------------------------------------
 */

static void one_line(const char *text, size_t size, char *out, size_t room)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    agentmail_text_line(text, size, room - 1, &line);
    snprintf(out, room, "%s", line.data != NULL ? line.data : "");
    mailbus_buf_free(&line);
}

static void settle(asking_t *asking, check_reply_kind_t kind, const char *reason)
{
    mb_monitor_destroy(&asking->monitor);
    mb_socket_close(&asking->socket);
    asking->reply->kind = kind;
    one_line(reason, strlen(reason), asking->reply->reason, sizeof asking->reply->reason);
}

static void take_reply(asking_t *asking, mb_message_t *message)
{
    mailbus_check_answer_t answer = {.reason = NULL};
    mailbus_error_t error = {.code = MAILBUS_OK};
    if (message->count != 2 || message->too_many || mb_message_size(message, 0) != 0) {
        settle(asking, CHECK_REPLY_NONE, "what came is not one frame behind an empty one");
        return;
    }
    mailbus_code_t code = mailbus_check_answer_read(mb_message_data(message, 1),
                                                    mb_message_size(message, 1), &answer, &error);
    if (code != MAILBUS_OK) {
        char text[sizeof error.text + 32];
        snprintf(text, sizeof text, "what came is unusable: %s", error.text);
        settle(asking, CHECK_REPLY_NONE, text);
        return;
    }
    asking->reply->until_ms = answer.until_ms;
    settle(asking, answer.verdict == MAILBUS_CHECK_YES ? CHECK_REPLY_YES : CHECK_REPLY_NO,
           answer.reason);
    mailbus_check_answer_free(&answer);
}

/* Why there is no answer, as far as the monitor knows. */
static void settle_silent(asking_t *asking, int64_t timeout_ms)
{
    const bool curve = asking->entry->name[0] != '\0';
    char text[320];
    if (asking->failure != 0 && curve) {
        snprintf(text, sizeof text,
                 "the key '%s' is not let in (%s failed): is it allowed there, was that program "
                 "reloaded since, and is clients/%s.key its key?",
                 asking->own_name, mb_monitor_failure(asking->failure), asking->entry->name);
    } else if (asking->failure != 0) {
        snprintf(text, sizeof text,
                 "it wants a key: set bus.curve_dir and write NAME@%.150s, NAME being its key",
                 asking->entry->endpoint);
    } else if (asking->shaken) {
        snprintf(text, sizeof text, "nothing came within %" PRId64 " ms", timeout_ms);
    } else if (asking->connected) {
        snprintf(text, sizeof text,
                 "something listens there, but within %" PRId64 " ms it did not greet as ZeroMQ "
                 "does%s",
                 timeout_ms, curve ? " with keys" : "");
    } else {
        snprintf(text, sizeof text, "nobody listened there for %" PRId64 " ms", timeout_ms);
    }
    settle(asking, CHECK_REPLY_NONE, text);
}

/* --- asking ------------------------------------------------------------------------------------
 */

/* Sent as REQ would: an empty frame, and the question. The queue of a new socket takes it. */
static void start(const check_peers_t *self, asking_t *asking, const mailbus_buf_t *question)
{
    mailbus_error_t error = {.code = MAILBUS_OK};
    mailbus_code_t code = check_peer_socket(self, asking->entry, &asking->socket, &error);
    if (code == MAILBUS_OK) {
        code = mb_monitor_new(self->context, asking->socket, WATCHED, &asking->monitor, &error);
    }
    if (code == MAILBUS_OK) {
        code = mb_socket_connect(asking->socket, asking->entry->endpoint, &error);
    }
    if (code == MAILBUS_OK) {
        code = mb_frame_send(asking->socket, "", 0, true, &error);
    }
    if (code == MAILBUS_OK) {
        code = mb_frame_send(asking->socket, question->data, question->size, false, &error);
    }
    if (code != MAILBUS_OK) {
        settle(asking, CHECK_REPLY_NONE, error.text);
    }
}

static void read_monitor(asking_t *asking)
{
    mb_monitor_event_t event;
    while (mb_monitor_next(asking->monitor, &event) == MAILBUS_OK) {
        asking->connected = true; /* all that is watched comes of a connection */
        if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            asking->shaken = true;
            asking->failure = 0;
        } else if (event.event != ZMQ_EVENT_CONNECTED) {
            asking->failure = event.event;
        }
    }
}

/* Look at one peer; true where it is settled. */
static bool look(asking_t *asking, int64_t timeout_ms)
{
    mb_message_t message;
    if (mb_message_receive(asking->socket, &message, NULL) == MAILBUS_OK) {
        take_reply(asking, &message);
        mb_message_close(&message);
        return true;
    }
    read_monitor(asking);
    /* Refused for the key: that comes again at every attempt, no need to wait. */
    if (asking->failure == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        settle_silent(asking, timeout_ms);
        return true;
    }
    return false;
}

/* Wait for the first of those that are not settled, and look at all of them. */
static void wait_and_look(asking_t *asking, size_t count, int64_t left_ms, int64_t timeout_ms)
{
    zmq_pollitem_t items[2 * CHECK_PEERS_MAX];
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        if (asking[i].socket != NULL) {
            items[used++] = (zmq_pollitem_t){.socket = asking[i].socket, .events = ZMQ_POLLIN};
            items[used++] = (zmq_pollitem_t){.socket = mb_monitor_socket(asking[i].monitor),
                                             .events = ZMQ_POLLIN};
        }
    }
    zmq_poll(items, used, (long)left_ms); /* a signal only makes it look earlier */
    for (size_t i = 0; i < count; i++) {
        if (asking[i].socket != NULL) {
            (void)look(&asking[i], timeout_ms);
        }
    }
}

/* True where nothing more is to be waited for. */
static bool is_settled(const asking_t *asking, size_t count, bool stop_at_no)
{
    bool settled = true;
    for (size_t i = 0; i < count; i++) {
        if (stop_at_no && asking[i].socket == NULL && asking[i].reply->kind == CHECK_REPLY_NO) {
            return true;
        }
        settled = settled && asking[i].socket == NULL;
    }
    return settled;
}

mailbus_code_t check_peers_ask(const check_peers_t *self, const char *address, int64_t timeout_ms,
                               bool stop_at_no, check_reply_t *replies, mailbus_error_t *error)
{
    asking_t asking[CHECK_PEERS_MAX];
    mailbus_buf_t question = MAILBUS_BUF_INIT;
    const int64_t end_ms = mb_clock_monotonic_ms() + timeout_ms;
    mailbus_code_t code = mailbus_check_write(address, &question, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    for (size_t i = 0; i < self->count; i++) {
        replies[i] = (check_reply_t){.kind = CHECK_REPLY_NONE};
        asking[i] = (asking_t){
            .entry = &self->entries[i], .own_name = self->own_name, .reply = &replies[i]};
        start(self, &asking[i], &question);
    }
    int64_t left_ms = timeout_ms;
    while (!is_settled(asking, self->count, stop_at_no) && left_ms > 0) {
        wait_and_look(asking, self->count, left_ms, timeout_ms);
        left_ms = end_ms - mb_clock_monotonic_ms();
    }
    for (size_t i = 0; i < self->count; i++) {
        if (asking[i].socket != NULL) {
            settle_silent(&asking[i], timeout_ms);
        }
    }
out:
    mailbus_buf_free(&question);
    return code;
}
