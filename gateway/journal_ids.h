/* Event ids in memory: a 64-bit key of each → its sequence. Open addressing, sixteen bytes a place.
 *
 * The key is a salted digest, so nobody who doesn't know the journal's salt can make two ids meet.
 * Two that do by chance (one in a million over ten million ids) are told apart by the caller, who
 * compares the id itself; the newer one then takes the place, and the older is no longer recognised
 * as a duplicate. */
#ifndef GATEWAY_JOURNAL_IDS_H
#define GATEWAY_JOURNAL_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "mailbus/error.h"

#define JOURNAL_SALT_SIZE 16

typedef struct {
    uint64_t key;
    uint64_t sequence; /* 0: an empty place */
} journal_id_t;

typedef struct journal_ids journal_ids_t;

uint64_t journal_ids_key(const uint8_t salt[JOURNAL_SALT_SIZE], const char *id);

journal_ids_t *journal_ids_new(void); /* NULL without memory */
void journal_ids_destroy(journal_ids_t **self_p);
size_t journal_ids_count(const journal_ids_t *self);
/* Replaces the sequence of a key that is there. */
MAILBUS_MUST_USE mailbus_code_t journal_ids_put(journal_ids_t *self, uint64_t key,
                                                uint64_t sequence);
uint64_t journal_ids_find(const journal_ids_t *self, uint64_t key); /* 0: not there */
/* Nothing happens where the key is not there or has another sequence. */
void journal_ids_remove(journal_ids_t *self, uint64_t key, uint64_t sequence);
/* All of them in the order of SQLite's integers (signed keys, ascending); freed by the caller. */
MAILBUS_MUST_USE mailbus_code_t journal_ids_sorted(const journal_ids_t *self,
                                                   journal_id_t **ret_ids, size_t *ret_count);

#endif
