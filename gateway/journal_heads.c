/* Owner: the journal's thread. `lock` guards what journal_heads_copy reads: the committed numbers,
 * and the array of names while it grows. */
#include "journal_heads.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 32 /* AgentMail has about a dozen event types */

typedef struct {
    size_t index;
    uint64_t before; /* the topic's head before this event */
} taken_t;

struct journal_heads {
    mailbus_heads_t view;
    size_t capacity;     /* of view.topics, committed and by_name */
    uint64_t *committed; /* the committed head of each topic; 0: the topic itself is not yet */
    uint64_t committed_sequence;
    size_t *by_name; /* indexes, sorted by name */
    taken_t *taken;  /* numbers given out in this transaction */
    size_t taken_count;
    size_t taken_capacity;
    size_t begin_count; /* topics before this transaction */
    pthread_mutex_t lock;
};

journal_heads_t *journal_heads_new(void)
{
    journal_heads_t *self = calloc(1, sizeof *self);
    if (self != NULL && pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        self = NULL;
    }
    return self;
}

void journal_heads_destroy(journal_heads_t **self_p)
{
    journal_heads_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    pthread_mutex_destroy(&self->lock);
    free(self->view.topics);
    free(self->committed);
    free(self->by_name);
    free(self->taken);
    free(self);
}

void journal_heads_set_stream(journal_heads_t *self, const char *stream)
{
    assert(strlen(stream) < sizeof self->view.stream);
    memcpy(self->view.stream, stream, strlen(stream) + 1);
}

const mailbus_heads_t *journal_heads_view(const journal_heads_t *self)
{
    return &self->view;
}

/* The place of `topic` in by_name, or where it would go. */
static bool locate(const journal_heads_t *self, const char *topic, size_t *ret_place)
{
    size_t low = 0;
    size_t high = self->view.count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(topic, self->view.topics[self->by_name[middle]].topic);
        if (order == 0) {
            *ret_place = middle;
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_place = low;
    return false;
}

static mailbus_code_t grow(journal_heads_t *self)
{
    const size_t capacity = self->capacity == 0 ? FIRST_CAPACITY : self->capacity * 2;
    void *topics = realloc(self->view.topics, capacity * sizeof *self->view.topics);
    if (topics != NULL) {
        self->view.topics = topics;
    }
    void *committed = realloc(self->committed, capacity * sizeof *self->committed);
    if (committed != NULL) {
        self->committed = committed;
    }
    void *by_name = realloc(self->by_name, capacity * sizeof *self->by_name);
    if (by_name != NULL) {
        self->by_name = by_name;
    }
    if (topics == NULL || committed == NULL || by_name == NULL) {
        return MAILBUS_ENOMEM;
    }
    self->capacity = capacity;
    return MAILBUS_OK;
}

static mailbus_code_t add_locked(journal_heads_t *self, const char *topic, size_t place,
                                 uint64_t committed)
{
    if (self->view.count == MAILBUS_HEADS_MAX_TOPICS) {
        return MAILBUS_EFULL;
    }
    if (self->view.count == self->capacity && grow(self) != MAILBUS_OK) {
        return MAILBUS_ENOMEM;
    }
    const size_t index = self->view.count;
    mailbus_head_t *head = &self->view.topics[index];
    assert(strlen(topic) < sizeof head->topic);
    memcpy(head->topic, topic, strlen(topic) + 1);
    head->sequence = committed;
    self->committed[index] = committed;
    memmove(&self->by_name[place + 1], &self->by_name[place],
            (index - place) * sizeof *self->by_name);
    self->by_name[place] = index;
    self->view.count++;
    return MAILBUS_OK;
}

static mailbus_code_t add(journal_heads_t *self, const char *topic, size_t place,
                          uint64_t committed)
{
    pthread_mutex_lock(&self->lock);
    const mailbus_code_t code = add_locked(self, topic, place, committed);
    pthread_mutex_unlock(&self->lock);
    return code;
}

mailbus_code_t journal_heads_load(journal_heads_t *self, const char *topic, uint64_t head)
{
    size_t place = 0;
    if (locate(self, topic, &place)) {
        return MAILBUS_EEXIST;
    }
    const mailbus_code_t code = add(self, topic, place, head);
    if (code == MAILBUS_OK && head > self->view.sequence) {
        self->view.sequence = head;
        self->committed_sequence = head;
    }
    return code;
}

void journal_heads_begin(journal_heads_t *self)
{
    assert(self->taken_count == 0);
    self->begin_count = self->view.count;
}

static mailbus_code_t reserve_taken(journal_heads_t *self)
{
    if (self->taken_count < self->taken_capacity) {
        return MAILBUS_OK;
    }
    const size_t capacity = self->taken_capacity == 0 ? 256 : self->taken_capacity * 2;
    void *taken = realloc(self->taken, capacity * sizeof *self->taken);
    if (taken == NULL) {
        return MAILBUS_ENOMEM;
    }
    self->taken = taken;
    self->taken_capacity = capacity;
    return MAILBUS_OK;
}

mailbus_code_t journal_heads_take(journal_heads_t *self, const char *topic, uint64_t *ret_sequence,
                                  uint64_t *ret_previous, size_t *ret_index)
{
    mailbus_code_t code = reserve_taken(self);
    if (code != MAILBUS_OK) {
        return code;
    }
    size_t place = 0;
    if (!locate(self, topic, &place)) {
        code = add(self, topic, place, 0);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    const size_t index = self->by_name[place];
    mailbus_head_t *head = &self->view.topics[index];
    self->taken[self->taken_count++] = (taken_t){.index = index, .before = head->sequence};
    *ret_previous = head->sequence;
    *ret_index = index;
    head->sequence = ++self->view.sequence;
    *ret_sequence = head->sequence;
    return MAILBUS_OK;
}

void journal_heads_commit(journal_heads_t *self)
{
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->taken_count; i++) {
        const size_t index = self->taken[i].index;
        self->committed[index] = self->view.topics[index].sequence;
    }
    self->committed_sequence = self->view.sequence;
    pthread_mutex_unlock(&self->lock);
    self->taken_count = 0;
}

void journal_heads_rollback(journal_heads_t *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->taken_count > 0) {
        const taken_t *taken = &self->taken[--self->taken_count];
        self->view.topics[taken->index].sequence = taken->before;
    }
    self->view.sequence = self->committed_sequence;
    size_t kept = 0;
    for (size_t i = 0; i < self->view.count; i++) {
        if (self->by_name[i] < self->begin_count) {
            self->by_name[kept++] = self->by_name[i];
        }
    }
    self->view.count = self->begin_count;
    pthread_mutex_unlock(&self->lock);
}

mailbus_code_t journal_heads_copy(journal_heads_t *self, mailbus_heads_t **ret_heads)
{
    mailbus_heads_t *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        return MAILBUS_ENOMEM;
    }
    pthread_mutex_lock(&self->lock);
    memcpy(copy->stream, self->view.stream, sizeof copy->stream);
    copy->sequence = self->committed_sequence;
    copy->topics = calloc(self->view.count + 1, sizeof *copy->topics);
    for (size_t i = 0; i < self->view.count && copy->topics != NULL; i++) {
        if (self->committed[i] > 0) {
            mailbus_head_t *head = &copy->topics[copy->count++];
            memcpy(head->topic, self->view.topics[i].topic, sizeof head->topic);
            head->sequence = self->committed[i];
        }
    }
    pthread_mutex_unlock(&self->lock);
    if (copy->topics == NULL) {
        free(copy);
        return MAILBUS_ENOMEM;
    }
    *ret_heads = copy;
    return MAILBUS_OK;
}
