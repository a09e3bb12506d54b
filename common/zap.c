/* Own thread: the REP socket at inproc://zeromq.zap.01. The list is shared with the thread that
 * reloads it, under a mutex. */
#include "zap.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "zap_limit.h"
#include "zmq_socket.h"

#define ENDPOINT  "inproc://zeromq.zap.01" /* RFC 27 §Addressing */
#define VERSION   "1.0"
#define MECHANISM "CURVE"

enum {
    KEY_SIZE = 32,          /* bytes of a CURVE public key */
    REQUEST_ID_MAX = 255,   /* RFC 27: a short string */
    ADDRESS_MAX = 64,       /* bytes of a peer's address that we log */
    REFUSALS_A_MINUTE = 20, /* log lines; a flood of strangers must not fill the disk */
    ACCEPTS_A_MINUTE = 60,  /* subscribers that reconnect in a loop */
};

/* The frames of a request (RFC 27). */
enum { F_VERSION, F_REQUEST, F_DOMAIN, F_ADDRESS, F_IDENTITY, F_MECHANISM, F_KEY, F_COUNT };

typedef enum {
    ACCEPTED,
    MALFORMED,
    OTHER_DOMAIN,
    OTHER_MECHANISM,
    UNKNOWN_KEY,
    OUTCOMES
} outcome_t;

static const char *const reasons[OUTCOMES] = {NULL, "malformed", "domain", "mechanism",
                                              "unknown_key"};

typedef struct {
    mb_key_client_t *clients;
    uint8_t (*keys)[KEY_SIZE]; /* the same, decoded */
    size_t count;
} allow_list_t;

struct mb_zap {
    char *dir;
    mb_log_t *log;
    mb_metric_t *accepted;
    mb_metric_t *refused[OUTCOMES];
    pthread_mutex_t lock; /* guards list */
    allow_list_t list;
    zap_limit_t refusals; /* the handler's thread */
    zap_limit_t accepts;
    void *socket; /* the handler's thread, once it runs */
    int stop_fd;  /* eventfd: readable when the thread has to end */
    pthread_t thread;
    bool running;
};

static void free_list(allow_list_t *list)
{
    free(list->clients);
    free(list->keys);
    *list = (allow_list_t){NULL, NULL, 0};
}

static mailbus_code_t read_list(const char *dir, allow_list_t *ret_list, mailbus_error_t *error)
{
    allow_list_t list = {NULL, NULL, 0};
    mailbus_code_t code = mb_keys_list(dir, &list.clients, &list.count, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    list.keys = calloc(list.count + 1, sizeof *list.keys);
    if (list.keys == NULL) {
        free_list(&list);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < list.count; i++) {
        const uint8_t *decoded = zmq_z85_decode(list.keys[i], list.clients[i].public_key);
        assert(decoded != NULL); /* mb_keys_list gives valid keys only */
        (void)decoded;
    }
    *ret_list = list;
    return MAILBUS_OK;
}

/* Where `key` is in the list, or count. Looks at every entry, whichever matches. */
static size_t find_key(const allow_list_t *list, const uint8_t *key)
{
    size_t found = list->count;
    for (size_t i = 0; i < list->count; i++) {
        if (CRYPTO_memcmp(list->keys[i], key, KEY_SIZE) == 0) {
            found = i;
        }
    }
    return found;
}

static bool frame_is(mb_message_t *message, size_t frame, const char *text)
{
    size_t size = mb_message_size(message, frame);
    return size == strlen(text) && memcmp(mb_message_data(message, frame), text, size) == 0;
}

/* Judge a request; the name of an accepted client goes to `name`. */
static outcome_t judge(mb_zap_t *self, mb_message_t *message, char name[MB_KEY_NAME_MAX + 1])
{
    if (message->too_many || message->count <= F_MECHANISM || !frame_is(message, 0, VERSION) ||
        mb_message_size(message, F_REQUEST) > REQUEST_ID_MAX) {
        return MALFORMED;
    }
    if (!frame_is(message, F_DOMAIN, MB_ZAP_DOMAIN)) {
        return OTHER_DOMAIN;
    }
    if (!frame_is(message, F_MECHANISM, MECHANISM)) {
        return OTHER_MECHANISM;
    }
    if (message->count != F_COUNT || mb_message_size(message, F_KEY) != KEY_SIZE) {
        return MALFORMED;
    }
    pthread_mutex_lock(&self->lock);
    size_t found = find_key(&self->list, mb_message_data(message, F_KEY));
    bool known = found < self->list.count;
    if (known) {
        memcpy(name, self->list.clients[found].name, MB_KEY_NAME_MAX + 1);
    }
    pthread_mutex_unlock(&self->lock);
    return known ? ACCEPTED : UNKNOWN_KEY;
}

static void report(mb_zap_t *self, mb_message_t *message, outcome_t outcome, const char *name)
{
    uint64_t skipped = 0;
    bool refused = outcome != ACCEPTED;
    mb_metric_add(refused ? self->refused[outcome] : self->accepted, 1);
    if (!zap_limit_pass(refused ? &self->refusals : &self->accepts, mb_clock_monotonic_ms(),
                        &skipped)) {
        return;
    }
    char address[ADDRESS_MAX + 1] = "";
    char key[MB_KEY_TEXT] = "";
    if (message->count > F_ADDRESS) {
        size_t size = mb_message_size(message, F_ADDRESS);
        size = size > ADDRESS_MAX ? ADDRESS_MAX : size;
        memcpy(address, mb_message_data(message, F_ADDRESS), size);
        address[size] = '\0';
    }
    if (message->count == F_COUNT && mb_message_size(message, F_KEY) == KEY_SIZE) {
        zmq_z85_encode(key, mb_message_data(message, F_KEY), KEY_SIZE);
    }
    if (refused) {
        mb_log(self->log, MB_WARN, "zap", "a connection to the bus was refused",
               MB_S("reason", reasons[outcome]), MB_S("peer", address), MB_S("key", key),
               MB_U("not_logged", skipped));
    } else {
        mb_log(self->log, MB_INFO, "zap", "a client was let in", MB_S("client", name),
               MB_S("peer", address), MB_U("not_logged", skipped));
    }
}

/* version, request id, status code, status text, user id, metadata. */
static void answer(mb_zap_t *self, mb_message_t *message, outcome_t outcome, const char *name)
{
    const char *id = "";
    size_t id_size = 0;
    if (message->count > F_REQUEST && mb_message_size(message, F_REQUEST) <= REQUEST_ID_MAX) {
        id = mb_message_data(message, F_REQUEST);
        id_size = mb_message_size(message, F_REQUEST);
    }
    const char *status = outcome == ACCEPTED ? "200" : "400";
    const char *text = outcome == ACCEPTED ? "OK" : "not allowed";
    mailbus_error_t error;
    if (mb_frame_send(self->socket, VERSION, strlen(VERSION), true, &error) != MAILBUS_OK ||
        mb_frame_send(self->socket, id, id_size, true, &error) != MAILBUS_OK ||
        mb_frame_send(self->socket, status, strlen(status), true, &error) != MAILBUS_OK ||
        mb_frame_send(self->socket, text, strlen(text), true, &error) != MAILBUS_OK ||
        mb_frame_send(self->socket, name, strlen(name), true, &error) != MAILBUS_OK ||
        mb_frame_send(self->socket, "", 0, false, &error) != MAILBUS_OK) {
        /* Without an answer the peer stays out. */
        mb_log(self->log, MB_ERROR, "zap", "an answer could not be sent",
               MB_S("error", error.text));
    }
}

static void *handler_main(void *arg)
{
    mb_zap_t *self = arg;
    zmq_pollitem_t items[] = {{.socket = self->socket, .events = ZMQ_POLLIN},
                              {.fd = self->stop_fd, .events = ZMQ_POLLIN}};
    while (true) {
        if (zmq_poll(items, 2, -1) < 0 && zmq_errno() != EINTR) {
            mailbus_error_t error;
            (void)mb_socket_fail(&error, "the ZAP handler ends, nobody gets in any more");
            mb_log(self->log, MB_ERROR, "zap", error.text);
            return NULL;
        }
        if ((items[1].revents & ZMQ_POLLIN) != 0) {
            return NULL;
        }
        mb_message_t message;
        if (mb_message_receive(self->socket, &message, NULL) == MAILBUS_OK) {
            char name[MB_KEY_NAME_MAX + 1] = "";
            outcome_t outcome = judge(self, &message, name);
            answer(self, &message, outcome, name);
            report(self, &message, outcome, name);
            mb_message_close(&message);
        }
    }
}

static void declare_metrics(mb_zap_t *self, mb_metrics_t *metrics)
{
    self->accepted = mb_counter(metrics, "mailbus_zap_accepted_total", "",
                                "CURVE connections let in by the allow-list");
    for (int i = ACCEPTED + 1; i < OUTCOMES; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "reason=\"%s\"", reasons[i]);
        self->refused[i] = mb_counter(metrics, "mailbus_zap_refused_total", labels,
                                      "Connections to the bus refused at the handshake");
    }
}

/* The socket is bound here and handed to the thread when it starts: after mb_zap_new nobody can
 * find the handler missing. */
static mailbus_code_t start(mb_zap_t *self, void *context, mailbus_error_t *error)
{
    self->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (self->stop_fd < 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't make an eventfd: %s", strerror(errno));
    }
    self->socket = zmq_socket(context, ZMQ_REP);
    if (self->socket == NULL) {
        return mb_socket_fail(error, "can't make the ZAP handler's socket");
    }
    int linger = 0;
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger, sizeof linger);
    if (zmq_bind(self->socket, ENDPOINT) != 0) {
        if (zmq_errno() == EADDRINUSE) {
            return mailbus_fail(error, MAILBUS_EEXIST, "this process has a ZAP handler already");
        }
        return mb_socket_fail(error, "can't bind the ZAP handler");
    }
    int number = pthread_create(&self->thread, NULL, handler_main, self);
    if (number != 0) {
        return mailbus_fail(error, MAILBUS_EFULL, "can't start a thread: %s", strerror(number));
    }
    self->running = true;
    return MAILBUS_OK;
}

mailbus_code_t mb_zap_new(void *context, const char *dir, mb_metrics_t *metrics, mb_log_t *log,
                          mb_zap_t **ret_self, mailbus_error_t *error)
{
    mb_zap_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    pthread_mutex_init(&self->lock, NULL);
    self->stop_fd = -1;
    self->log = log;
    self->refusals.per_minute = REFUSALS_A_MINUTE;
    self->accepts.per_minute = ACCEPTS_A_MINUTE;
    self->dir = strdup(dir);
    mailbus_code_t code = self->dir != NULL ? read_list(dir, &self->list, error)
                                            : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    if (code == MAILBUS_OK) {
        declare_metrics(self, metrics);
        code = start(self, context, error);
    }
    if (code != MAILBUS_OK) {
        mb_zap_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void mb_zap_destroy(mb_zap_t **self_p)
{
    mb_zap_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->running) {
        uint64_t one = 1;
        ssize_t put = write(self->stop_fd, &one, sizeof one);
        assert(put == sizeof one);
        (void)put;
        pthread_join(self->thread, NULL);
    }
    mb_socket_close(&self->socket);
    if (self->stop_fd >= 0) {
        close(self->stop_fd);
    }
    pthread_mutex_destroy(&self->lock);
    free_list(&self->list);
    free(self->dir);
    free(self);
    *self_p = NULL;
}

mailbus_code_t mb_zap_reload(mb_zap_t *self, bool *ret_revoked, mailbus_error_t *error)
{
    allow_list_t list = {NULL, NULL, 0};
    mailbus_code_t code = read_list(self->dir, &list, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    bool revoked = false;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->list.count; i++) {
        revoked = revoked || find_key(&list, self->list.keys[i]) == list.count;
    }
    allow_list_t old = self->list;
    self->list = list;
    pthread_mutex_unlock(&self->lock);
    free_list(&old);
    *ret_revoked = revoked;
    return MAILBUS_OK;
}
