#include "budget.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool budget_take(budget_t *self, size_t size)
{
    size_t used = atomic_load_explicit(&self->used, memory_order_relaxed);
    do {
        if (size > self->limit || used > self->limit - size) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&self->used, &used, used + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    mb_metric_move(self->gauge, (int64_t)size);
    return true;
}

void budget_give(budget_t *self, size_t size)
{
    const size_t before = atomic_fetch_sub_explicit(&self->used, size, memory_order_relaxed);
    assert(before >= size);
    mb_metric_move(self->gauge, -(int64_t)size);
}

bool budget_is_full(const budget_t *self)
{
    return atomic_load_explicit(&self->used, memory_order_relaxed) >= self->limit;
}

/* Make room for `needed` bytes in all: doubled each time, so that a body is moved a few times only,
 * and never beyond what was declared. */
static mailbus_code_t grow(budget_t *budget, budget_body_t *body, size_t needed, size_t declared)
{
    size_t capacity = body->capacity > 0 ? body->capacity : BUDGET_FIRST_CHUNK;
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity > declared) {
        capacity = declared;
    }
    const size_t more = capacity - body->capacity;
    if (!budget_take(budget, more)) {
        return MAILBUS_EFULL;
    }
    body->charged += more;
    char *data = realloc(body->data, capacity);
    if (data == NULL) {
        return MAILBUS_ENOMEM;
    }
    body->data = data;
    body->capacity = capacity;
    return MAILBUS_OK;
}

mailbus_code_t budget_body_append(budget_t *budget, budget_body_t *body, const void *data,
                                  size_t size, size_t declared)
{
    mailbus_code_t code = MAILBUS_OK;
    if (size > declared || body->size > declared - size) {
        code = MAILBUS_ETOOBIG;
    } else if (body->size + size > body->capacity) {
        code = grow(budget, body, body->size + size, declared);
    }
    if (code != MAILBUS_OK) {
        budget_body_free(budget, body);
        return code;
    }
    if (size > 0) {
        memcpy(body->data + body->size, data, size);
        body->size += size;
    }
    return MAILBUS_OK;
}

void budget_body_free(budget_t *budget, budget_body_t *body)
{
    free(body->data);
    if (body->charged > 0) {
        budget_give(budget, body->charged);
    }
    *body = (budget_body_t){NULL, 0, 0, 0};
}
