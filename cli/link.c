#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"
#include "signals.h"

enum {
    RECEIVE_HWM = 10000,            /* events that wait here while a terminal scrolls */
    MESSAGE_MAX = 16 * 1024 * 1024, /* bytes of a frame that we take from a gateway */
};

struct link {
    void *context;
    int signal_fd;
    int timeout_ms;
    bool curve;
    mb_key_pair_t own;
    mb_key_pair_t server;
    char name[MB_KEY_NAME_MAX + 1];
    peer_t *replay;
    peer_t *publish;
    uint64_t requests;
};

static mailbus_code_t load_keys(link_t *self, cli_t *cli, mailbus_error_t *error)
{
    const char *dir = mb_settings_text(cli->settings, "bus.curve_dir");
    const char *name = mb_settings_text(cli->settings, "bus.curve_name");
    snprintf(self->name, sizeof self->name, "%s", name);
    if (dir[0] == '\0') {
        return MAILBUS_OK;
    }
    mailbus_code_t code = mb_keys_load_client(dir, name, &self->own, error);
    if (code == MAILBUS_ENOTFOUND) {
        return mailbus_fail(error, code,
                            "%.80s holds no key named %.64s (bus.curve_name): 'mailbus keys new "
                            "%.64s' makes one",
                            dir, name, name);
    }
    if (code == MAILBUS_OK) {
        code = mb_keys_load_server_public(dir, &self->server, error);
    }
    self->curve = code == MAILBUS_OK;
    return code;
}

static mailbus_code_t new_peer(link_t *self, int type, const char *endpoint, const char *setting,
                               peer_t **ret_peer, mailbus_error_t *error)
{
    const peer_options_t options = {
        .endpoint = endpoint,
        .setting = setting,
        .key_name = self->name,
        .socket = {.receive_hwm = RECEIVE_HWM,
                   .max_inbound = MESSAGE_MAX,
                   .own = self->curve ? &self->own : NULL,
                   .server_key = self->server.public_key},
    };
    return peer_new(self->context, type, &options, ret_peer, error);
}

mailbus_code_t link_new(cli_t *cli, link_t **ret_self, mailbus_error_t *error)
{
    link_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->signal_fd = -1;
    self->timeout_ms = (int)mb_settings_integer(cli->settings, "cli.timeout");
    mailbus_code_t code = mb_signals_block(&self->signal_fd, error);
    if (code == MAILBUS_OK) {
        code = load_keys(self, cli, error);
    }
    if (code == MAILBUS_OK) {
        self->context = zmq_ctx_new();
        code = self->context != NULL ? MAILBUS_OK
                                     : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = new_peer(self, ZMQ_DEALER, mb_settings_text(cli->settings, "bus.replay"),
                        "bus.replay", &self->replay, error);
    }
    if (code == MAILBUS_OK) {
        code = new_peer(self, ZMQ_SUB, mb_settings_text(cli->settings, "bus.publish"),
                        "bus.publish", &self->publish, error);
    }
    if (code != MAILBUS_OK) {
        link_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void link_destroy(link_t **self_p)
{
    link_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    peer_destroy(&self->publish);
    peer_destroy(&self->replay);
    if (self->context != NULL) {
        zmq_ctx_term(self->context);
    }
    if (self->signal_fd >= 0) {
        close(self->signal_fd);
    }
    explicit_bzero(&self->own, sizeof self->own);
    free(self);
    *self_p = NULL;
}

mailbus_code_t link_read_stream(cli_t *cli, const char *key, char stream[MAILBUS_UUID_SIZE],
                                mailbus_error_t *error)
{
    const char *text = mb_settings_text(cli->settings, key);
    size_t size = strlen(text);
    if (size != 0 &&
        (size != MAILBUS_UUID_SIZE - 1 || strspn(text, "0123456789abcdefABCDEF-") != size)) {
        return cli_usage(cli, error, "a stream is a UUID, as 'mailbus status' shows it");
    }
    memcpy(stream, text, size + 1);
    return MAILBUS_OK;
}

int link_timeout_ms(const link_t *self)
{
    return self->timeout_ms;
}

mailbus_code_t link_silent(link_t *self, mailbus_error_t *error)
{
    return peer_diagnose(self->publish, error);
}

static mailbus_code_t fail_answer(const mailbus_answer_t *answer, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_EIO;
    switch (answer->code) {
    case 400:
        code = MAILBUS_EINVAL;
        break;
    case 403:
        code = MAILBUS_EACCESS;
        break;
    case 404:
        code = MAILBUS_ENOTFOUND;
        break;
    case 429:
        code = MAILBUS_EAGAIN;
        break;
    default:
        break;
    }
    char text[200]; /* a gateway is trusted with events, not with this terminal */
    size_t size = 0;
    for (const char *at = answer->message; *at != '\0' && size < sizeof text - 1; at++) {
        bool plain = *at >= ' ' && *at <= '~';
        text[size] = '?';
        if (plain) {
            text[size] = *at;
        }
        size++;
    }
    text[size] = '\0';
    return mailbus_fail(error, code, "the gateway says: %s (%d)", text, answer->code);
}

/* What is being answered. */
typedef struct {
    const char *request;
    link_visit_fn *visit;
    void *arg;
    bool enough;           /* the visitor wants no more; the rest of the page still comes */
    uint64_t *ret_trimmed; /* NULL: not wanted */
    mailbus_answer_t *end;
} page_t;

static bool is_verb(mb_message_t *message, mailbus_replay_kind_t kind)
{
    const char *verb = mailbus_replay_verb(kind);
    return message->count > 0 && mb_message_size(message, 0) == strlen(verb) &&
           memcmp(mb_message_data(message, 0), verb, strlen(verb)) == 0;
}

static mailbus_code_t take_event(page_t *page, mb_message_t *message, mailbus_error_t *error)
{
    if (message->count != 5 || message->too_many) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the gateway sent an EVENT of %zu frames",
                            message->count);
    }
    size_t size = strlen(page->request);
    if (mb_message_size(message, 1) != size ||
        memcmp(mb_message_data(message, 1), page->request, size) != 0) {
        return MAILBUS_OK; /* of a page that was given up */
    }
    mailbus_event_t *event = NULL;
    mailbus_code_t code = mailbus_event_decode(
        mb_message_data(message, 2), mb_message_size(message, 2), mb_message_data(message, 3),
        mb_message_size(message, 3), mb_message_data(message, 4), mb_message_size(message, 4),
        &event, error);
    if (code == MAILBUS_OK && !page->enough && page->visit != NULL) {
        page->enough = !page->visit(page->arg, event, mb_message_data(message, 3),
                                    mb_message_size(message, 3));
    }
    mailbus_event_free(&event);
    return code;
}

static mailbus_code_t take_answer(page_t *page, mb_message_t *message, mailbus_error_t *error)
{
    if (message->count != 2) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the gateway sent an answer of %zu frames",
                            message->count);
    }
    mailbus_answer_t *answer = NULL;
    mailbus_code_t code = mailbus_answer_decode(
        mb_message_data(message, 0), mb_message_size(message, 0), mb_message_data(message, 1),
        mb_message_size(message, 1), &answer, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (strcmp(answer->request, page->request) == 0) {
        if (answer->kind == MAILBUS_REPLAY_ERROR) {
            code = fail_answer(answer, error);
        } else if (answer->kind == MAILBUS_REPLAY_TRIMMED) {
            if (page->ret_trimmed != NULL) {
                *page->ret_trimmed = answer->oldest;
            }
        } else {
            page->end = answer;
            answer = NULL;
        }
    }
    mailbus_answer_free(&answer);
    return code;
}

/* Wait until the socket can send: that is, until somebody is there. */
static mailbus_code_t send_request(link_t *self, mailbus_fetch_t *fetch, mailbus_error_t *error)
{
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    const char *verb = mailbus_replay_verb(fetch->kind);
    mailbus_code_t code = mailbus_fetch_encode(fetch, &json, error);
    if (code == MAILBUS_OK) {
        code = peer_wait(self->replay, ZMQ_POLLOUT, self->signal_fd, self->timeout_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_frame_send(peer_socket(self->replay), verb, strlen(verb), true, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_frame_send(peer_socket(self->replay), json.data, json.size, false, error);
    }
    mailbus_buf_free(&json);
    return code;
}

mailbus_code_t link_ask(link_t *self, mailbus_fetch_t *fetch, link_visit_fn *visit, void *arg,
                        uint64_t *ret_trimmed, mailbus_answer_t **ret_end, mailbus_error_t *error)
{
    snprintf(fetch->request, sizeof fetch->request, "cli-%llu",
             (unsigned long long)++self->requests);
    page_t page = {
        .request = fetch->request, .visit = visit, .arg = arg, .ret_trimmed = ret_trimmed};
    mailbus_code_t code = send_request(self, fetch, error);
    while (code == MAILBUS_OK && page.end == NULL) {
        mb_message_t message;
        code = peer_wait(self->replay, ZMQ_POLLIN, self->signal_fd, self->timeout_ms, error);
        if (code != MAILBUS_OK ||
            mb_message_receive(peer_socket(self->replay), &message, NULL) != MAILBUS_OK) {
            continue;
        }
        code = is_verb(&message, MAILBUS_REPLAY_EVENT) ? take_event(&page, &message, error)
                                                       : take_answer(&page, &message, error);
        mb_message_close(&message);
    }
    if (code != MAILBUS_OK) {
        mailbus_answer_free(&page.end);
        return code;
    }
    *ret_end = page.end;
    return MAILBUS_OK;
}

mailbus_code_t link_subscribe(link_t *self, const filter_t *filter, mailbus_error_t *error)
{
    void *socket = peer_socket(self->publish);
    bool ok = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, MAILBUS_TOPIC_HEADS,
                             strlen(MAILBUS_TOPIC_HEADS)) == 0;
    for (size_t i = 0; i < filter->topic_count && ok; i++) {
        ok = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, filter->topics[i], strlen(filter->topics[i])) ==
             0;
    }
    for (size_t i = 0; i < filter->prefix_count && ok; i++) {
        ok = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, filter->prefixes[i],
                            strlen(filter->prefixes[i])) == 0;
    }
    return ok ? MAILBUS_OK : mb_socket_fail(error, "can't subscribe");
}

mailbus_code_t link_receive(link_t *self, int wait_ms, mb_message_t *ret_message,
                            mailbus_error_t *error)
{
    mailbus_code_t code = peer_wait(self->publish, ZMQ_POLLIN, self->signal_fd, wait_ms, error);
    return code != MAILBUS_OK ? code
                              : mb_message_receive(peer_socket(self->publish), ret_message, error);
}
