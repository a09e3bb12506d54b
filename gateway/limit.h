/* Token buckets per address, in a table of fixed size. Pure over `now`.
 *
 * The table can't grow, so a stranger must be able to take over somebody's bucket; what he must not
 * get out of that is tokens. A bucket is looked for in the eight places that a keyed hash gives.
 * Where all are taken, the fullest goes (the one whose owner loses least), and the newcomer begins
 * with what was left in it. So an empty bucket is thrown out only when all eight are empty, and
 * changing addresses never brings more tokens than were there. */
#ifndef GATEWAY_LIMIT_H
#define GATEWAY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct limit limit_t;

/* `tokens` come back every `period_ms`, evenly; at most `burst` are kept. tokens 0: no limit. */
typedef struct {
    int64_t tokens; /* 0 to LIMIT_TOKENS_MAX */
    int64_t period_ms;
    int64_t burst; /* 1 to LIMIT_TOKENS_MAX where tokens > 0 */
} limit_rate_t;

#define LIMIT_TOKENS_MAX 1000000

/* slots: buckets, rounded up to a power of two of at least 8. seed: secret, so that nobody can
 * choose addresses that share a place with somebody else's. NULL without memory. Thread-safe. */
limit_t *limit_new(size_t slots, uint64_t seed);
void limit_destroy(limit_t **self_p);
/* Take one token of `key`'s bucket; false where there is none. now_ms: monotonic. */
bool limit_take(limit_t *self, const limit_rate_t *rate, uint64_t key, int64_t now_ms);

#endif
