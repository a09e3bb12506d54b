/* Writing to the inbox: arrivals, the cursor and what was finished, in one transaction. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inbox_internal.h"
#include "test_point.h"

void inbox_wrote(inbox_t *self, mailbus_code_t code, const mailbus_error_t *error)
{
    pthread_mutex_lock(&self->window_lock);
    if (code == MAILBUS_OK) {
        self->write_error[0] = '\0';
        mb_metric_add(self->commits, 1);
    } else {
        memcpy(self->write_error, error->text, sizeof self->write_error);
        self->broken |= code == MAILBUS_EIO;
        mb_metric_add(self->commit_errors, 1);
    }
    pthread_mutex_unlock(&self->window_lock);
}

mailbus_code_t inbox_usable(inbox_t *self, mailbus_error_t *error)
{
    return inbox_broken(self)
               ? mailbus_fail(error, MAILBUS_EIO, "the disk failed before: nothing more is written")
               : MAILBUS_OK;
}

static mailbus_code_t write_note(inbox_t *self, const inbox_note_t *note, mailbus_error_t *error)
{
    switch (note->end) {
    case INBOX_DONE:
        return store_remove(self->store, note->number, error);
    case INBOX_AGAIN:
        return store_retry(self->store, note->number, note->attempts, note->due_ms, note->reason,
                           error);
    case INBOX_DEAD:
        return store_bury(self->store, note->number, note->attempts, note->reason, note->ended_ms,
                          error);
    }
    assert(false && "an end that is none");
    return MAILBUS_EINVAL;
}

static mailbus_code_t write_notes(inbox_t *self, const inbox_note_t *notes, int64_t *ret_dropped,
                                  mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int64_t dead = 0;
    for (; code == MAILBUS_OK && notes != NULL; notes = notes->next) {
        code = write_note(self, notes, error);
        dead += notes->end == INBOX_DEAD;
    }
    return code != MAILBUS_OK || dead == 0 ? code : inbox_trim_dead(self, dead, ret_dropped, error);
}

static mailbus_code_t write_all(inbox_t *self, const inbox_note_t *notes,
                                const inbox_arrival_t *arrivals, size_t count, const char *gap,
                                int64_t now_ms, int64_t *ret_dropped, mailbus_error_t *error)
{
    mailbus_code_t code = inbox_usable(self, error);
    if (code == MAILBUS_OK) {
        code = store_begin(self->store, error);
    }
    for (size_t i = 0; code == MAILBUS_OK && i < count; i++) {
        code = store_insert(self->store, self->next_number + (int64_t)i, arrivals[i].event,
                            arrivals[i].header, arrivals[i].header_size, now_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = write_notes(self, notes, ret_dropped, error);
    }
    if (code == MAILBUS_OK && gap != NULL) {
        code = store_set(self->store, "gap", gap, error);
    }
    if (code == MAILBUS_OK) {
        mb_test_point("inbox_before_commit");
        code = store_commit(self->store, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(self->store);
    }
    return code;
}

/* With both locks: the notes are on disk now. */
static void notes_written(inbox_t *self, const inbox_note_t *notes)
{
    for (; notes != NULL; notes = notes->next) {
        if (notes->tried) {
            inbox_held_remove(self, notes->number);
        }
        if (notes->end == INBOX_AGAIN) {
            self->next_due_ms =
                notes->due_ms < self->next_due_ms ? notes->due_ms : self->next_due_ms;
            continue;
        }
        self->rows--;
        self->bytes -= (int64_t)notes->size;
        self->dead += notes->end == INBOX_DEAD;
    }
}

/* With both locks: the arrivals are on disk now. As many as the window takes stay in memory, unless
 * older ones wait in the file. */
static void arrivals_written(inbox_t *self, inbox_arrival_t *arrivals, inbox_item_t **items,
                             size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        const mailbus_event_t *event = arrivals[i].event;
        size_t size = strlen(event->topic) + arrivals[i].header_size + event->body_size;
        self->rows++;
        self->bytes += (int64_t)size;
        int64_t number = self->next_number++;
        if (self->backlog > 0 || items[i] == NULL ||
            self->fresh.count >= self->options.window_events ||
            self->fresh.bytes + size > self->options.window_bytes) {
            self->backlog++;
            mailbus_event_free(&arrivals[i].event);
            continue;
        }
        *items[i] = (inbox_item_t){
            .row = {
                .number = number, .event = arrivals[i].event, .first_ms = now_ms, .size = size}};
        inbox_queue_push(&self->fresh, items[i]);
        items[i] = NULL;
        arrivals[i].event = NULL;
        self->loaded = number;
    }
}

static inbox_note_t *notes_take(inbox_t *self)
{
    pthread_mutex_lock(&self->window_lock);
    inbox_note_t *notes = self->notes;
    self->notes = NULL;
    self->notes_end = &self->notes;
    self->note_count = 0;
    pthread_mutex_unlock(&self->window_lock);
    return notes;
}

static void notes_give_back(inbox_t *self, inbox_note_t *notes)
{
    pthread_mutex_lock(&self->window_lock);
    while (notes != NULL) {
        inbox_note_t *next = notes->next;
        notes->next = self->notes;
        self->notes = notes;
        self->notes_end = notes->next == NULL ? &notes->next : self->notes_end;
        self->note_count++;
        notes = next;
    }
    pthread_mutex_unlock(&self->window_lock);
}

/* With the store locked: one transaction for all that there is. */
static mailbus_code_t commit_all(inbox_t *self, inbox_arrival_t *arrivals, size_t count,
                                 const char *gap, int64_t now_ms, mailbus_error_t *error)
{
    mailbus_error_t own = {0};
    inbox_note_t *notes = notes_take(self);
    if (notes == NULL && count == 0 && gap == NULL) {
        return MAILBUS_OK;
    }
    /* Items are made before the commit; what there is no memory for is read from the file later. */
    inbox_item_t **items = calloc(count + 1, sizeof(inbox_item_t *));
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = malloc(sizeof(inbox_item_t));
    }
    int64_t dropped = 0;
    mailbus_code_t code =
        items == NULL ? mailbus_fail(&own, MAILBUS_ENOMEM, "no memory to take events in")
                      : write_all(self, notes, arrivals, count, gap, now_ms, &dropped, &own);
    inbox_wrote(self, code, &own);
    if (code == MAILBUS_OK) {
        pthread_mutex_lock(&self->window_lock);
        notes_written(self, notes);
        inbox_dead_dropped(self, dropped);
        arrivals_written(self, arrivals, items, count, now_ms);
        inbox_publish_counts(self);
        pthread_cond_broadcast(&self->ready);
        pthread_mutex_unlock(&self->window_lock);
        inbox_notes_free(notes);
    } else {
        notes_give_back(self, notes);
        if (error != NULL) {
            *error = own;
        }
    }
    for (size_t i = 0; items != NULL && i < count; i++) {
        free(items[i]);
    }
    free(items);
    return code;
}

mailbus_code_t inbox_take_in(inbox_t *self, inbox_arrival_t *arrivals, size_t count,
                             const char *gap, int64_t now_ms, mailbus_error_t *error)
{
    inbox_store_lock(self);
    mailbus_code_t code = commit_all(self, arrivals, count, gap, now_ms, error);
    inbox_store_unlock(self);
    return code;
}

mailbus_code_t inbox_flush(inbox_t *self, int64_t timeout_ms, int64_t now_ms,
                           mailbus_error_t *error)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_mutex_timedlock */
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (!inbox_store_lock_until(self, &until)) {
        return mailbus_fail(error, MAILBUS_ETIMEOUT, "a handler keeps the store to itself");
    }
    mailbus_code_t code = commit_all(self, NULL, 0, NULL, now_ms, error);
    inbox_store_unlock(self);
    return code;
}

void inbox_finish(inbox_t *self, inbox_item_t **item_p, inbox_end_t end, unsigned attempts,
                  int64_t due_ms, const char *reason, int64_t now_ms)
{
    inbox_item_t *item = *item_p;
    size_t size = reason != NULL ? strlen(reason) : 0;
    inbox_note_t *note = malloc(sizeof *note + size + 1);
    /* Without memory for the note the event stays in the file, and is handed out again after the
     * next start: no promise is broken by that. */
    if (note != NULL) {
        *note = (inbox_note_t){.number = item->row.number,
                               .end = end,
                               .tried = item->tried,
                               .attempts = attempts,
                               .due_ms = due_ms,
                               .ended_ms = now_ms,
                               .size = item->row.size};
        memcpy(note->reason, reason != NULL ? reason : "", size + 1);
    }
    inbox_item_free(item_p);
    if (note == NULL) {
        return;
    }
    pthread_mutex_lock(&self->window_lock);
    *self->notes_end = note;
    self->notes_end = &note->next;
    size_t waiting = ++self->note_count;
    if (waiting == 1 && self->on_finished != NULL) {
        self->on_finished(self->on_finished_arg);
    }
    pthread_mutex_unlock(&self->window_lock);
    if (waiting % INBOX_FINISHED_SOON == 0 && inbox_flush(self, 0, now_ms, NULL) != MAILBUS_OK) {
        /* Somebody else holds the store, and will write them, or it was remembered. */
    }
}
