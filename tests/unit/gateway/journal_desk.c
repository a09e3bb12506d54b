#include "journal_desk.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define DEADLINE_MS 30000

struct journal_desk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool (*heard)(void *arg);
    void *heard_arg;
    journal_answer_t *answers;
    size_t accepted;
    size_t answered;
    size_t capacity;
    journal_published_t *published;
    size_t published_count;
    size_t published_capacity;
    uint64_t head;
};

/* What the journal hands back: which answer this is. */
typedef struct {
    journal_desk_t *desk;
    size_t place;
} ticket_t;

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

journal_desk_t *journal_desk_new(bool (*heard)(void *arg), void *arg)
{
    journal_desk_t *self = must(calloc(1, sizeof *self));
    self->heard = heard;
    self->heard_arg = arg;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    return self;
}

void journal_desk_free(journal_desk_t **self_p)
{
    journal_desk_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        pthread_mutex_destroy(&self->lock);
        pthread_cond_destroy(&self->changed);
        free(self->answers);
        free(self->published);
        free(self);
    }
}

static bool is_heard(const journal_desk_t *self)
{
    return self->heard == NULL || self->heard(self->heard_arg);
}

static void on_done(void *arg, const journal_result_t *result)
{
    ticket_t *ticket = arg;
    journal_desk_t *self = ticket->desk;
    const bool heard = is_heard(self);
    pthread_mutex_lock(&self->lock);
    journal_answer_t *answer = &self->answers[ticket->place];
    answer->result = heard ? *result : (journal_result_t){.outcome = JOURNAL_FAILED};
    answer->published_before = self->published_count;
    answer->times++;
    self->answered++;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    free(ticket);
}

static void on_commit(void *arg, event_t *const *events, size_t count, const mailbus_heads_t *heads)
{
    journal_desk_t *self = arg;
    if (!is_heard(self)) {
        return;
    }
    pthread_mutex_lock(&self->lock);
    if (self->published_count + count > self->published_capacity) {
        self->published_capacity = (self->published_count + count) * 2;
        self->published =
            must(realloc(self->published, self->published_capacity * sizeof *self->published));
    }
    for (size_t i = 0; i < count; i++) {
        journal_published_t *published = &self->published[self->published_count++];
        published->sequence = events[i]->sequence;
        published->previous = events[i]->previous;
        snprintf(published->topic, sizeof published->topic, "%s", events[i]->topic);
        snprintf(published->id, sizeof published->id, "%s", events[i]->id);
    }
    self->head = heads->sequence;
    pthread_mutex_unlock(&self->lock);
}

void journal_desk_listen(journal_desk_t *self, journal_t *journal)
{
    journal_on_commit(journal, on_commit, self);
}

event_t *journal_desk_event(const char *topic, const char *id, const void *body, size_t size)
{
    event_t *event = must(event_new());
    event->topic = must(strdup(topic));
    event->id = must(strdup(id));
    event->webhook_id = must(strdup("msg_1"));
    event->source = must(strdup("/agentmail/inboxes/support%40example.com"));
    event->subject = must(strdup("<1@example.com>"));
    event->time = must(strdup("2026-01-02T03:04:05.000Z"));
    if (body == NULL) {
        body = id;
        size = strlen(id);
    }
    event->body = must(malloc(size + 1));
    memcpy(event->body, body, size);
    event->body[size] = '\0';
    event->body_size = size;
    mb_sha256(event->body, size, event->sha256);
    return event;
}

mailbus_code_t journal_desk_submit(journal_desk_t *self, journal_t *journal, const char *topic,
                                   const char *id, const void *body, size_t size)
{
    event_t *event = journal_desk_event(topic, id, body, size);
    ticket_t *ticket = must(malloc(sizeof *ticket));
    pthread_mutex_lock(&self->lock);
    if (self->accepted == self->capacity) {
        self->capacity = self->capacity == 0 ? 256 : self->capacity * 2;
        self->answers = must(realloc(self->answers, self->capacity * sizeof *self->answers));
    }
    *ticket = (ticket_t){.desk = self, .place = self->accepted};
    journal_answer_t *answer = &self->answers[self->accepted];
    *answer = (journal_answer_t){.times = 0};
    snprintf(answer->id, sizeof answer->id, "%s", id);
    memcpy(answer->sha256, event->sha256, sizeof answer->sha256);
    /* Under the lock: the answer may come before submit returns, and waits here. */
    const mailbus_code_t code = journal_submit(journal, event, on_done, ticket);
    if (code == MAILBUS_OK) {
        self->accepted++;
    }
    pthread_mutex_unlock(&self->lock);
    if (code != MAILBUS_OK) {
        free(ticket);
    }
    event_release(&event);
    return code;
}

bool journal_desk_wait(journal_desk_t *self)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&self->lock);
    int late = 0;
    while (self->answered < self->accepted && late == 0) {
        late = pthread_cond_timedwait(&self->changed, &self->lock, &deadline);
    }
    const bool done = self->answered == self->accepted;
    pthread_mutex_unlock(&self->lock);
    return done;
}

size_t journal_desk_answers(journal_desk_t *self, const journal_answer_t **ret_answers)
{
    pthread_mutex_lock(&self->lock);
    const size_t count = self->accepted;
    *ret_answers = self->answers;
    pthread_mutex_unlock(&self->lock);
    return count;
}

size_t journal_desk_published(journal_desk_t *self, const journal_published_t **ret_published)
{
    pthread_mutex_lock(&self->lock);
    const size_t count = self->published_count;
    *ret_published = self->published;
    pthread_mutex_unlock(&self->lock);
    return count;
}

uint64_t journal_desk_head(journal_desk_t *self)
{
    pthread_mutex_lock(&self->lock);
    const uint64_t head = self->head;
    pthread_mutex_unlock(&self->lock);
    return head;
}

void journal_folder_new(char path[128])
{
    const char *base = getenv("TMPDIR");
    snprintf(path, 128, "%.80s/mailbus-test-XXXXXX", base != NULL ? base : "/tmp");
    must(mkdtemp(path));
}

void journal_folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            unlink(name);
        }
    }
    closedir(folder);
    rmdir(path);
}

bool journal_metric_reaches(const mb_metric_t *metric, uint64_t value)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    const int64_t deadline = mb_clock_monotonic_ms() + DEADLINE_MS;
    while (mb_metric_value(metric) < value && mb_clock_monotonic_ms() < deadline) {
        nanosleep(&pause, NULL);
    }
    return mb_metric_value(metric) >= value;
}
