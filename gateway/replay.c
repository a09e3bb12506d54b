/* The replay thread owns the ROUTER socket and a read-only connection to the journal. */
#include "replay.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "replay_answer.h"
#include "wake.h"
#include "zmq_bound.h"

/* One inbound frame: the JSON of a request is the largest, and CURVE adds 33 bytes to it. */
#define INBOUND_MAX (MAILBUS_FETCH_MAX_SIZE + 64)

/* Requests that wait in libzmq for each peer. A peer has one page under way at a time. */
#define RECEIVE_HWM 16

/* Requests between two looks at the rest. */
#define REQUESTS_PER_ROUND 16

#define POLL_MS 1000

struct replay {
    /* Set once. */
    journal_t *journal;
    mb_log_t *log;
    /* For everybody. */
    int wake_fd;
    atomic_bool stopping;
    atomic_bool rebind;
    sem_t started;
    /* The thread's. */
    pthread_t thread;
    bool running; /* there is a thread to join */
    bool has_semaphore;
    mailbus_code_t start_code;
    mailbus_error_t start_error;
    mb_bound_t *socket;
    journal_reader_t *reader;
    replay_answerer_t *answerer;
};

static void *handle(const replay_t *self)
{
    return mb_bound_handle(self->socket);
}

/* Answer what waits. True where more may wait. */
static bool answer_requests(replay_t *self)
{
    mb_message_t message;
    for (int i = 0; i < REQUESTS_PER_ROUND; i++) {
        if (mb_message_receive(handle(self), &message, NULL) != MAILBUS_OK) {
            return false;
        }
        replay_answer(self->answerer, handle(self), self->reader, &message);
        mb_message_close(&message);
    }
    return true;
}

static void wait_for_work(replay_t *self)
{
    zmq_pollitem_t items[3] = {{.fd = self->wake_fd, .events = ZMQ_POLLIN}};
    int count = 1;
    long timeout = MB_BOUND_RETRY_MS;
    if (handle(self) != NULL) {
        items[count++] = (zmq_pollitem_t){.socket = handle(self), .events = ZMQ_POLLIN};
        items[count++] =
            (zmq_pollitem_t){.socket = mb_bound_monitor(self->socket), .events = ZMQ_POLLIN};
        timeout = POLL_MS;
    }
    if (zmq_poll(items, count, timeout) > 0 && (items[0].revents & ZMQ_POLLIN)) {
        mb_wake_clear(self->wake_fd);
    }
}

static void serve(replay_t *self)
{
    while (!atomic_load(&self->stopping)) {
        if (atomic_exchange(&self->rebind, false)) {
            mb_bound_rebind(self->socket);
        }
        mb_bound_tend(self->socket, mb_clock_monotonic_ms());
        bool more = handle(self) != NULL && answer_requests(self);
        replay_answerer_tend(self->answerer);
        if (!more) {
            wait_for_work(self);
        }
    }
}

static void *replay_run(void *arg)
{
    replay_t *self = arg;
    self->start_code = journal_reader_open(self->journal, &self->reader, &self->start_error);
    bool started = self->start_code == MAILBUS_OK;
    sem_post(&self->started);
    if (started) {
        serve(self);
    }
    mb_bound_destroy(&self->socket);
    journal_reader_close(&self->reader);
    return NULL;
}

static mailbus_code_t replay_open(replay_t *self, void *context, const replay_options_t *options,
                                  mb_metrics_t *metrics, mailbus_error_t *error)
{
    const mb_bound_options_t socket_options = {
        .type = ZMQ_ROUTER,
        .stage = "replay",
        .endpoint = options->endpoint,
        .open = options->open,
        .open_warning = "open without keys: everybody who reaches it reads all mail",
        .own = options->own,
        .send_hwm = options->send_hwm,
        .receive_hwm = RECEIVE_HWM,
        .linger_ms = options->linger_ms,
        .max_inbound = INBOUND_MAX,
    };
    if (sem_init(&self->started, 0, 0) != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "no semaphore for replay");
    }
    self->has_semaphore = true;
    mailbus_code_t code = replay_answerer_new(journal_stream(self->journal), options->send_hwm,
                                              metrics, self->log, &self->answerer, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = mb_wake_new(&self->wake_fd, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    return mb_bound_new(context, &socket_options, metrics, self->log, &self->socket, error);
}

mailbus_code_t replay_new(void *context, const replay_options_t *options, journal_t *journal,
                          mb_metrics_t *metrics, mb_log_t *log, replay_t **ret_self,
                          mailbus_error_t *error)
{
    replay_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for replay");
    }
    self->wake_fd = -1;
    self->journal = journal;
    self->log = log;
    atomic_init(&self->stopping, false);
    atomic_init(&self->rebind, false);
    mailbus_code_t code = replay_open(self, context, options, metrics, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    if (pthread_create(&self->thread, NULL, replay_run, self) != 0) {
        code = mailbus_fail(error, MAILBUS_EIO, "the replay thread can't be started");
        goto out;
    }
    self->running = true;
    while (sem_wait(&self->started) != 0) { /* EINTR */
    }
    code = self->start_code;
    if (code != MAILBUS_OK) {
        if (error != NULL) {
            *error = self->start_error;
        }
        goto out;
    }
    *ret_self = self;
    self = NULL;
out:
    replay_destroy(&self);
    return code;
}

void replay_destroy(replay_t **self_p)
{
    replay_t *self = *self_p;
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
    replay_answerer_destroy(&self->answerer);
    if (self->wake_fd >= 0) {
        close(self->wake_fd);
    }
    if (self->has_semaphore) {
        sem_destroy(&self->started);
    }
    free(self);
}

void replay_rebind(replay_t *self)
{
    atomic_store(&self->rebind, true);
    mb_wake(self->wake_fd);
}

bool replay_bound(const replay_t *self)
{
    return mb_bound_is_bound(self->socket);
}

const char *replay_endpoint(const replay_t *self)
{
    return mb_bound_endpoint(self->socket);
}
