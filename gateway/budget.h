/* The memory of request bodies: one budget over all that are in flight, and a body that grows only
 * as its bytes arrive. A declared length costs nothing until it is sent. */
#ifndef GATEWAY_BUDGET_H
#define GATEWAY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>

#include "metrics.h"

typedef struct {
    atomic_size_t used; /* bytes */
    size_t limit;
    mb_metric_t *gauge; /* the same as `used`, for /metrics; may be NULL */
} budget_t;

bool budget_take(budget_t *self, size_t size); /* false: beyond the limit, nothing is taken */
void budget_give(budget_t *self, size_t size);
/* True where the next request would have no room at all. */
bool budget_is_full(const budget_t *self);

#define BUDGET_FIRST_CHUNK 16384 /* most that a declared length makes us allocate at once */

typedef struct {
    char *data; /* from malloc; whoever takes it sets it to NULL and calls budget_body_free */
    size_t size;
    size_t capacity;
    size_t charged; /* bytes taken from the budget */
} budget_body_t;

/* Append what arrived of a body of `declared` bytes. EFULL: the budget is used up; ENOMEM;
 * ETOOBIG: more than declared. After a failure the body is empty and nothing is charged. */
MAILBUS_MUST_USE mailbus_code_t budget_body_append(budget_t *budget, budget_body_t *body,
                                                   const void *data, size_t size, size_t declared);
/* Free what is there and give everything back that was charged. */
void budget_body_free(budget_t *budget, budget_body_t *body);

#endif
