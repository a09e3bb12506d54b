#include "idempotency.h"

#include <assert.h>
#include <czmq.h>
#include <string.h>

#include "memory.h"

typedef struct entry {
    struct entry *next; /* the one that came after it */
    char *key;
    char *answer;
    uint8_t request[MB_SHA256_SIZE];
    int64_t made_ms;
} entry_t;

struct idempotency {
    zhashx_t *entries;
    entry_t *first;
    entry_t *last;
};

idempotency_t *idempotency_new(void)
{
    idempotency_t *self = memory_new(sizeof *self);
    self->entries = zhashx_new();
    assert(self->entries != NULL);
    return self;
}

static void drop_oldest(idempotency_t *self)
{
    entry_t *entry = self->first;
    self->first = entry->next;
    if (self->first == NULL) {
        self->last = NULL;
    }
    zhashx_delete(self->entries, entry->key);
    free(entry->key);
    free(entry->answer);
    free(entry);
}

void idempotency_clear(idempotency_t *self)
{
    while (self->first != NULL) {
        drop_oldest(self);
    }
}

void idempotency_destroy(idempotency_t **self_p)
{
    if (*self_p != NULL) {
        idempotency_clear(*self_p);
        zhashx_destroy(&(*self_p)->entries);
        free(*self_p);
        *self_p = NULL;
    }
}

bool idempotency_key_valid(const char *key)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-._~";
    size_t size = strlen(key);
    return size >= 1 && size <= IDEMPOTENCY_KEY_MAX && strspn(key, allowed) == size;
}

const char *idempotency_find(idempotency_t *self, const char *key,
                             const uint8_t request[MB_SHA256_SIZE], int64_t now_ms, bool *ret_same)
{
    while (self->first != NULL && now_ms - self->first->made_ms >= IDEMPOTENCY_LIFE_MS) {
        drop_oldest(self);
    }
    const entry_t *entry = zhashx_lookup(self->entries, key);
    if (entry == NULL) {
        return NULL;
    }
    *ret_same = memcmp(entry->request, request, MB_SHA256_SIZE) == 0;
    return entry->answer;
}

void idempotency_put(idempotency_t *self, const char *key, const uint8_t request[MB_SHA256_SIZE],
                     const char *answer, int64_t now_ms)
{
    entry_t *entry = memory_new(sizeof *entry);
    entry->key = memory_text(key);
    entry->answer = memory_text(answer);
    entry->made_ms = now_ms;
    memcpy(entry->request, request, MB_SHA256_SIZE);
    int taken = zhashx_insert(self->entries, entry->key, entry);
    assert(taken == 0); /* found before, or not there */
    if (self->last != NULL) {
        self->last->next = entry;
    } else {
        self->first = entry;
    }
    self->last = entry;
    if (zhashx_size(self->entries) > IDEMPOTENCY_ENTRIES_MAX) {
        drop_oldest(self);
    }
}
