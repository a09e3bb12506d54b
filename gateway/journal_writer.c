/* The journal's thread: it owns the writing connection and everything in journal_priv.h's last
 * part. One round: take what waits, number it, commit it as one transaction, tell everybody. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "journal_priv.h"

#define HOUSE_IDLE_MS                                                                              \
    1000                    /* how often retention and the disk are looked at when nothing happens \
                             */
#define HOUSE_BUSY_MS 100   /* the same under load or with a full disk */
#define FULL_PAUSE_MS 500   /* after "disk full": nothing is taken, so that space can come back */
#define PRUNE_ROWS    512   /* of a slice, beside twice the batch: pruning outruns intake */
#define TOPICS_LOG_MS 60000 /* between two lines about too many topics */
#define CLOCK_BACK_MS 60000 /* the clock may lag behind the journal by this before it is told */

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void sleep_until(journal_t *self, int64_t at_ms)
{
    const struct timespec at = {.tv_sec = (time_t)(at_ms / 1000),
                                .tv_nsec = (long)(at_ms % 1000) * 1000000};
    self->asleep = true;
    pthread_cond_timedwait(&self->wake, &self->lock, &at);
    self->asleep = false;
}

static void take_events(journal_t *self)
{
    size_t count = self->count;
    if (count > self->options.batch_events) {
        count = self->options.batch_events;
    }
    size_t straight = self->options.queue_events - self->first;
    if (straight > count) {
        straight = count;
    }
    memcpy(self->batch, &self->queue[self->first], straight * sizeof *self->batch);
    memcpy(self->batch + straight, self->queue, (count - straight) * sizeof *self->batch);
    self->first = (self->first + count) % self->options.queue_events;
    self->count -= count;
    for (size_t i = 0; i < count; i++) {
        self->bytes -= self->batch[i].event->body_size;
    }
    self->batch_count = count;
}

static void take_rejects(journal_t *self)
{
    self->batch_rejects = self->rejects;
    self->rejects = NULL;
    self->rejects_end = &self->rejects;
    self->rejects_count = 0;
    self->rejects_bytes = 0;
}

/* Wait for events, for unreadable requests, or until the house wants keeping. False: stopping, and
 * nothing is left. */
static bool gather(journal_t *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->count == 0 && self->rejects == NULL && self->phase == JOURNAL_RUNNING &&
           mb_clock_monotonic_ms() < self->keep_house_at_ms) {
        sleep_until(self, self->keep_house_at_ms);
    }
    take_events(self);
    take_rejects(self);
    const size_t left = self->count;
    const bool go_on =
        self->batch_count > 0 || self->batch_rejects != NULL || self->phase == JOURNAL_RUNNING;
    pthread_mutex_unlock(&self->lock);
    mb_metric_set(self->metrics.queue, (int64_t)left);
    return go_on;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void answer_batch(journal_t *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        self->batch[i].done(self->batch[i].arg, &self->results[i]);
    }
}

static void drop_batch(journal_t *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        event_release(&self->batch[i].event);
    }
    self->batch_count = 0;
    self->stored_count = 0;
    while (self->batch_rejects != NULL) {
        journal_waiting_t *next = self->batch_rejects->next;
        free(self->batch_rejects);
        self->batch_rejects = next;
    }
}

static void fail_results(journal_t *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        self->results[i] = (journal_result_t){.outcome = JOURNAL_FAILED};
    }
    mb_metric_add(self->metrics.failed, self->batch_count);
}

void journal_writer_refuse_all(journal_t *self)
{
    bool some = true;
    while (some) {
        pthread_mutex_lock(&self->lock);
        take_events(self);
        take_rejects(self);
        pthread_mutex_unlock(&self->lock);
        some = self->batch_count > 0;
        fail_results(self);
        answer_batch(self);
        drop_batch(self);
    }
}

static void log_event(journal_t *self, mb_log_level_t level, const char *what, const event_t *event,
                      uint64_t sequence)
{
    mb_log(self->log, level, "journal", what, MB_S("id", event->id), MB_S("topic", event->topic),
           MB_U("sequence", sequence));
}

static void log_batch(journal_t *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        const journal_result_t *result = &self->results[i];
        const event_t *event = self->batch[i].event;
        if (result->outcome == JOURNAL_STORED) {
            log_event(self, MB_DEBUG, "stored", event, result->sequence);
        } else if (result->outcome == JOURNAL_DUPLICATE && result->body_differs) {
            log_event(self, MB_WARN, "a duplicate with another body; the first copy stays", event,
                      result->sequence);
        } else if (result->outcome == JOURNAL_DUPLICATE) {
            log_event(self, MB_DEBUG, "duplicate", event, result->sequence);
        }
    }
}

/* ---- the state that submit and /readyz see --------------------------------------------------- */

static void refuse(journal_t *self, mailbus_code_t code, const char *reason)
{
    pthread_mutex_lock(&self->lock);
    const bool change = self->refuse != code;
    self->refuse = code;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    pthread_mutex_unlock(&self->lock);
    if (!change) {
        return;
    }
    if (code == MAILBUS_OK) {
        mb_log(self->log, MB_INFO, "journal", "taking events again");
    } else {
        mb_log(self->log, code == MAILBUS_EFULL ? MB_WARN : MB_ERROR, "journal", "taking no events",
               MB_S("reason", reason));
    }
}

/* What a failure means for the time after it. */
static void note_failure(journal_t *self, const mailbus_error_t *error)
{
    char text[sizeof error->text + 64];
    switch (error->code) {
    case MAILBUS_EFULL:
        self->full_until_ms = mb_clock_monotonic_ms() + FULL_PAUSE_MS;
        snprintf(text, sizeof text, "the disk is full: %s", error->text);
        refuse(self, MAILBUS_EFULL, text);
        break;
    case MAILBUS_ENOMEM:
    case MAILBUS_EAGAIN:
        mb_log(self->log, MB_WARN, "journal", "a transaction failed, the next may not",
               MB_S("reason", error->text));
        break;
    default:
        /* The page cache can't be trusted after a failed write or sync: what it shows may never
         * have reached the disk. Only a new process reads what is really there. */
        atomic_store(&self->broken, true);
        snprintf(text, sizeof text, "the journal failed and must be opened again: %s", error->text);
        refuse(self, MAILBUS_ESTOPPED, text);
        break;
    }
}

/* ---- one transaction ------------------------------------------------------------------------- */

/* Number one event and add it, or find the copy that was first. A topic too many fails this event
 * alone: nothing is lost, the sender tries again, and the log says what happens. It can't go the
 * way of the unreadable, whose number is small and whose sender is told 400. */
static mailbus_code_t place_event(journal_t *self, size_t i, mailbus_error_t *error)
{
    event_t *event = self->batch[i].event;
    journal_result_t *result = &self->results[i];
    journal_copy_t copy = {0};
    mailbus_code_t code = self->backend->find(self->store, event, &copy, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (copy.sequence != 0) {
        *result = (journal_result_t){.outcome = JOURNAL_DUPLICATE,
                                     .sequence = copy.sequence,
                                     .body_differs = copy.body_differs};
        return MAILBUS_OK;
    }
    size_t topic = 0;
    code =
        journal_heads_take(self->heads, event->topic, &event->sequence, &event->previous, &topic);
    if (code == MAILBUS_EFULL) {
        const int64_t now_ms = mb_clock_monotonic_ms();
        if (self->topics_logged_ms == 0 || now_ms - self->topics_logged_ms >= TOPICS_LOG_MS) {
            self->topics_logged_ms = now_ms;
            mb_log(self->log, MB_ERROR, "journal", "more topics than the bus may have",
                   MB_S("id", event->id), MB_S("topic", event->topic),
                   MB_U("limit", MAILBUS_HEADS_MAX_TOPICS));
        }
        *result = (journal_result_t){.outcome = JOURNAL_FAILED};
        return MAILBUS_OK;
    }
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "out of memory");
    }
    event->recorded_ms = self->recorded_ms;
    *result = (journal_result_t){.outcome = JOURNAL_STORED, .sequence = event->sequence};
    self->stored[self->stored_count++] = event;
    return self->backend->append(self->store, event, topic, error);
}

static mailbus_code_t place_rejects(journal_t *self, int64_t now_ms, size_t *ret_count,
                                    mailbus_error_t *error)
{
    for (const journal_waiting_t *node = self->batch_rejects; node != NULL; node = node->next) {
        const journal_reject_t reject = {
            .reason = node->reason,
            .webhook_id = node->webhook_id,
            .body = node->body,
            .size = node->size,
            .recorded_ms = now_ms,
            .keep = self->options.quarantine_events,
        };
        const mailbus_code_t code = self->backend->quarantine(self->store, &reject, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        (*ret_count)++;
    }
    return MAILBUS_OK;
}

/* Recorded times never go back, so that "since" has one answer and retention one order: when the
 * clock is set back, events carry the newest time again until it has caught up. */
static void set_recorded(journal_t *self, int64_t now_ms)
{
    if (now_ms >= self->committed_ms) {
        self->recorded_ms = now_ms;
        self->clock_logged = false;
        return;
    }
    self->recorded_ms = self->committed_ms;
    if (self->committed_ms - now_ms > CLOCK_BACK_MS && !self->clock_logged) {
        self->clock_logged = true;
        mb_log(self->log, MB_WARN, "journal",
               "the clock is behind the newest event: recorded times stand still until it has "
               "caught up",
               MB_I("behind_ms", self->committed_ms - now_ms));
    }
}

static journal_prune_t prune_slice(journal_t *self, int64_t now_ms)
{
    pthread_mutex_lock(&self->lock);
    const journal_prune_t prune = {
        .bodies_before_ms = now_ms - self->keep_bodies_ms,
        .ids_before_ms = now_ms - self->keep_ids_ms,
        .max_size = self->max_size,
        .rows = PRUNE_ROWS + 2 * self->batch_count,
    };
    pthread_mutex_unlock(&self->lock);
    return prune;
}

/* What one round did. */
typedef struct {
    size_t rejects; /* unreadable requests kept */
    journal_pruned_t pruned;
    bool answered; /* acknowledge_early: told before the commit */
} round_t;

static mailbus_code_t transact(journal_t *self, bool keep_house, int64_t now_ms, round_t *round,
                               mailbus_error_t *error)
{
    set_recorded(self, now_ms);
    mailbus_code_t code = self->backend->begin(self->store, self->heads, error);
    journal_heads_begin(self->heads);
    for (size_t i = 0; i < self->batch_count && code == MAILBUS_OK; i++) {
        code = place_event(self, i, error);
    }
    if (code == MAILBUS_OK) {
        code = place_rejects(self, now_ms, &round->rejects, error);
    }
    if (code == MAILBUS_OK && keep_house) {
        const journal_prune_t prune = prune_slice(self, now_ms);
        code = self->backend->prune(self->store, &prune, &round->pruned, error);
    }
    if (code == MAILBUS_OK && self->options.acknowledge_early) {
        round->answered = true;
        answer_batch(self);
        /* As on a slow disk, so that a kill finds the gap between answer and commit. */
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    if (code == MAILBUS_OK) {
        code = self->backend->commit(self->store, self->heads, error);
    }
    if (code != MAILBUS_OK) {
        self->backend->rollback(self->store);
        journal_heads_rollback(self->heads);
        return code;
    }
    journal_heads_commit(self->heads);
    self->committed_ms = self->stored_count > 0 ? self->recorded_ms : self->committed_ms;
    return MAILBUS_OK;
}

static void count_batch(journal_t *self, const round_t *round, double seconds)
{
    const journal_metrics_t *metrics = &self->metrics;
    const mailbus_heads_t *heads = journal_heads_view(self->heads);
    uint64_t conflicts = 0;
    uint64_t duplicates = 0;
    for (size_t i = 0; i < self->batch_count; i++) {
        duplicates += self->results[i].outcome == JOURNAL_DUPLICATE;
        conflicts += self->results[i].body_differs;
    }
    mb_metric_add(metrics->events, self->stored_count);
    mb_metric_add(metrics->duplicates, duplicates);
    mb_metric_add(metrics->body_conflicts, conflicts);
    mb_metric_add(metrics->failed, self->batch_count - self->stored_count - duplicates);
    mb_metric_add(metrics->quarantined, round->rejects);
    mb_metric_add(metrics->pruned_bodies, round->pruned.bodies);
    mb_metric_add(metrics->pruned_ids, round->pruned.ids);
    if (self->batch_count > 0) {
        mb_metric_add(metrics->commits, 1);
        mb_metric_observe(metrics->commit_seconds, seconds);
        mb_metric_observe(metrics->batch_events, (double)self->batch_count);
        mb_metric_set(metrics->head, (int64_t)heads->sequence);
        mb_metric_set(metrics->topics, (int64_t)heads->count);
    }
}

/* A batch from its numbers to its answers. */
static void commit_batch(journal_t *self, bool keep_house)
{
    round_t round = {0};
    mailbus_error_t error = {0};
    const double start = seconds_now();
    if (!atomic_load(&self->broken)) {
        error.code = transact(self, keep_house, mb_clock_wall_ms(), &round, &error);
    } else {
        error.code = MAILBUS_ESTOPPED;
    }
    if (error.code == MAILBUS_OK) {
        count_batch(self, &round, seconds_now() - start);
        if (self->stored_count > 0 && self->committed != NULL) {
            self->committed(self->committed_arg, self->stored, self->stored_count,
                            journal_heads_view(self->heads));
        }
        log_batch(self);
    } else {
        fail_results(self);
        for (const journal_waiting_t *node = self->batch_rejects; node != NULL; node = node->next) {
            mb_metric_add(self->metrics.quarantine_dropped, 1);
        }
        if (!atomic_load(&self->broken)) {
            mb_metric_add(self->metrics.commit_failures, 1);
            note_failure(self, &error);
        }
    }
    if (!round.answered) {
        answer_batch(self);
    }
    drop_batch(self);
    if (round.pruned.more) {
        self->keep_house_at_ms = 0;
    }
}

/* ---- between batches ------------------------------------------------------------------------- */

/* Look at the disk, before it is full. */
static void look_at_disk(journal_t *self, int64_t now_ms)
{
    journal_figures_t figures = {0};
    mailbus_error_t error = {0};
    if (self->backend->figures(self->store, &figures, &error) != MAILBUS_OK) {
        note_failure(self, &error);
        return;
    }
    mb_metric_set(self->metrics.oldest, (int64_t)figures.oldest);
    mb_metric_set(self->metrics.size, figures.size);
    if (figures.free_bytes != INT64_MAX) {
        mb_metric_set(self->metrics.disk_free, figures.free_bytes);
    }
    if (figures.free_bytes < self->options.reserve) {
        char text[160];
        snprintf(text, sizeof text,
                 "%" PRId64 " MiB are free on the journal's disk, and %" PRId64
                 " MiB must stay free",
                 figures.free_bytes >> 20, self->options.reserve >> 20);
        refuse(self, MAILBUS_EFULL, text);
    } else if (now_ms >= self->full_until_ms) {
        refuse(self, MAILBUS_OK, "");
    }
}

static void tidy(journal_t *self)
{
    mailbus_error_t error = {0};
    if (self->backend->tidy(self->store, &error) != MAILBUS_OK) {
        note_failure(self, &error);
    }
}

void *journal_writer_run(void *arg)
{
    journal_t *self = arg;
    while (gather(self)) {
        const int64_t now_ms = mb_clock_monotonic_ms();
        const bool keep_house = now_ms >= self->keep_house_at_ms;
        const bool busy = self->batch_count > 0 || self->refuse != MAILBUS_OK;
        if (keep_house) {
            self->keep_house_at_ms = now_ms + (busy ? HOUSE_BUSY_MS : HOUSE_IDLE_MS);
        }
        commit_batch(self, keep_house);
        if (!atomic_load(&self->broken)) {
            tidy(self);
        }
        if (keep_house && !atomic_load(&self->broken)) {
            look_at_disk(self, now_ms);
        }
    }
    return NULL;
}
