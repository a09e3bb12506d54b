/* The memory store: nothing survives the process. For tests, and to see the speed of everything but
 * the disk. The journal's thread writes; readers of other threads see what is committed.
 *
 * The quarantine takes requests and forgets them: there is no file to look at them in. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "journal_backend.h"
#include "journal_ids.h"

/* What is kept of an event: all of it, then only what dedup needs. */
typedef struct {
    event_t *event; /* NULL: the body is pruned */
    char *id;       /* the event's own while there is one, then a copy */
    uint64_t key;
    uint8_t sha256[MB_SHA256_SIZE];
    int64_t recorded_ms;
    size_t size; /* of the body */
} record_t;

typedef struct {
    pthread_mutex_t lock; /* guards all but ids and salt */
    journal_heads_t *heads;
    char stream[MAILBUS_UUID_SIZE];
    record_t *records; /* those of sequences first … first + count - 1 begin at `start` */
    size_t start;
    size_t count;
    size_t capacity;
    uint64_t first;  /* oldest id that is kept */
    uint64_t oldest; /* oldest body */
    uint64_t head;   /* committed */
    int64_t bytes;   /* of bodies */
    journal_ids_t *ids;
    uint8_t salt[JOURNAL_SALT_SIZE];
} memory_t;

static record_t *record_of(memory_t *self, uint64_t sequence)
{
    assert(sequence >= self->first && sequence < self->first + self->count);
    return &self->records[self->start + (sequence - self->first)];
}

static void record_free(record_t *record)
{
    if (record->event == NULL) {
        free(record->id);
    } else {
        event_release(&record->event);
    }
}

static void close_store(void **self_p, bool trusted)
{
    (void)trusted;
    memory_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        record_free(&self->records[self->start + i]);
    }
    free(self->records);
    journal_ids_destroy(&self->ids);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static mailbus_code_t open_store(const journal_options_t *options, mb_log_t *log,
                                 journal_heads_t *heads, journal_found_t *ret_found,
                                 void **ret_self, mailbus_error_t *error)
{
    (void)options;
    (void)log;
    memory_t *self = calloc(1, sizeof *self);
    if (self == NULL || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->heads = heads;
    self->first = 1;
    self->oldest = 1;
    self->ids = journal_ids_new();
    void *store = self;
    if (self->ids == NULL) {
        close_store(&store, true);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (mb_uuid(self->stream) != MAILBUS_OK ||
        mb_random(self->salt, sizeof self->salt) != MAILBUS_OK) {
        close_store(&store, true);
        return mailbus_fail(error, MAILBUS_EIO, "the system has no random bytes");
    }
    memcpy(ret_found->stream, self->stream, sizeof self->stream);
    *ret_self = self;
    return MAILBUS_OK;
}

static mailbus_code_t begin(void *arg, journal_heads_t *heads, mailbus_error_t *error)
{
    (void)arg;
    (void)heads;
    (void)error;
    return MAILBUS_OK;
}

static mailbus_code_t find(void *arg, const event_t *event, journal_copy_t *ret_copy,
                           mailbus_error_t *error)
{
    (void)error;
    memory_t *self = arg;
    const uint64_t sequence = journal_ids_find(self->ids, journal_ids_key(self->salt, event->id));
    if (sequence == 0) {
        return MAILBUS_OK;
    }
    pthread_mutex_lock(&self->lock);
    const record_t *record = record_of(self, sequence);
    if (strcmp(record->id, event->id) == 0) {
        ret_copy->sequence = sequence;
        ret_copy->body_differs = memcmp(record->sha256, event->sha256, MB_SHA256_SIZE) != 0;
    }
    pthread_mutex_unlock(&self->lock);
    return MAILBUS_OK;
}

static mailbus_code_t append_locked(memory_t *self, event_t *event, uint64_t key)
{
    if (self->start + self->count == self->capacity) {
        const size_t capacity = self->capacity == 0 ? 1024 : self->capacity * 2;
        void *records = realloc(self->records, capacity * sizeof *self->records);
        if (records == NULL) {
            return MAILBUS_ENOMEM;
        }
        self->records = records;
        self->capacity = capacity;
    }
    assert(event->sequence == self->first + self->count);
    const mailbus_code_t code = journal_ids_put(self->ids, key, event->sequence);
    if (code != MAILBUS_OK) {
        return code;
    }
    record_t *record = &self->records[self->start + self->count++];
    *record = (record_t){.event = event_hold(event),
                         .id = event->id,
                         .key = key,
                         .recorded_ms = event->recorded_ms,
                         .size = event->body_size};
    memcpy(record->sha256, event->sha256, MB_SHA256_SIZE);
    self->bytes += (int64_t)event->body_size;
    return MAILBUS_OK;
}

static mailbus_code_t append(void *arg, event_t *event, size_t topic, mailbus_error_t *error)
{
    (void)topic;
    memory_t *self = arg;
    const uint64_t key = journal_ids_key(self->salt, event->id);
    pthread_mutex_lock(&self->lock);
    const mailbus_code_t code = append_locked(self, event, key);
    pthread_mutex_unlock(&self->lock);
    return code == MAILBUS_OK ? code : mailbus_fail(error, code, "out of memory");
}

static mailbus_code_t quarantine(void *arg, const journal_reject_t *reject, mailbus_error_t *error)
{
    (void)arg;
    (void)reject;
    (void)error;
    return MAILBUS_OK;
}

/* Keep only what dedup needs. Without memory for the copy the body stays for now. */
static bool drop_body(memory_t *self, record_t *record)
{
    char *id = strdup(record->id);
    if (id == NULL) {
        return false;
    }
    event_release(&record->event);
    record->id = id;
    self->bytes -= (int64_t)record->size;
    self->oldest++;
    return true;
}

static bool too_large(const memory_t *self, const journal_prune_t *prune, uint64_t sequence)
{
    return prune->max_size > 0 && self->bytes > prune->max_size &&
           sequence + JOURNAL_KEEP_LEAST <= self->head;
}

static void prune_locked(memory_t *self, const journal_prune_t *prune, journal_pruned_t *pruned)
{
    while (self->oldest <= self->head && pruned->bodies < prune->rows) {
        record_t *record = record_of(self, self->oldest);
        const bool old = record->recorded_ms < prune->bodies_before_ms;
        if ((!old && !too_large(self, prune, self->oldest)) || !drop_body(self, record)) {
            break;
        }
        pruned->bodies++;
    }
    while (pruned->ids < prune->rows && self->first + pruned->ids < self->oldest) {
        record_t *record = record_of(self, self->first + pruned->ids);
        if (record->recorded_ms >= prune->ids_before_ms) {
            break;
        }
        journal_ids_remove(self->ids, record->key, self->first + pruned->ids);
        record_free(record);
        pruned->ids++;
    }
    self->count -= pruned->ids;
    self->first += pruned->ids;
    self->start += pruned->ids;
    if (self->start > self->count) { /* rarely enough to cost each record one move at most */
        memmove(self->records, self->records + self->start, self->count * sizeof *self->records);
        self->start = 0;
    }
    pruned->more = pruned->bodies == prune->rows || pruned->ids == prune->rows;
}

static mailbus_code_t prune(void *arg, const journal_prune_t *prune, journal_pruned_t *ret_pruned,
                            mailbus_error_t *error)
{
    (void)error;
    memory_t *self = arg;
    journal_pruned_t pruned = {0};
    pthread_mutex_lock(&self->lock);
    prune_locked(self, prune, &pruned);
    pthread_mutex_unlock(&self->lock);
    *ret_pruned = pruned;
    return MAILBUS_OK;
}

static mailbus_code_t commit(void *arg, const journal_heads_t *heads, mailbus_error_t *error)
{
    (void)error;
    memory_t *self = arg;
    pthread_mutex_lock(&self->lock);
    self->head = journal_heads_view(heads)->sequence;
    pthread_mutex_unlock(&self->lock);
    return MAILBUS_OK;
}

static void rollback(void *arg)
{
    memory_t *self = arg;
    pthread_mutex_lock(&self->lock);
    while (self->count > 0 && self->first + self->count - 1 > self->head) {
        record_t *record = &self->records[self->start + --self->count];
        journal_ids_remove(self->ids, record->key, self->first + self->count);
        self->bytes -= (int64_t)record->size;
        record_free(record);
    }
    pthread_mutex_unlock(&self->lock);
}

static mailbus_code_t tidy(void *arg, mailbus_error_t *error)
{
    (void)arg;
    (void)error;
    return MAILBUS_OK;
}

static mailbus_code_t figures(void *arg, journal_figures_t *ret_figures, mailbus_error_t *error)
{
    (void)error;
    memory_t *self = arg;
    pthread_mutex_lock(&self->lock);
    ret_figures->oldest = self->oldest;
    ret_figures->size = self->bytes;
    pthread_mutex_unlock(&self->lock);
    ret_figures->free_bytes = INT64_MAX;
    return MAILBUS_OK;
}

/* ---- reading: the store itself is the reader ------------------------------------------------- */

static mailbus_code_t reader_open(void *arg, void **ret_reader, mailbus_error_t *error)
{
    (void)error;
    *ret_reader = arg;
    return MAILBUS_OK;
}

static void reader_close(void **reader_p)
{
    *reader_p = NULL;
}

/* A page taken out of the store, so that visiting doesn't hold the writer up. */
typedef struct {
    event_t **events; /* references */
    size_t count;
    uint64_t next;
    uint64_t oldest;
} page_t;

static void collect_locked(memory_t *self, const mailbus_fetch_t *fetch, uint64_t head,
                           uint32_t limit, page_t *page)
{
    const uint32_t bytes = fetch->bytes > 0 ? fetch->bytes : MAILBUS_FETCH_MAX_BYTES;
    uint64_t total = 0;
    page->oldest = self->oldest;
    page->next = fetch->from > self->oldest ? fetch->from : self->oldest;
    for (int rows = 0; rows < JOURNAL_READ_ROWS && page->next <= head; rows++, page->next++) {
        event_t *event = record_of(self, page->next)->event;
        if (!mailbus_fetch_matches(fetch, event->topic)) {
            continue;
        }
        if (page->count == limit || (page->count > 0 && total + event->body_size > bytes)) {
            break;
        }
        total += event->body_size;
        page->events[page->count++] = event_hold(event);
    }
}

static mailbus_code_t reader_fetch(void *reader, const mailbus_fetch_t *fetch,
                                   journal_visit_fn *visit, void *arg, uint64_t *ret_next,
                                   uint64_t *ret_oldest, mailbus_heads_t **ret_heads,
                                   mailbus_error_t *error)
{
    memory_t *self = reader;
    const uint32_t limit = fetch->limit > 0 ? fetch->limit : MAILBUS_FETCH_MAX_LIMIT;
    mailbus_heads_t *heads = NULL;
    page_t page = {.events = calloc(limit, sizeof(event_t *))};
    if (page.events == NULL || journal_heads_copy(self->heads, &heads) != MAILBUS_OK) {
        free(page.events);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    pthread_mutex_lock(&self->lock);
    collect_locked(self, fetch, heads->sequence, limit, &page);
    pthread_mutex_unlock(&self->lock);
    bool go_on = true;
    for (size_t i = 0; i < page.count; i++) {
        if (go_on && !visit(arg, page.events[i])) {
            page.next = page.events[i]->sequence;
            go_on = false;
        }
        event_release(&page.events[i]);
    }
    free(page.events);
    *ret_next = page.next;
    *ret_oldest = page.oldest;
    *ret_heads = heads;
    return MAILBUS_OK;
}

static mailbus_code_t reader_since(void *reader, int64_t since_ms, uint64_t *ret_sequence,
                                   mailbus_error_t *error)
{
    (void)error;
    memory_t *self = reader;
    pthread_mutex_lock(&self->lock);
    uint64_t low = self->first;
    uint64_t high = self->head + 1;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (record_of(self, middle)->recorded_ms >= since_ms) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    pthread_mutex_unlock(&self->lock);
    *ret_sequence = low;
    return MAILBUS_OK;
}

const journal_backend_t *journal_memory(void)
{
    static const journal_backend_t backend = {
        .name = "memory",
        .open = open_store,
        .close = close_store,
        .begin = begin,
        .find = find,
        .append = append,
        .quarantine = quarantine,
        .prune = prune,
        .commit = commit,
        .rollback = rollback,
        .tidy = tidy,
        .figures = figures,
        .reader_open = reader_open,
        .reader_close = reader_close,
        .reader_fetch = reader_fetch,
        .reader_since = reader_since,
    };
    return &backend;
}
