#include "limit.h"

#include <pthread.h>
#include <stdlib.h>

#define WAYS        8       /* places a bucket may be in: one or two cache lines to look through */
#define MICRO       1000000 /* a token in the unit that is counted */
#define ELAPSED_MAX 3600000 /* ms: longer pauses fill any bucket, and more could overflow */

typedef struct {
    uint64_t key;
    int64_t level; /* millionths of a token */
    int64_t at_ms; /* when `level` was true */
    bool used;
} bucket_t;

struct limit {
    pthread_mutex_t lock;
    size_t sets; /* a power of two */
    uint64_t seed;
    bucket_t *buckets; /* sets × WAYS */
};

limit_t *limit_new(size_t slots, uint64_t seed)
{
    limit_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->sets = 1;
    while (self->sets * WAYS < slots) {
        self->sets *= 2;
    }
    self->seed = seed;
    self->buckets = calloc(self->sets * WAYS, sizeof *self->buckets);
    if (self->buckets == NULL || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self->buckets);
        free(self);
        return NULL;
    }
    return self;
}

void limit_destroy(limit_t **self_p)
{
    limit_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    pthread_mutex_destroy(&self->lock);
    free(self->buckets);
    free(self);
}

/* Mix the key under the seed, twice, so that neighbouring addresses part ways and a set can't be
 * found without knowing the seed. */
static uint64_t mix(uint64_t key, uint64_t seed)
{
    uint64_t x = key ^ seed;
    for (int round = 0; round < 2; round++) {
        x ^= x >> 32;
        x *= 0xd6e8feb86659fd93u;
        x ^= x >> 32;
        x *= 0xd6e8feb86659fd93u;
        x += (seed << 31) | (seed >> 33);
    }
    return x ^ (x >> 32);
}

/* What is in the bucket now. */
static int64_t level_at(const bucket_t *bucket, const limit_rate_t *rate, int64_t now_ms)
{
    int64_t elapsed = now_ms - bucket->at_ms;
    if (elapsed < 0) {
        elapsed = 0;
    }
    if (elapsed > ELAPSED_MAX) {
        elapsed = ELAPSED_MAX;
    }
    const int64_t full = rate->burst * MICRO;
    const int64_t level = bucket->level + elapsed * rate->tokens * MICRO / rate->period_ms;
    return level < full ? level : full;
}

/* The bucket of `key`, brought up to now; made where there is none. */
static bucket_t *find(limit_t *self, const limit_rate_t *rate, uint64_t key, int64_t now_ms)
{
    bucket_t *set = &self->buckets[(mix(key, self->seed) & (self->sets - 1)) * WAYS];
    bucket_t *chosen = NULL;
    int64_t chosen_level = -1;
    for (size_t i = 0; i < WAYS; i++) {
        bucket_t *bucket = &set[i];
        const bool own = bucket->used && bucket->key == key;
        const int64_t level = bucket->used ? level_at(bucket, rate, now_ms) : rate->burst * MICRO;
        if (own || level > chosen_level) {
            chosen = bucket;
            chosen_level = level;
        }
        if (own) {
            break;
        }
    }
    *chosen = (bucket_t){.key = key, .level = chosen_level, .at_ms = now_ms, .used = true};
    return chosen;
}

bool limit_take(limit_t *self, const limit_rate_t *rate, uint64_t key, int64_t now_ms)
{
    if (rate->tokens <= 0) {
        return true;
    }
    pthread_mutex_lock(&self->lock);
    bucket_t *bucket = find(self, rate, key, now_ms);
    const bool taken = bucket->level >= MICRO;
    if (taken) {
        bucket->level -= MICRO;
    }
    pthread_mutex_unlock(&self->lock);
    return taken;
}
