#include "gap.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Entries exist only for topics whose known is above `synced`, so their number is bounded by the
 * topics that were heard of since the last heads. A gateway names at most this many. */
#define ENTRIES_MAX (2 * MAILBUS_HEADS_MAX_TOPICS)

typedef struct {
    char *topic;
    uint64_t known;
} entry_t;

struct gap {
    char **topics;
    size_t topic_count;
    char **prefixes;
    size_t prefix_count;
    char stream[MAILBUS_UUID_SIZE];
    uint64_t synced;
    entry_t *entries; /* sorted by topic */
    size_t count;
    size_t capacity;
};

static size_t names_count(const char *const *names)
{
    size_t count = 0;
    while (names != NULL && names[count] != NULL) {
        count++;
    }
    return count;
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; names != NULL && i < count; i++) {
        free(names[i]);
    }
    free(names);
}

static char **names_copy(const char *const *names, size_t count)
{
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(names[i]);
        if (copy[i] == NULL) {
            names_free(copy, i);
            return NULL;
        }
    }
    return copy;
}

gap_t *gap_new(const char *const *topics, const char *const *prefixes)
{
    gap_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->topic_count = names_count(topics);
    self->prefix_count = names_count(prefixes);
    self->topics = names_copy(topics, self->topic_count);
    self->prefixes = names_copy(prefixes, self->prefix_count);
    if (self->topics == NULL || self->prefixes == NULL) {
        gap_destroy(&self);
    }
    return self;
}

static void entries_clear(gap_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free(self->entries[i].topic);
    }
    self->count = 0;
}

void gap_destroy(gap_t **self_p)
{
    gap_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    entries_clear(self);
    free(self->entries);
    names_free(self->topics, self->topic_count);
    names_free(self->prefixes, self->prefix_count);
    free(self);
}

void gap_reset(gap_t *self, const char *stream, uint64_t base)
{
    assert(strlen(stream) < sizeof self->stream);
    entries_clear(self);
    memcpy(self->stream, stream, strlen(stream) + 1);
    self->synced = base;
}

bool gap_matches(const gap_t *self, const char *topic)
{
    for (size_t i = 0; i < self->topic_count; i++) {
        if (strcmp(self->topics[i], topic) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < self->prefix_count; i++) {
        if (strncmp(self->prefixes[i], topic, strlen(self->prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

const char *gap_stream(const gap_t *self)
{
    return self->stream;
}

uint64_t gap_synced(const gap_t *self)
{
    return self->synced;
}

/* Where `topic` stands, or would stand. */
static size_t entries_find(const gap_t *self, const char *topic, bool *ret_found)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(self->entries[middle].topic, topic);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

/* k(t) of the rule. */
static uint64_t seen_up_to(const gap_t *self, const char *topic)
{
    bool found;
    size_t at = entries_find(self, topic, &found);
    return found && self->entries[at].known > self->synced ? self->entries[at].known : self->synced;
}

static bool entries_set(gap_t *self, const char *topic, uint64_t known)
{
    bool found;
    size_t at = entries_find(self, topic, &found);
    if (found) {
        self->entries[at].known = known;
        return true;
    }
    if (self->count == ENTRIES_MAX) {
        return false;
    }
    if (self->count == self->capacity) {
        size_t capacity = self->capacity == 0 ? 16 : 2 * self->capacity;
        entry_t *entries = realloc(self->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            return false;
        }
        self->entries = entries;
        self->capacity = capacity;
    }
    char *copy = strdup(topic);
    if (copy == NULL) {
        return false;
    }
    memmove(self->entries + at + 1, self->entries + at, (self->count - at) * sizeof *self->entries);
    self->entries[at] = (entry_t){.topic = copy, .known = known};
    self->count++;
    return true;
}

/* Raise `synced`, and forget the topics that it covers. */
static void synced_raise(gap_t *self, uint64_t synced)
{
    if (synced <= self->synced) {
        return;
    }
    self->synced = synced;
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->entries[i].known > synced) {
            self->entries[kept++] = self->entries[i];
        } else {
            free(self->entries[i].topic);
        }
    }
    self->count = kept;
}

uint64_t gap_cursor(const gap_t *self)
{
    /* A prefix matches topics that nobody has heard of yet, and of those k is `synced`. */
    if (self->prefix_count > 0 || self->topic_count == 0) {
        return self->synced;
    }
    uint64_t cursor = UINT64_MAX;
    for (size_t i = 0; i < self->topic_count; i++) {
        uint64_t seen = seen_up_to(self, self->topics[i]);
        cursor = seen < cursor ? seen : cursor;
    }
    return cursor;
}

uint64_t gap_highest(const gap_t *self)
{
    uint64_t highest = self->synced;
    for (size_t i = 0; i < self->count; i++) {
        highest = self->entries[i].known > highest ? self->entries[i].known : highest;
    }
    return highest;
}

gap_verdict_t gap_event(gap_t *self, const mailbus_event_t *event)
{
    if (strcmp(event->stream, self->stream) != 0) {
        return GAP_FOREIGN;
    }
    if (!gap_matches(self, event->topic)) {
        return GAP_DROP; /* ZeroMQ's filter is a prefix: more comes than was asked for */
    }
    uint64_t seen = seen_up_to(self, event->topic);
    if (event->sequence <= seen) {
        return GAP_DROP;
    }
    if (event->previous > seen) {
        return GAP_FETCH;
    }
    /* Without room for the note it is as if the event had not come: a fetch brings it again. */
    return entries_set(self, event->topic, event->sequence) ? GAP_TAKE : GAP_FETCH;
}

gap_verdict_t gap_heads(gap_t *self, const mailbus_heads_t *heads)
{
    if (strcmp(heads->stream, self->stream) != 0) {
        return GAP_FOREIGN;
    }
    if (heads->sequence < gap_highest(self)) {
        return GAP_BEHIND;
    }
    for (size_t i = 0; i < heads->count; i++) {
        const mailbus_head_t *head = &heads->topics[i];
        if (head->sequence > self->synced && gap_matches(self, head->topic) &&
            head->sequence > seen_up_to(self, head->topic)) {
            return GAP_FETCH;
        }
    }
    synced_raise(self, heads->sequence);
    return GAP_SYNCED;
}

bool gap_trimmed(gap_t *self, uint64_t oldest, uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t cursor = gap_cursor(self);
    if (oldest == 0 || oldest - 1 <= cursor) {
        return false;
    }
    *ret_from = cursor + 1;
    *ret_to = oldest - 1;
    synced_raise(self, oldest - 1);
    return true;
}

void gap_page(gap_t *self, uint64_t next)
{
    if (next > 0) {
        synced_raise(self, next - 1);
    }
}

/* "<stream> <synced>\n", then "<topic> <known>\n" for each entry. Neither holds a blank. */
mailbus_code_t gap_encode(const gap_t *self, mailbus_buf_t *out, mailbus_error_t *error)
{
    mailbus_buf_text(out, self->stream);
    mailbus_buf_char(out, ' ');
    mailbus_buf_u64(out, self->synced);
    mailbus_buf_char(out, '\n');
    for (size_t i = 0; i < self->count; i++) {
        mailbus_buf_text(out, self->entries[i].topic);
        mailbus_buf_char(out, ' ');
        mailbus_buf_u64(out, self->entries[i].known);
        mailbus_buf_char(out, '\n');
    }
    return out->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the cursor")
                       : MAILBUS_OK;
}

/* One line "<word> <number>\n": the word goes to `word`, the line's end is returned; NULL where it
 * is no such line. */
static const char *line_read(const char *text, char *word, size_t size, uint64_t *ret_number)
{
    const char *blank = strchr(text, ' ');
    const char *end = strchr(text, '\n');
    if (blank == NULL || end == NULL || blank > end || (size_t)(blank - text) >= size) {
        return NULL;
    }
    memcpy(word, text, (size_t)(blank - text));
    word[blank - text] = '\0';
    char digits[24];
    size_t length = (size_t)(end - blank - 1);
    if (length >= sizeof digits) {
        return NULL;
    }
    memcpy(digits, blank + 1, length);
    digits[length] = '\0';
    return mailbus_sequence_parse(digits, ret_number) == MAILBUS_OK ? end + 1 : NULL;
}

mailbus_code_t gap_decode(gap_t *self, const char *text, mailbus_error_t *error)
{
    gap_t next = {0};
    mailbus_code_t code = MAILBUS_OK;
    const char *at = line_read(text, next.stream, sizeof next.stream, &next.synced);
    while (code == MAILBUS_OK && at != NULL && *at != '\0') {
        char topic[MAILBUS_TOPIC_MAX + 1];
        uint64_t known;
        at = line_read(at, topic, sizeof topic, &known);
        /* Topics that no longer match stay: they may match again before `synced` covers them. */
        if (at != NULL && known > next.synced && !entries_set(&next, topic, known)) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the cursor");
        }
    }
    if (at == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "the stored cursor is malformed");
    }
    if (code == MAILBUS_OK) {
        entries_clear(self);
        free(self->entries);
        memcpy(self->stream, next.stream, sizeof self->stream);
        self->synced = next.synced;
        self->entries = next.entries;
        self->count = next.count;
        self->capacity = next.capacity;
    } else {
        entries_clear(&next);
        free(next.entries);
    }
    return code;
}
