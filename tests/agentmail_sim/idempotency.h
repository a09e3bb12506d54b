/* Answers remembered by Idempotency-Key for 24 hours, so that a call that is made again changes
 * nothing. Bounded: the oldest go first. */
#ifndef SIM_IDEMPOTENCY_H
#define SIM_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encoding.h"

#define IDEMPOTENCY_KEY_MAX     256
#define IDEMPOTENCY_LIFE_MS     (24LL * 3600 * 1000)
#define IDEMPOTENCY_ENTRIES_MAX 200000

typedef struct idempotency idempotency_t;

idempotency_t *idempotency_new(void);
void idempotency_destroy(idempotency_t **self_p);
void idempotency_clear(idempotency_t *self);
/* 1 to 256 of A-Z a-z 0-9 - . _ ~ */
bool idempotency_key_valid(const char *key);
/* The answer that was given to `key`, or NULL; `ret_same` says whether to the same request. */
const char *idempotency_find(idempotency_t *self, const char *key,
                             const uint8_t request[MB_SHA256_SIZE], int64_t now_ms, bool *ret_same);
void idempotency_put(idempotency_t *self, const char *key, const uint8_t request[MB_SHA256_SIZE],
                     const char *answer, int64_t now_ms);

#endif
