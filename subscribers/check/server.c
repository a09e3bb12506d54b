/* The check thread owns the ROUTER socket. */
#include "server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "httpd.h"
#include "runtime_internal.h"
#include "server_answer.h"
#include "wake.h"
#include "zap.h"
#include "zmq_bound.h"

enum {
    FRAME_MAX = MAILBUS_CHECK_MAX + 64, /* CURVE adds 33 bytes */
    RECEIVE_HWM = 64,                   /* questions that wait for each peer */
    /* Answers that a peer may leave lying; what comes then is lost. libzmq notes in lots of half
     * the mark that a peer has read, so half of it is what can be relied upon: more than the 64
     * questions that CHECK.md lets be under way. */
    SEND_HWM = 256,
    LINGER_MS = 200,
    MESSAGES_PER_ROUND = 64, /* between two looks at the rest */
    POLL_MS = 1000,
    SILENCE_LOG_MS = 60000, /* between two lines that say the same */
};

struct check_server {
    /* Set once. */
    mailbus_runtime_t *runtime;
    void *context; /* its own: ZAP's handler is one per context */
    mb_key_pair_t own;
    mb_zap_t *zap; /* NULL: plain */
    /* For everybody. */
    int wake_fd;
    atomic_bool stopping;
    atomic_bool rebind;
    /* The thread's. */
    pthread_t thread;
    bool running; /* there is a thread to join */
    mb_bound_t *socket;
    check_list_t list;
    bool silent;            /* the list gave no answer the last time */
    int64_t said_silent_ms; /* when that was logged */
};

static void count(const check_server_t *self, answered_t answered, uint64_t n)
{
    static const char *const labels[ANSWERED_KINDS] = {
        [ANSWERED_YES] = "answer=\"yes\"",         [ANSWERED_NO] = "answer=\"no\"",
        [ANSWERED_SILENT] = "answer=\"silent\"",   [ANSWERED_ERROR] = "answer=\"error\"",
        [ANSWERED_DROPPED] = "answer=\"dropped\"", [ANSWERED_UNSENT] = "answer=\"unsent\"",
    };
    mailbus_count(self->runtime, "checks", labels[answered],
                  "Questions of the check protocol, by what was answered", n);
}

/* Whether the list can be read, once for everybody: a line a question would be a flood of its own.
 */
static void note_silence(check_server_t *self, answered_t answered, int64_t now_ms)
{
    if (answered == ANSWERED_SILENT &&
        (!self->silent || now_ms - self->said_silent_ms >= SILENCE_LOG_MS)) {
        const char *why = self->list.why_silent;
        mb_log(self->runtime->log, MB_WARN, "check",
               "the list gives no answer: who asks has to wait",
               MB_S("reason", why[0] != '\0' ? why : NULL));
        self->silent = true;
        self->said_silent_ms = now_ms;
    } else if ((answered == ANSWERED_YES || answered == ANSWERED_NO) && self->silent) {
        mb_log(self->runtime->log, MB_INFO, "check", "the list answers again");
        self->silent = false;
    }
}

/* Answer what waits. True where more may wait. */
static bool answer_waiting(check_server_t *self)
{
    mb_message_t message;
    for (int i = 0; i < MESSAGES_PER_ROUND; i++) {
        if (mb_message_receive(mb_bound_handle(self->socket), &message, NULL) != MAILBUS_OK) {
            return false;
        }
        answered_t answered =
            check_server_answer(mb_bound_handle(self->socket), &message, &self->list);
        mb_message_close(&message);
        count(self, answered, 1);
        note_silence(self, answered, mb_clock_monotonic_ms());
    }
    return true;
}

static void wait_for_work(check_server_t *self)
{
    zmq_pollitem_t items[3] = {{.fd = self->wake_fd, .events = ZMQ_POLLIN}};
    int used = 1;
    long timeout = MB_BOUND_RETRY_MS;
    if (mb_bound_handle(self->socket) != NULL) {
        items[used++] =
            (zmq_pollitem_t){.socket = mb_bound_handle(self->socket), .events = ZMQ_POLLIN};
        items[used++] =
            (zmq_pollitem_t){.socket = mb_bound_monitor(self->socket), .events = ZMQ_POLLIN};
        timeout = POLL_MS;
    }
    if (zmq_poll(items, used, timeout) > 0 && (items[0].revents & ZMQ_POLLIN)) {
        mb_wake_clear(self->wake_fd);
    }
}

static void *serve(void *arg)
{
    check_server_t *self = arg;
    while (!atomic_load(&self->stopping)) {
        if (atomic_exchange(&self->rebind, false)) {
            mb_bound_rebind(self->socket);
        }
        mb_bound_tend(self->socket, mb_clock_monotonic_ms());
        if (mb_bound_handle(self->socket) == NULL || !answer_waiting(self)) {
            wait_for_work(self);
        }
    }
    mb_bound_destroy(&self->socket);
    return NULL;
}

/* The ZAP handler runs before the socket is bound: whoever came earlier would not be asked. */
static mailbus_code_t load_keys(check_server_t *self, mailbus_error_t *error)
{
    const char *dir = mailbus_setting_text(self->runtime, "bus.curve_dir");
    if (dir[0] == '\0') {
        return MAILBUS_OK;
    }
    mailbus_code_t code = mb_keys_load_client(
        dir, mailbus_setting_text(self->runtime, "bus.curve_name"), &self->own, error);
    return code == MAILBUS_OK ? mb_zap_new(self->context, dir, self->runtime->metrics,
                                           self->runtime->log, &self->zap, error)
                              : code;
}

static mailbus_code_t open_socket(check_server_t *self, const char *endpoint,
                                  mailbus_error_t *error)
{
    const mb_bound_options_t options = {
        .type = ZMQ_ROUTER,
        .stage = "check",
        .endpoint = endpoint,
        .open = mailbus_setting_boolean(self->runtime, "check.open"),
        .open_warning = "check.open=yes: everybody who reaches it may ask about addresses",
        .own = self->zap != NULL ? &self->own : NULL,
        .send_hwm = SEND_HWM,
        .receive_hwm = RECEIVE_HWM,
        .linger_ms = LINGER_MS,
        .max_inbound = FRAME_MAX,
    };
    if (options.own == NULL && !options.open && !mb_is_loopback(endpoint)) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "check.listen: %.100s can be reached from other machines, and there "
                            "are no keys: set bus.curve_dir, or check.open=yes to let everybody "
                            "ask",
                            endpoint);
    }
    mailbus_error_t why = {.code = MAILBUS_OK};
    mailbus_code_t code = mb_bound_new(self->context, &options, self->runtime->metrics,
                                       self->runtime->log, &self->socket, &why);
    return code == MAILBUS_OK ? code : mailbus_fail(error, code, "check.listen: %.230s", why.text);
}

static mailbus_code_t start(check_server_t *self, const char *endpoint, mailbus_error_t *error)
{
    self->context = zmq_ctx_new();
    if (self->context == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the check server");
    }
    mailbus_code_t code = mb_wake_new(&self->wake_fd, error);
    if (code == MAILBUS_OK) {
        code = load_keys(self, error);
    }
    if (code == MAILBUS_OK) {
        code = open_socket(self, endpoint, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    for (int kind = 0; kind < ANSWERED_KINDS; kind++) {
        count(self, (answered_t)kind, 0);
    }
    int failed = pthread_create(&self->thread, NULL, serve, self);
    if (failed != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "no thread for the check server: %s",
                            strerror(failed));
    }
    self->running = true;
    return MAILBUS_OK;
}

mailbus_code_t check_server_new(mailbus_runtime_t *runtime, check_decide_fn *decide, void *arg,
                                check_server_t **ret_self, mailbus_error_t *error)
{
    const char *endpoint = mailbus_setting_text(runtime, "check.listen");
    if (endpoint[0] == '\0') {
        *ret_self = NULL;
        return MAILBUS_OK;
    }
    check_server_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the check server");
    }
    self->runtime = runtime;
    self->list = (check_list_t){.decide = decide, .arg = arg};
    self->wake_fd = -1;
    atomic_init(&self->stopping, false);
    atomic_init(&self->rebind, false);
    mailbus_code_t code = start(self, endpoint, error);
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        check_server_destroy(&self);
    }
    return code;
}

void check_server_destroy(check_server_t **self_p)
{
    check_server_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->running) {
        atomic_store(&self->stopping, true);
        mb_wake(self->wake_fd);
        pthread_join(self->thread, NULL);
    }
    mb_bound_destroy(&self->socket);
    mb_zap_destroy(&self->zap);
    if (self->context != NULL) {
        zmq_ctx_term(self->context); /* waits for what lingers */
    }
    if (self->wake_fd >= 0) {
        close(self->wake_fd);
    }
    mailbus_buf_free(&self->list.json);
    explicit_bzero(&self->own, sizeof self->own);
    free(self);
}

mailbus_code_t check_server_reload(check_server_t *self, mailbus_error_t *error)
{
    bool revoked = false;
    if (self == NULL || self->zap == NULL) {
        return MAILBUS_OK;
    }
    mailbus_code_t code = mb_zap_reload(self->zap, &revoked, error);
    if (code == MAILBUS_OK && revoked) {
        /* Keys are asked for at the handshake only: whoever is in stays in until it is cut. */
        mb_log(self->runtime->log, MB_INFO, "check", "a key was revoked: everybody connects anew");
        atomic_store(&self->rebind, true);
        mb_wake(self->wake_fd);
    }
    return code;
}

const char *check_server_endpoint(const check_server_t *self)
{
    return mb_bound_endpoint(self->socket);
}
