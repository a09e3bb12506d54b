/* The inbox's side of the workers: what is due next, and reading it from the file. */
#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "inbox_internal.h"

/* The longest a worker waits before it looks at the wall clock again: it may be set meanwhile. */
enum { WAIT_MAX_MS = 1000 };

/* What one refill brings from the file into the window. */
typedef struct {
    inbox_queue_t fresh;
    inbox_queue_t tried;
    int64_t loaded;   /* the last untried row that was read */
    int64_t rows;     /* untried rows that were read */
    int64_t next_due; /* of the first retry that was not */
    int64_t buried;   /* unreadable rows */
    int64_t buried_bytes;
} refill_t;

/* A row whose frames can't be decoded: a damaged file, or one from a stricter or looser version. */
static mailbus_code_t bury_unreadable(inbox_t *self, const store_row_t *row, int64_t now_ms,
                                      mailbus_error_t *error)
{
    mailbus_code_t code = store_begin(self->store, error);
    if (code == MAILBUS_OK) {
        code = store_bury(self->store, row->number, row->attempts,
                          "the stored frames can't be read", now_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = store_commit(self->store, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(self->store);
        return code;
    }
    mb_log(self->log, MB_ERROR, "inbox", "an event in the state file can't be read: set aside",
           MB_I("row", row->number));
    return MAILBUS_OK;
}

static mailbus_code_t read_item(inbox_t *self, int64_t number, bool tried, int64_t now_ms,
                                refill_t *refill, mailbus_error_t *error)
{
    inbox_item_t *item = calloc(1, sizeof *item);
    if (item == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory to read the inbox");
    }
    item->tried = tried;
    mailbus_code_t code = store_load(self->store, number, &item->row, error);
    if (code == MAILBUS_OK && item->row.event != NULL) {
        inbox_queue_push(tried ? &refill->tried : &refill->fresh, item);
        return MAILBUS_OK;
    }
    if (code == MAILBUS_OK) {
        code = bury_unreadable(self, &item->row, now_ms, error);
        refill->buried += code == MAILBUS_OK;
        refill->buried_bytes += code == MAILBUS_OK ? (int64_t)item->row.size : 0;
    }
    inbox_item_free(&item);
    return code;
}

static mailbus_code_t read_fresh(inbox_t *self, int64_t now_ms, refill_t *refill,
                                 mailbus_error_t *error)
{
    int64_t numbers[INBOX_REFILL_EVENTS];
    size_t count = 0;
    mailbus_code_t code =
        store_fresh(self->store, refill->loaded, INBOX_REFILL_EVENTS, numbers, &count, error);
    for (size_t i = 0; code == MAILBUS_OK && i < count; i++) {
        if (refill->fresh.bytes > self->options.window_bytes) {
            break;
        }
        code = read_item(self, numbers[i], false, now_ms, refill, error);
        if (code == MAILBUS_OK) {
            refill->loaded = numbers[i];
            refill->rows++;
        }
    }
    return code;
}

static bool is_held(const int64_t *held, size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (held[i] == number) {
            return true;
        }
    }
    return false;
}

/* Retries whose time has come, as many as may be held. `held` is the state at the beginning; only a
 * refill adds to it, and there is one at a time. */
static mailbus_code_t read_due(inbox_t *self, const int64_t *held, size_t held_count,
                               int64_t now_ms, refill_t *refill, mailbus_error_t *error)
{
    enum { MOST = 2 * INBOX_HELD_MAX };
    int64_t numbers[MOST];
    int64_t due[MOST];
    size_t count = 0;
    mailbus_code_t code = store_due(self->store, MOST, numbers, due, &count, error);
    refill->next_due = INT64_MAX;
    for (size_t i = 0; code == MAILBUS_OK && i < count; i++) {
        if (is_held(held, held_count, numbers[i])) {
            continue;
        }
        if (due[i] > now_ms || held_count + refill->tried.count >= INBOX_HELD_MAX ||
            refill->tried.bytes > self->options.window_bytes) {
            refill->next_due = due[i];
            break;
        }
        code = read_item(self, numbers[i], true, now_ms, refill, error);
    }
    return code;
}

static void append(inbox_queue_t *to, inbox_queue_t *from)
{
    for (inbox_item_t *item; (item = inbox_queue_pop(from)) != NULL;) {
        inbox_queue_push(to, item);
    }
}

/* Read what is next from the file. Called without locks, by one worker at a time. */
static mailbus_code_t refill_window(inbox_t *self, int64_t now_ms, mailbus_error_t *error)
{
    int64_t held[INBOX_HELD_MAX];
    inbox_store_lock(self);
    pthread_mutex_lock(&self->window_lock);
    size_t held_count = self->held_count;
    for (size_t i = 0; i < held_count; i++) {
        held[i] = self->held[i];
    }
    bool fresh = self->backlog > 0 && self->fresh.count < self->options.window_events;
    bool due = self->next_due_ms <= now_ms;
    refill_t refill = {.loaded = self->loaded, .next_due = self->next_due_ms};
    pthread_mutex_unlock(&self->window_lock);

    mailbus_code_t code = MAILBUS_OK;
    if (fresh) {
        code = read_fresh(self, now_ms, &refill, error);
    }
    if (code == MAILBUS_OK && due) {
        code = read_due(self, held, held_count, now_ms, &refill, error);
    }

    pthread_mutex_lock(&self->window_lock);
    self->loaded = refill.loaded;
    self->backlog -= refill.rows;
    /* Nothing was found where something was expected: the count is wrong, not the file. */
    self->backlog = code == MAILBUS_OK && fresh && refill.rows == 0 ? 0 : self->backlog;
    self->next_due_ms = code == MAILBUS_OK ? refill.next_due : now_ms;
    for (const inbox_item_t *item = refill.tried.first; item != NULL; item = item->next) {
        self->held[self->held_count++] = item->row.number;
    }
    append(&self->fresh, &refill.fresh);
    append(&self->tried, &refill.tried);
    self->rows -= refill.buried;
    self->bytes -= refill.buried_bytes;
    self->dead += refill.buried;
    inbox_publish_counts(self);
    pthread_mutex_unlock(&self->window_lock);
    inbox_store_unlock(self);
    return code;
}

/* The rest with the window locked. */

static inbox_item_t *pick(inbox_t *self)
{
    inbox_queue_t *first = self->tried_next ? &self->tried : &self->fresh;
    inbox_queue_t *second = self->tried_next ? &self->fresh : &self->tried;
    inbox_item_t *item = inbox_queue_pop(first->count > 0 ? first : second);
    self->tried_next = !self->tried_next;
    return item;
}

static bool refill_wanted(const inbox_t *self, int64_t now_ms)
{
    return !self->refilling &&
           ((self->backlog > 0 && self->fresh.count < self->options.window_events / 4) ||
            (self->next_due_ms <= now_ms && self->held_count < INBOX_HELD_MAX));
}

static void wait_until(inbox_t *self, int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&self->ready, &self->window_lock, &until);
}

static void refill_now(inbox_t *self, int64_t now_ms)
{
    mailbus_error_t error = {0};
    self->refilling = true;
    pthread_mutex_unlock(&self->window_lock);
    mailbus_code_t code = refill_window(self, now_ms, &error);
    pthread_mutex_lock(&self->window_lock);
    self->refilling = false;
    pthread_cond_broadcast(&self->ready);
    if (code != MAILBUS_OK) {
        mb_log(self->log, MB_ERROR, "inbox", "can't read the state file",
               MB_S("reason", error.text));
        self->broken |= code == MAILBUS_EIO;
        wait_until(self, WAIT_MAX_MS);
    }
}

inbox_item_t *inbox_next(inbox_t *self)
{
    inbox_item_t *item = NULL;
    pthread_mutex_lock(&self->window_lock);
    while (!self->stopped && item == NULL) {
        int64_t now_ms = mb_clock_wall_ms();
        if (self->note_count >= INBOX_FINISHED_MAX) {
            wait_until(self, WAIT_MAX_MS); /* nothing can be written: hand out no more */
            continue;
        }
        if (refill_wanted(self, now_ms)) {
            refill_now(self, now_ms);
            continue;
        }
        item = pick(self);
        if (item != NULL) {
            break;
        }
        int64_t wait_ms = self->next_due_ms - now_ms;
        wait_until(self, wait_ms > WAIT_MAX_MS || wait_ms <= 0 ? WAIT_MAX_MS : wait_ms);
    }
    pthread_mutex_unlock(&self->window_lock);
    return item;
}

void inbox_stop(inbox_t *self)
{
    pthread_mutex_lock(&self->window_lock);
    self->stopped = true;
    pthread_cond_broadcast(&self->ready);
    pthread_mutex_unlock(&self->window_lock);
}

static mailbus_code_t mark(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_mark(store, *(const int64_t *)arg, error);
}

mailbus_code_t inbox_mark(inbox_t *self, const inbox_item_t *item, mailbus_error_t *error)
{
    pthread_mutex_lock(&self->window_lock);
    bool careful = self->careful > 0 || item->row.crashes > 0;
    self->careful -= self->careful > 0;
    pthread_mutex_unlock(&self->window_lock);
    int64_t number = item->row.number;
    return careful ? inbox_with_store(self, mark, &number, error) : MAILBUS_OK;
}
