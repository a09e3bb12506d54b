/* Workers hand events to the journal's thread, and sleep until it has told what became of them. */
#include "output_bus.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.h"
#include "gateway_bus.h"
#include "httpd.h"
#include "runtime_internal.h"

enum {
    QUEUE_EVENTS = 1024, /* workers wait for their event, so that no more than these are there */
    BATCH_EVENTS = 256,  /* the same */
    SEND_HWM = 1000,     /* events that a subscriber may lag, as the gateway's */
    PUBLISH_QUEUE = 10000,
};

#define RESERVE (INT64_C(64) << 20) /* bytes that stay free on the disk, as the gateway's */
/* Ids are kept longer than bodies: a try of an event that waited in the inbox or among the dead
 * letters must still be known as a second one. */
#define IDS_LONGER_MS (INT64_C(90) * 86400000)

struct output_bus {
    mailbus_runtime_t *runtime;
    gateway_bus_t bus;
};

static int64_t keep_ms(const mailbus_runtime_t *runtime)
{
    return mailbus_setting_integer(runtime, "publish.keep");
}

static mailbus_code_t check_endpoint(const mailbus_runtime_t *runtime, const char *key,
                                     mailbus_error_t *error)
{
    const char *endpoint = mailbus_setting_text(runtime, key);
    if (endpoint[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s is empty", key);
    }
    if (mailbus_setting_text(runtime, "publish.curve_dir")[0] == '\0' &&
        !mailbus_setting_boolean(runtime, "publish.open") && !mb_is_loopback(endpoint)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%s can be reached from other machines and there are no keys: set "
                            "publish.curve_dir (\"mailbus keys new NAME --dir FOLDER\" makes "
                            "them), or publish.open=yes to let everybody read all texts",
                            key);
    }
    return MAILBUS_OK;
}

mailbus_code_t output_bus_check(const mailbus_runtime_t *runtime, mailbus_error_t *error)
{
    const char *bind = mailbus_setting_text(runtime, "publish.bind");
    const char *replay = mailbus_setting_text(runtime, "publish.replay");
    if (keep_ms(runtime) < 1000) {
        return mailbus_fail(error, MAILBUS_EINVAL, "publish.keep: at least 1s");
    }
    if (bind[0] == '\0') {
        return MAILBUS_OK;
    }
    if (strcmp(bind, replay) == 0 && strchr(bind, '*') == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "publish.bind and publish.replay are the same: each needs an endpoint "
                            "of its own");
    }
    mailbus_code_t code = check_endpoint(runtime, "publish.bind", error);
    return code == MAILBUS_OK ? check_endpoint(runtime, "publish.replay", error) : code;
}

/* "mailbus-data/extract.db" gives "mailbus-data/extract-events.db". */
static void journal_path(const mailbus_runtime_t *runtime, mailbus_buf_t *out)
{
    const char *path = mailbus_setting_text(runtime, "publish.journal");
    if (path[0] != '\0') {
        mailbus_buf_text(out, path);
        return;
    }
    path = mailbus_setting_text(runtime, "state.path");
    size_t size = strlen(path);
    bool has_end = size > 3 && strcmp(path + size - 3, ".db") == 0;
    mailbus_buf_append(out, path, has_end ? size - 3 : size);
    mailbus_buf_text(out, "-events.db");
}

static mailbus_code_t open_bus(output_bus_t *self, mailbus_error_t *error)
{
    mailbus_runtime_t *runtime = self->runtime;
    mailbus_buf_t path = MAILBUS_BUF_INIT;
    mailbus_error_t why = {0};
    bool open = mailbus_setting_boolean(runtime, "publish.open");
    journal_path(runtime, &path);
    const gateway_bus_options_t options = {
        .journal = {.backend = "sqlite",
                    .path = path.data,
                    .keep_bodies_ms = keep_ms(runtime),
                    .keep_ids_ms = keep_ms(runtime) + IDS_LONGER_MS,
                    .max_size = mailbus_setting_integer(runtime, "publish.max_size"),
                    .reserve = RESERVE,
                    .queue_events = QUEUE_EVENTS,
                    .batch_events = BATCH_EVENTS},
        .publisher = {.endpoint = mailbus_setting_text(runtime, "publish.bind"),
                      .open = open,
                      .send_hwm = SEND_HWM,
                      .queue_events = PUBLISH_QUEUE,
                      .heads_interval_ms = GATEWAY_HEADS_INTERVAL_MS,
                      .linger_ms = GATEWAY_LINGER_MS},
        .replay = {.endpoint = mailbus_setting_text(runtime, "publish.replay"),
                   .open = open,
                   .send_hwm = REPLAY_SEND_HWM,
                   .linger_ms = GATEWAY_LINGER_MS},
        .curve_dir = mailbus_setting_text(runtime, "publish.curve_dir"),
    };
    mailbus_code_t code =
        path.failed ? mailbus_fail(&why, MAILBUS_ENOMEM, "out of memory")
                    : gateway_bus_open(&self->bus, &options, runtime->metrics, runtime->log, &why);
    if (code == MAILBUS_OK) {
        code = gateway_bus_start(&self->bus, &why);
    }
    mailbus_buf_free(&path);
    return code == MAILBUS_OK ? code : mailbus_fail(error, code, "publish: %s", why.text);
}

mailbus_code_t output_bus_new(mailbus_runtime_t *runtime, output_bus_t **ret_self,
                              mailbus_error_t *error)
{
    if (mailbus_setting_text(runtime, "publish.bind")[0] == '\0') {
        *ret_self = NULL;
        return MAILBUS_OK;
    }
    output_bus_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->runtime = runtime;
    mailbus_code_t code = open_bus(self, error);
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        output_bus_destroy(&self);
    }
    return code;
}

void output_bus_destroy(output_bus_t **self_p)
{
    output_bus_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        gateway_bus_close(&self->bus);
        free(self);
    }
}

void output_bus_reload(output_bus_t *self)
{
    if (self == NULL) {
        return;
    }
    int64_t keep = keep_ms(self->runtime);
    journal_set_retention(self->bus.journal, keep, keep + IDS_LONGER_MS,
                          mailbus_setting_integer(self->runtime, "publish.max_size"));
    gateway_bus_reload_keys(&self->bus, mailbus_setting_text(self->runtime, "publish.curve_dir"));
}

/* --- publishing ---------------------------------------------------------------------------------
 */

/* On the stack of the worker that waits. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool done;
    journal_outcome_t outcome;
} wait_t;

/* A journal_done_fn. The lock is held until the end: whoever waits goes on only then. */
static void tell(void *arg, const journal_result_t *result)
{
    wait_t *wait = arg;
    pthread_mutex_lock(&wait->lock);
    wait->outcome = result->outcome;
    wait->done = true;
    pthread_cond_signal(&wait->told);
    pthread_mutex_unlock(&wait->lock);
}

static journal_outcome_t wait_for(wait_t *wait)
{
    pthread_mutex_lock(&wait->lock);
    while (!wait->done) {
        pthread_cond_wait(&wait->told, &wait->lock);
    }
    pthread_mutex_unlock(&wait->lock);
    return wait->outcome;
}

mailbus_code_t output_bus_publish(output_bus_t *self, const char *json, size_t size,
                                  mailbus_error_t *error)
{
    wait_t wait = {.done = false};
    event_t *event = NULL;
    mailbus_error_t why = {.text = "the journal did not take it"};
    char *body = malloc(size + 1);
    if (body == NULL) {
        return mailbus_fail(error, MAILBUS_EAGAIN, "out of memory");
    }
    memcpy(body, json, size);
    body[size] = '\0';
    mailbus_code_t code = envelope_read(&body, size, NULL, &event, &why);
    free(body); /* NULL where the event has it */
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "publish: %s", why.text);
    }
    pthread_mutex_init(&wait.lock, NULL);
    pthread_cond_init(&wait.told, NULL);
    code = journal_submit(self->bus.journal, event, tell, &wait);
    bool stored = code == MAILBUS_OK && wait_for(&wait) != JOURNAL_FAILED;
    event_release(&event);
    pthread_cond_destroy(&wait.told);
    pthread_mutex_destroy(&wait.lock);
    if (!stored) {
        (void)journal_writable(self->bus.journal, why.text, sizeof why.text);
        return mailbus_fail(error, MAILBUS_EAGAIN, "publish: %.200s", why.text);
    }
    return MAILBUS_OK;
}

bool output_bus_broken(const output_bus_t *self)
{
    return journal_broken(self->bus.journal);
}
