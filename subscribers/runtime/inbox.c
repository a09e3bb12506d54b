#include "inbox_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void inbox_queue_push(inbox_queue_t *queue, inbox_item_t *item)
{
    item->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = item;
    } else {
        queue->first = item;
    }
    queue->last = item;
    queue->count++;
    queue->bytes += item->row.size;
}

inbox_item_t *inbox_queue_pop(inbox_queue_t *queue)
{
    inbox_item_t *item = queue->first;
    if (item != NULL) {
        queue->first = item->next;
        queue->last = queue->first == NULL ? NULL : queue->last;
        queue->count--;
        queue->bytes -= item->row.size;
    }
    return item;
}

void inbox_item_free(inbox_item_t **item_p)
{
    if (*item_p != NULL) {
        store_row_free(&(*item_p)->row);
        free(*item_p);
        *item_p = NULL;
    }
}

void inbox_publish_counts(inbox_t *self)
{
    mb_metric_set(self->rows_gauge, self->rows);
    mb_metric_set(self->bytes_gauge, self->bytes);
    mb_metric_set(self->dead_gauge, self->dead);
}

void inbox_held_remove(inbox_t *self, int64_t number)
{
    for (size_t i = 0; i < self->held_count; i++) {
        if (self->held[i] == number) {
            self->held[i] = self->held[--self->held_count];
            return;
        }
    }
}

mailbus_code_t inbox_trim_dead(inbox_t *self, int64_t more, int64_t *ret_dropped,
                               mailbus_error_t *error)
{
    int64_t most = self->options.max_dead;
    pthread_mutex_lock(&self->window_lock);
    int64_t dead = self->dead;
    pthread_mutex_unlock(&self->window_lock);
    *ret_dropped = 0;
    return most == 0 || dead + more <= most
               ? MAILBUS_OK
               : store_trim_dead(self->store, most, ret_dropped, error);
}

void inbox_dead_dropped(inbox_t *self, int64_t dropped)
{
    if (dropped > 0) {
        self->dead -= dropped;
        mb_metric_add(self->dead_dropped, (uint64_t)dropped);
        mb_log(self->log, MB_ERROR, "inbox",
               "too many dead letters: the oldest are thrown away (dead.max_events)",
               MB_I("dropped", dropped), MB_I("kept", self->dead));
    }
}

/* --- open and close ----------------------------------------------------------------------------
 */

static void register_metrics(inbox_t *self, mb_metrics_t *metrics)
{
    self->rows_gauge = mb_gauge(metrics, "mailbus_subscriber_inbox_events", "",
                                "Events taken in and not yet handled to their end");
    self->bytes_gauge = mb_gauge(metrics, "mailbus_subscriber_inbox_bytes", "",
                                 "Size of the frames of these events");
    self->dead_gauge =
        mb_gauge(metrics, "mailbus_subscriber_dead_letters", "", "Events that were set aside");
    self->dead_dropped = mb_counter(metrics, "mailbus_subscriber_dead_letters_dropped_total", "",
                                    "Dead letters thrown away because there were too many");
    self->commits = mb_counter(metrics, "mailbus_subscriber_commits_total", "",
                               "Transactions written to the state file");
    self->commit_errors = mb_counter(metrics, "mailbus_subscriber_commit_errors_total", "",
                                     "Transactions that the state file refused");
}

static mailbus_code_t recover(inbox_t *self, bool unclean, int64_t now_ms, mailbus_error_t *error)
{
    if (unclean) {
        int64_t buried = 0;
        mailbus_code_t code =
            store_recover(self->store, self->options.max_crashes, now_ms, &buried, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        self->careful = INBOX_CAREFUL_EVENTS;
        mb_log(self->log, MB_INFO, "inbox", "the last run did not stop in order: recovered");
        if (buried > 0) {
            mb_log(self->log, MB_ERROR, "inbox",
                   "events that killed the program again and again are dead letters now",
                   MB_I("events", buried));
        }
    }
    store_counts_t counts;
    mailbus_code_t code = store_counts(self->store, &counts, error);
    if (code == MAILBUS_OK) {
        self->next_number = counts.last + 1;
        self->backlog = counts.fresh;
        self->next_due_ms = counts.min_due_ms;
        self->rows = counts.rows;
        self->bytes = counts.bytes;
        self->dead = counts.dead;
        inbox_publish_counts(self);
    }
    return code;
}

typedef struct {
    inbox_t *inbox;
    int64_t dropped;
} dead_trim_t;

static mailbus_code_t trim_dead(store_t *store, void *arg, mailbus_error_t *error)
{
    dead_trim_t *trim = arg;
    (void)store;
    return inbox_trim_dead(trim->inbox, 0, &trim->dropped, error);
}

/* The limit may be a lower one than last time. */
static mailbus_code_t trim_at_start(inbox_t *self, mailbus_error_t *error)
{
    dead_trim_t trim = {.inbox = self};
    mailbus_code_t code = inbox_with_store(self, trim_dead, &trim, error);
    if (code == MAILBUS_OK) {
        inbox_dead_dropped(self, trim.dropped);
        inbox_publish_counts(self);
    }
    return code;
}

mailbus_code_t inbox_open(const inbox_options_t *options, mb_metrics_t *metrics, mb_log_t *log,
                          int64_t now_ms, inbox_t **ret_self, mailbus_error_t *error)
{
    bool unclean = false;
    const char *warning = NULL;
    inbox_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the inbox");
    }
    self->log = log;
    self->options = *options;
    if (self->options.window_events == 0) {
        self->options.window_events = INBOX_WINDOW_EVENTS;
    }
    if (self->options.window_bytes == 0) {
        self->options.window_bytes = INBOX_WINDOW_BYTES;
    }
    self->notes_end = &self->notes;
    self->next_due_ms = INT64_MAX;
    pthread_mutex_init(&self->store_lock, NULL);
    pthread_mutex_init(&self->window_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->ready, &attributes);
    pthread_cond_init(&self->group_ended, NULL);
    pthread_condattr_destroy(&attributes);
    register_metrics(self, metrics);
    mailbus_code_t code =
        store_open(options->path, options->schema, &self->store, &unclean, &warning, error);
    if (code == MAILBUS_OK && warning != NULL) {
        mb_log(log, MB_WARN, "inbox", warning, MB_S("path", options->path));
    }
    if (code == MAILBUS_OK) {
        code = recover(self, unclean, now_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = trim_at_start(self, error);
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        inbox_close(&self, false);
    }
    return code;
}

static void queue_free(inbox_queue_t *queue)
{
    for (inbox_item_t *item; (item = inbox_queue_pop(queue)) != NULL;) {
        inbox_item_free(&item);
    }
}

void inbox_notes_free(inbox_note_t *notes)
{
    while (notes != NULL) {
        inbox_note_t *next = notes->next;
        free(notes);
        notes = next;
    }
}

void inbox_close(inbox_t **self_p, bool clean)
{
    inbox_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    queue_free(&self->fresh);
    queue_free(&self->tried);
    inbox_notes_free(self->notes);
    store_close(&self->store, clean && !self->broken);
    pthread_mutex_destroy(&self->store_lock);
    pthread_mutex_destroy(&self->window_lock);
    pthread_cond_destroy(&self->ready);
    pthread_cond_destroy(&self->group_ended);
    free(self);
}

/* --- questions ----------------------------------------------------------------------------------
 */

bool inbox_full(inbox_t *self)
{
    const inbox_options_t *most = &self->options;
    pthread_mutex_lock(&self->window_lock);
    if (self->rows >= most->max_events || self->bytes >= most->max_bytes) {
        self->full = true;
    } else if (self->rows <= most->max_events / 10 * 9 && self->bytes <= most->max_bytes / 10 * 9) {
        self->full = false;
    }
    bool full = self->full;
    pthread_mutex_unlock(&self->window_lock);
    return full;
}

bool inbox_unwritten(inbox_t *self)
{
    pthread_mutex_lock(&self->window_lock);
    bool unwritten = self->note_count > 0;
    pthread_mutex_unlock(&self->window_lock);
    return unwritten;
}

void inbox_on_finished(inbox_t *self, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&self->window_lock);
    self->on_finished = fn;
    self->on_finished_arg = arg;
    pthread_mutex_unlock(&self->window_lock);
}

int64_t inbox_rows(inbox_t *self)
{
    pthread_mutex_lock(&self->window_lock);
    int64_t rows = self->rows;
    pthread_mutex_unlock(&self->window_lock);
    return rows;
}

bool inbox_broken(inbox_t *self)
{
    pthread_mutex_lock(&self->window_lock);
    bool broken = self->broken;
    pthread_mutex_unlock(&self->window_lock);
    return broken;
}

bool inbox_writable(inbox_t *self, char *reason, size_t size)
{
    pthread_mutex_lock(&self->window_lock);
    bool writable = self->write_error[0] == '\0';
    if (!writable) {
        size_t length = strnlen(self->write_error, size - 1);
        memcpy(reason, self->write_error, length);
        reason[length] = '\0';
    }
    pthread_mutex_unlock(&self->window_lock);
    return writable;
}
