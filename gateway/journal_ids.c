/* Owner: whoever owns the store; no locks here. */
#include "journal_ids.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "mailbus/event.h"

#define FIRST_PLACES 1024 /* a power of two, as all sizes of the table are */

struct journal_ids {
    journal_id_t *places;
    size_t mask; /* places - 1 */
    size_t count;
};

uint64_t journal_ids_key(const uint8_t salt[JOURNAL_SALT_SIZE], const char *id)
{
    uint8_t text[JOURNAL_SALT_SIZE + MAILBUS_ID_MAX];
    uint8_t digest[MB_SHA256_SIZE];
    const size_t size = strlen(id);
    assert(size <= MAILBUS_ID_MAX);
    memcpy(text, salt, JOURNAL_SALT_SIZE);
    /* Bytes for the digest, without the NUL. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(text + JOURNAL_SALT_SIZE, id, size);
    mb_sha256(text, JOURNAL_SALT_SIZE + size, digest);
    uint64_t key;
    memcpy(&key, digest, sizeof key);
    return key;
}

journal_ids_t *journal_ids_new(void)
{
    journal_ids_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->places = calloc(FIRST_PLACES, sizeof *self->places);
    self->mask = FIRST_PLACES - 1;
    if (self->places == NULL) {
        journal_ids_destroy(&self);
    }
    return self;
}

void journal_ids_destroy(journal_ids_t **self_p)
{
    journal_ids_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        free(self->places);
        free(self);
    }
}

size_t journal_ids_count(const journal_ids_t *self)
{
    return self->count;
}

/* The place of `key`, or the empty one where it would go. Keys are digests: their low bits do. */
static size_t place_of(const journal_ids_t *self, uint64_t key)
{
    size_t i = (size_t)key & self->mask;
    while (self->places[i].sequence != 0 && self->places[i].key != key) {
        i = (i + 1) & self->mask;
    }
    return i;
}

static mailbus_code_t grow(journal_ids_t *self)
{
    journal_ids_t larger = {.mask = self->mask * 2 + 1, .count = self->count};
    larger.places = calloc(larger.mask + 1, sizeof *larger.places);
    if (larger.places == NULL) {
        return MAILBUS_ENOMEM;
    }
    for (size_t i = 0; i <= self->mask; i++) {
        if (self->places[i].sequence != 0) {
            larger.places[place_of(&larger, self->places[i].key)] = self->places[i];
        }
    }
    free(self->places);
    *self = larger;
    return MAILBUS_OK;
}

mailbus_code_t journal_ids_put(journal_ids_t *self, uint64_t key, uint64_t sequence)
{
    assert(sequence != 0);
    /* At most two thirds full: probes stay short, and there is always an empty place. */
    if (self->count * 3 >= (self->mask + 1) * 2) {
        const mailbus_code_t code = grow(self);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    journal_id_t *place = &self->places[place_of(self, key)];
    self->count += place->sequence == 0;
    *place = (journal_id_t){.key = key, .sequence = sequence};
    return MAILBUS_OK;
}

uint64_t journal_ids_find(const journal_ids_t *self, uint64_t key)
{
    return self->places[place_of(self, key)].sequence;
}

void journal_ids_remove(journal_ids_t *self, uint64_t key, uint64_t sequence)
{
    size_t hole = place_of(self, key);
    if (sequence == 0 || self->places[hole].sequence != sequence) {
        return;
    }
    self->count--;
    /* Close the hole with what had to probe past it, so that no tombstones pile up. */
    for (size_t i = (hole + 1) & self->mask; self->places[i].sequence != 0;
         i = (i + 1) & self->mask) {
        const size_t home = (size_t)self->places[i].key & self->mask;
        if (((i - home) & self->mask) >= ((i - hole) & self->mask)) {
            self->places[hole] = self->places[i];
            hole = i;
        }
    }
    self->places[hole] = (journal_id_t){0};
}

static int by_key(const void *a, const void *b)
{
    const int64_t left = (int64_t)((const journal_id_t *)a)->key;
    const int64_t right = (int64_t)((const journal_id_t *)b)->key;
    return (left > right) - (left < right);
}

mailbus_code_t journal_ids_sorted(const journal_ids_t *self, journal_id_t **ret_ids,
                                  size_t *ret_count)
{
    journal_id_t *ids = malloc((self->count + 1) * sizeof *ids);
    if (ids == NULL) {
        return MAILBUS_ENOMEM;
    }
    size_t count = 0;
    for (size_t i = 0; i <= self->mask; i++) {
        if (self->places[i].sequence != 0) {
            ids[count++] = self->places[i];
        }
    }
    assert(count == self->count);
    qsort(ids, count, sizeof *ids, by_key);
    *ret_ids = ids;
    *ret_count = count;
    return MAILBUS_OK;
}
