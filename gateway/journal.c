/* The journal as other threads see it: opening, the queue in front of the writing thread, and what
 * may be asked from anywhere. The thread itself is in journal_writer.c; it owns the writing
 * connection from journal_start to journal_stop. */
#include "journal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal_priv.h"

struct journal_reader {
    const journal_backend_t *backend;
    void *reader;
};

static const journal_backend_t *backend_named(const char *name)
{
    const journal_backend_t *const all[] = {journal_sqlite(), journal_memory()};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}

static mailbus_code_t init_lock(journal_t *self)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return MAILBUS_ENOMEM;
    }
    /* Deadlines must not move when somebody sets the clock. */
    const bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                    pthread_cond_init(&self->wake, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!ok) {
        return MAILBUS_ENOMEM;
    }
    if (pthread_mutex_init(&self->lock, NULL) != 0) {
        pthread_cond_destroy(&self->wake);
        return MAILBUS_ENOMEM;
    }
    return MAILBUS_OK;
}

/* An empty journal with its memory, not yet opened. NULL without memory. */
static journal_t *journal_new(const journal_options_t *options)
{
    journal_t *self = calloc(1, sizeof *self);
    if (self == NULL || init_lock(self) != MAILBUS_OK) {
        free(self);
        return NULL;
    }
    self->options = *options;
    self->path = strdup(options->path != NULL ? options->path : "");
    self->options.path = self->path;
    self->keep_bodies_ms = options->keep_bodies_ms;
    self->keep_ids_ms = options->keep_ids_ms;
    self->max_size = options->max_size;
    self->rejects_end = &self->rejects;
    self->heads = journal_heads_new();
    self->queue = calloc(options->queue_events, sizeof *self->queue);
    self->batch = calloc(options->batch_events, sizeof *self->batch);
    self->results = calloc(options->batch_events, sizeof *self->results);
    self->stored = calloc(options->batch_events, sizeof(event_t *));
    if (self->path == NULL || self->heads == NULL || self->queue == NULL || self->batch == NULL ||
        self->results == NULL || self->stored == NULL) {
        journal_close(&self);
    }
    return self;
}

mailbus_code_t journal_open(const journal_options_t *options, mb_metrics_t *metrics, mb_log_t *log,
                            journal_t **ret_self, mailbus_error_t *error)
{
    assert(options->queue_events > 0 && options->batch_events > 0);
    assert(options->keep_ids_ms >= options->keep_bodies_ms);
    const journal_backend_t *backend = backend_named(options->backend);
    if (backend == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "there is no journal backend \"%s\": use sqlite or memory",
                            options->backend);
    }
    journal_t *self = journal_new(options);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->backend = backend;
    self->log = log;
    journal_metrics_register(&self->metrics, metrics);
    journal_found_t found = {0};
    const mailbus_code_t code =
        backend->open(&self->options, log, self->heads, &found, &self->store, error);
    if (code != MAILBUS_OK) {
        journal_close(&self);
        return code;
    }
    memcpy(self->stream, found.stream, sizeof self->stream);
    journal_heads_set_stream(self->heads, found.stream);
    self->recorded_ms = found.recorded_ms;
    self->committed_ms = found.recorded_ms;
    const mailbus_heads_t *heads = journal_heads_view(self->heads);
    mb_metric_set(self->metrics.head, (int64_t)heads->sequence);
    mb_metric_set(self->metrics.topics, (int64_t)heads->count);
    mb_log(log, MB_INFO, "journal", "open", MB_S("backend", backend->name),
           MB_S("path", self->path), MB_S("stream", self->stream),
           MB_U("sequence", heads->sequence), MB_U("topics", heads->count));
    *ret_self = self;
    return MAILBUS_OK;
}

void journal_on_commit(journal_t *self, journal_committed_fn *fn, void *arg)
{
    assert(self->phase == JOURNAL_OPENED);
    self->committed = fn;
    self->committed_arg = arg;
}

mailbus_code_t journal_start(journal_t *self, mailbus_error_t *error)
{
    pthread_mutex_lock(&self->lock); /* events may be handed in already */
    assert(self->phase == JOURNAL_OPENED);
    const bool started = pthread_create(&self->thread, NULL, journal_writer_run, self) == 0;
    if (started) {
        self->phase = JOURNAL_RUNNING;
    }
    pthread_mutex_unlock(&self->lock);
    if (!started) {
        return mailbus_fail(error, MAILBUS_EIO, "the journal's thread can't be started");
    }
    pthread_setname_np(self->thread, "journal");
    return MAILBUS_OK;
}

void journal_stop(journal_t *self)
{
    pthread_mutex_lock(&self->lock);
    const journal_phase_t phase = self->phase;
    if (phase == JOURNAL_RUNNING) {
        self->phase = JOURNAL_STOPPING;
    } else if (phase == JOURNAL_OPENED) {
        self->phase = JOURNAL_STOPPED;
    }
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
    if (phase == JOURNAL_RUNNING) {
        pthread_join(self->thread, NULL);
        pthread_mutex_lock(&self->lock);
        self->phase = JOURNAL_STOPPED;
        pthread_mutex_unlock(&self->lock);
    } else if (phase == JOURNAL_OPENED) {
        journal_writer_refuse_all(self);
    }
}

void journal_close(journal_t **self_p)
{
    journal_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    journal_stop(self);
    if (self->store != NULL) {
        self->backend->close(&self->store, !atomic_load(&self->broken));
    }
    while (self->rejects != NULL) {
        journal_waiting_t *next = self->rejects->next;
        free(self->rejects);
        self->rejects = next;
    }
    journal_heads_destroy(&self->heads);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->wake);
    free(self->stored);
    free(self->results);
    free(self->batch);
    free(self->queue);
    free(self->path);
    free(self);
}

/* Under the lock. */
static bool has_room(const journal_t *self, const event_t *event)
{
    if (self->count == 0) {
        return true;
    }
    return self->count < self->options.queue_events && self->bytes <= JOURNAL_QUEUE_BYTES &&
           event->body_size <= JOURNAL_QUEUE_BYTES - self->bytes;
}

mailbus_code_t journal_submit(journal_t *self, event_t *event, journal_done_fn *done, void *arg)
{
    assert(event->topic != NULL && event->id != NULL && event->source != NULL);
    mailbus_code_t code = MAILBUS_OK;
    bool wake = false;
    event_hold(event);
    pthread_mutex_lock(&self->lock);
    if (self->phase >= JOURNAL_STOPPING) {
        code = MAILBUS_ESTOPPED;
    } else if (self->refuse != MAILBUS_OK) {
        code = self->refuse;
    } else if (!has_room(self, event)) {
        code = MAILBUS_EFULL;
    } else {
        size_t place = self->first + self->count;
        if (place >= self->options.queue_events) {
            place -= self->options.queue_events;
        }
        self->queue[place] = (journal_entry_t){.event = event, .done = done, .arg = arg};
        self->count++;
        self->bytes += event->body_size;
        wake = self->asleep;
        self->asleep = false;
    }
    pthread_mutex_unlock(&self->lock);
    if (wake) {
        pthread_cond_signal(&self->wake);
    }
    if (code != MAILBUS_OK) {
        event_release(&event);
        mb_metric_add(self->metrics.refused, 1);
    }
    return code;
}

/* One allocation: the node, the reason, the id, the body. NULL without memory. */
static journal_waiting_t *waiting_new(const char *reason, const char *webhook_id, const void *body,
                                      size_t size)
{
    const size_t reason_size = strlen(reason) + 1;
    const size_t id_size = webhook_id != NULL ? strlen(webhook_id) + 1 : 0;
    journal_waiting_t *node = malloc(sizeof *node + reason_size + id_size + size);
    if (node == NULL) {
        return NULL;
    }
    char *text = (char *)(node + 1);
    memcpy(text, reason, reason_size);
    if (webhook_id != NULL) {
        memcpy(text + reason_size, webhook_id, id_size);
    }
    if (size > 0) {
        memcpy(text + reason_size + id_size, body, size);
    }
    *node = (journal_waiting_t){
        .reason = text,
        .webhook_id = webhook_id != NULL ? text + reason_size : NULL,
        .body = text + reason_size + id_size,
        .size = size,
    };
    return node;
}

void journal_quarantine(journal_t *self, const char *reason, const char *webhook_id,
                        const void *body, size_t size)
{
    journal_waiting_t *node = waiting_new(reason, webhook_id, body, size);
    bool kept = false;
    bool wake = false;
    pthread_mutex_lock(&self->lock);
    if (node != NULL && self->phase <= JOURNAL_RUNNING && self->refuse == MAILBUS_OK &&
        self->rejects_count < JOURNAL_REJECTS_WAITING &&
        self->rejects_bytes + size <= JOURNAL_REJECTS_WAITING_BYTES) {
        *self->rejects_end = node;
        self->rejects_end = &node->next;
        self->rejects_count++;
        self->rejects_bytes += size;
        kept = true;
        wake = self->asleep;
        self->asleep = false;
    }
    pthread_mutex_unlock(&self->lock);
    if (wake) {
        pthread_cond_signal(&self->wake);
    }
    if (!kept) {
        mb_metric_add(self->metrics.quarantine_dropped, 1);
        free(node);
    }
}

const char *journal_stream(const journal_t *self)
{
    return self->stream;
}

mailbus_code_t journal_heads(journal_t *self, mailbus_heads_t **ret_heads)
{
    return journal_heads_copy(self->heads, ret_heads);
}

bool journal_writable(journal_t *self, char *reason, size_t size)
{
    static const char *const words[] = {
        [JOURNAL_OPENED] = "the journal has not started yet",
        [JOURNAL_RUNNING] = "",
        [JOURNAL_STOPPING] = "the journal is stopping",
        [JOURNAL_STOPPED] = "the journal has stopped",
    };
    pthread_mutex_lock(&self->lock);
    const bool writable = self->phase == JOURNAL_RUNNING && self->refuse == MAILBUS_OK;
    if (!writable && size > 0) {
        snprintf(reason, size, "%s",
                 self->refuse != MAILBUS_OK ? self->reason : words[self->phase]);
    }
    pthread_mutex_unlock(&self->lock);
    return writable;
}

void journal_set_retention(journal_t *self, int64_t keep_bodies_ms, int64_t keep_ids_ms,
                           int64_t max_size)
{
    assert(keep_ids_ms >= keep_bodies_ms);
    pthread_mutex_lock(&self->lock);
    self->keep_bodies_ms = keep_bodies_ms;
    self->keep_ids_ms = keep_ids_ms;
    self->max_size = max_size;
    pthread_mutex_unlock(&self->lock);
}

bool journal_broken(const journal_t *self)
{
    return atomic_load(&self->broken);
}

mailbus_code_t journal_reader_open(journal_t *self, journal_reader_t **ret_reader,
                                   mailbus_error_t *error)
{
    journal_reader_t *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    reader->backend = self->backend;
    const mailbus_code_t code = self->backend->reader_open(self->store, &reader->reader, error);
    if (code != MAILBUS_OK) {
        free(reader);
        return code;
    }
    *ret_reader = reader;
    return MAILBUS_OK;
}

void journal_reader_close(journal_reader_t **reader_p)
{
    journal_reader_t *reader = *reader_p;
    *reader_p = NULL;
    if (reader != NULL) {
        reader->backend->reader_close(&reader->reader);
        free(reader);
    }
}

mailbus_code_t journal_reader_fetch(journal_reader_t *reader, const mailbus_fetch_t *fetch,
                                    journal_visit_fn *visit, void *arg, uint64_t *ret_next,
                                    uint64_t *ret_oldest, mailbus_heads_t **ret_heads,
                                    mailbus_error_t *error)
{
    return reader->backend->reader_fetch(reader->reader, fetch, visit, arg, ret_next, ret_oldest,
                                         ret_heads, error);
}

mailbus_code_t journal_reader_since(journal_reader_t *reader, int64_t since_ms,
                                    uint64_t *ret_sequence, mailbus_error_t *error)
{
    return reader->backend->reader_since(reader->reader, since_ms, ret_sequence, error);
}
