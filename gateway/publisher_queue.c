#include "publisher_queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct publisher_queue {
    pthread_mutex_t mutex; /* guards everything below */
    event_t **ring;
    size_t capacity; /* events */
    size_t first;
    size_t count;
    size_t max_bytes;
    size_t bytes; /* of the bodies that wait */
    /* Sorted by topic. Room for every topic the wire can name is there from the start (the system
     * gives pages only as they are used), so that noting an event can't fail. */
    mailbus_heads_t heads;
    bool overflow; /* one topic too many: the heads are incomplete for good */
};

static int compare_heads(const void *a, const void *b)
{
    return strcmp(((const mailbus_head_t *)a)->topic, ((const mailbus_head_t *)b)->topic);
}

mailbus_code_t publisher_queue_new(size_t max_events, size_t max_bytes,
                                   const mailbus_heads_t *heads, publisher_queue_t **ret_self,
                                   mailbus_error_t *error)
{
    assert(max_events > 0);
    publisher_queue_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the publisher's queue");
    }
    pthread_mutex_init(&self->mutex, NULL);
    self->capacity = max_events;
    self->max_bytes = max_bytes;
    self->ring = calloc(max_events, sizeof *self->ring);
    self->heads.topics = calloc(MAILBUS_HEADS_MAX_TOPICS, sizeof *self->heads.topics);
    if (self->ring == NULL || self->heads.topics == NULL) {
        publisher_queue_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the publisher's queue");
    }
    memcpy(self->heads.stream, heads->stream, sizeof self->heads.stream);
    self->heads.sequence = heads->sequence;
    self->overflow = heads->count > MAILBUS_HEADS_MAX_TOPICS;
    if (!self->overflow && heads->count > 0) {
        memcpy(self->heads.topics, heads->topics, heads->count * sizeof *heads->topics);
        self->heads.count = heads->count;
        qsort(self->heads.topics, heads->count, sizeof *heads->topics, compare_heads);
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void publisher_queue_destroy(publisher_queue_t **self_p)
{
    publisher_queue_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        event_release(&self->ring[(self->first + i) % self->capacity]);
    }
    pthread_mutex_destroy(&self->mutex);
    free(self->ring);
    free(self->heads.topics);
    free(self);
}

/* Let the heads cover `event`. */
static void note(publisher_queue_t *self, const event_t *event)
{
    mailbus_heads_t *heads = &self->heads;
    size_t low = 0, high = heads->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(event->topic, heads->topics[middle].topic);
        if (order == 0) {
            heads->topics[middle].sequence = event->sequence;
            heads->sequence = event->sequence;
            return;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (heads->count == MAILBUS_HEADS_MAX_TOPICS) {
        self->overflow = true;
        return;
    }
    size_t length = strlen(event->topic);
    assert(length <= MAILBUS_TOPIC_MAX); /* the envelope let it in */
    memmove(&heads->topics[low + 1], &heads->topics[low],
            (heads->count - low) * sizeof *heads->topics);
    memcpy(heads->topics[low].topic, event->topic, length + 1);
    heads->topics[low].sequence = event->sequence;
    heads->sequence = event->sequence;
    heads->count++;
}

static event_t *take_first(publisher_queue_t *self)
{
    event_t *event = self->ring[self->first];
    self->ring[self->first] = NULL;
    self->first = (self->first + 1) % self->capacity;
    self->count--;
    self->bytes -= event->body_size;
    note(self, event);
    return event;
}

size_t publisher_queue_put(publisher_queue_t *self, event_t *const *events, size_t count,
                           bool *ret_was_empty)
{
    size_t pushed_out = 0;
    pthread_mutex_lock(&self->mutex);
    *ret_was_empty = self->count == 0;
    for (size_t i = 0; i < count; i++) {
        /* The newest always goes in, so that what is live stays live. */
        while (self->count == self->capacity ||
               (self->count > 0 && self->bytes + events[i]->body_size > self->max_bytes)) {
            event_t *oldest = take_first(self);
            event_release(&oldest);
            pushed_out++;
        }
        self->ring[(self->first + self->count) % self->capacity] = event_hold(events[i]);
        self->count++;
        self->bytes += events[i]->body_size;
    }
    pthread_mutex_unlock(&self->mutex);
    return pushed_out;
}

size_t publisher_queue_take(publisher_queue_t *self, event_t **events, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&self->mutex);
    while (count < max && self->count > 0) {
        events[count++] = take_first(self);
    }
    pthread_mutex_unlock(&self->mutex);
    return count;
}

/* Called with the mutex. */
static mailbus_heads_t *copy_heads(const mailbus_heads_t *heads)
{
    mailbus_heads_t *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    *copy = *heads;
    copy->topics = NULL;
    if (heads->count > 0) {
        copy->topics = malloc(heads->count * sizeof *heads->topics);
        if (copy->topics == NULL) {
            free(copy);
            return NULL;
        }
        memcpy(copy->topics, heads->topics, heads->count * sizeof *heads->topics);
    }
    return copy;
}

mailbus_code_t publisher_queue_heads(publisher_queue_t *self, mailbus_heads_t **ret_heads)
{
    mailbus_heads_t *copy = NULL;
    pthread_mutex_lock(&self->mutex);
    bool overflow = self->overflow;
    if (!overflow) {
        copy = copy_heads(&self->heads);
    }
    pthread_mutex_unlock(&self->mutex);
    if (copy == NULL) {
        return overflow ? MAILBUS_EFULL : MAILBUS_ENOMEM;
    }
    *ret_heads = copy;
    return MAILBUS_OK;
}
