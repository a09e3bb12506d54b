/* The store in other hands than the bus thread's and a handler's: notes, dead letters. */
#include "dead.h"
#include "inbox_internal.h"

void inbox_gone(inbox_t *self, inbox_item_t **item_p)
{
    const inbox_item_t *item = *item_p;
    pthread_mutex_lock(&self->window_lock);
    if (item->tried) {
        inbox_held_remove(self, item->row.number);
    }
    self->rows--;
    self->bytes -= (int64_t)item->row.size;
    inbox_publish_counts(self);
    pthread_mutex_unlock(&self->window_lock);
    inbox_item_free(item_p);
}

/* With the store locked: run `fn` in a transaction. */
static mailbus_code_t run(inbox_t *self,
                          mailbus_code_t (*fn)(store_t *store, void *arg, mailbus_error_t *error),
                          void *arg, mailbus_error_t *error)
{
    mailbus_error_t own = {0};
    mailbus_code_t code = inbox_usable(self, &own);
    if (code == MAILBUS_OK) {
        code = store_begin(self->store, &own);
    }
    if (code == MAILBUS_OK) {
        code = fn(self->store, arg, &own);
    }
    if (code == MAILBUS_OK) {
        code = store_commit(self->store, &own);
    }
    if (code != MAILBUS_OK) {
        store_rollback(self->store);
        if (error != NULL) {
            *error = own;
        }
    }
    if (code == MAILBUS_EIO) {
        inbox_wrote(self, code, &own);
    }
    return code;
}

mailbus_code_t inbox_with_store(inbox_t *self,
                                mailbus_code_t (*fn)(store_t *store, void *arg,
                                                     mailbus_error_t *error),
                                void *arg, mailbus_error_t *error)
{
    inbox_store_lock(self);
    mailbus_code_t code = run(self, fn, arg, error);
    inbox_store_unlock(self);
    return code;
}

typedef struct {
    int64_t number;
    int64_t row;
    int64_t now_ms;
    int64_t size;
} dead_call_t;

static mailbus_code_t call_retry(store_t *store, void *arg, mailbus_error_t *error)
{
    dead_call_t *call = arg;
    return dead_retry(store, call->number, call->row, call->now_ms, &call->size, error);
}

static mailbus_code_t call_drop(store_t *store, void *arg, mailbus_error_t *error)
{
    const dead_call_t *call = arg;
    return dead_drop(store, call->number, error);
}

mailbus_code_t inbox_dead_retry(inbox_t *self, int64_t number, int64_t now_ms,
                                mailbus_error_t *error)
{
    inbox_store_lock(self);
    dead_call_t call = {.number = number, .row = self->next_number, .now_ms = now_ms};
    mailbus_code_t code = run(self, call_retry, &call, error);
    if (code == MAILBUS_OK) {
        self->next_number++;
        pthread_mutex_lock(&self->window_lock);
        self->dead--;
        self->rows++;
        self->bytes += call.size;
        self->next_due_ms = now_ms < self->next_due_ms ? now_ms : self->next_due_ms;
        inbox_publish_counts(self);
        pthread_cond_broadcast(&self->ready);
        pthread_mutex_unlock(&self->window_lock);
    }
    inbox_store_unlock(self);
    return code;
}

mailbus_code_t inbox_dead_drop(inbox_t *self, int64_t number, mailbus_error_t *error)
{
    dead_call_t call = {.number = number};
    mailbus_code_t code = inbox_with_store(self, call_drop, &call, error);
    if (code == MAILBUS_OK) {
        pthread_mutex_lock(&self->window_lock);
        self->dead--;
        inbox_publish_counts(self);
        pthread_mutex_unlock(&self->window_lock);
    }
    return code;
}
