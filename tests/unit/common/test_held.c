/* held.h: who holds which value, and when it is freed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "held.h"

enum { THREADS = 4, TAKES = 2000, REPLACEMENTS = 500 };

/* Two numbers that always agree while somebody may read them. */
typedef struct {
    int first, second;
    atomic_int *alive;
} pair_t;

static pair_t *make(int number, atomic_int *alive)
{
    pair_t *pair = malloc(sizeof *pair);
    assert_non_null(pair);
    *pair = (pair_t){.first = number, .second = number, .alive = alive};
    atomic_fetch_add(alive, 1);
    return pair;
}

static void drop(void *value)
{
    pair_t *pair = value;
    atomic_fetch_sub(pair->alive, 1);
    pair->second = -1;
    free(pair);
}

static void test_a_replaced_value_lives_as_long_as_it_is_held(void **state)
{
    (void)state;
    atomic_int alive = 0;
    mb_held_t *self = NULL;
    assert_int_equal(mb_held_new(make(1, &alive), drop, &self, NULL), MAILBUS_OK);
    pair_t *first = mb_held_take(self);
    assert_ptr_equal(mb_held_take(self), first);
    assert_int_equal(mb_held_replace(self, make(2, &alive), NULL), MAILBUS_OK);
    pair_t *second = mb_held_take(self);
    assert_int_equal(second->first, 2);
    assert_int_equal(first->first, 1);
    mb_held_give(self, first);
    assert_int_equal(alive, 2);
    mb_held_give(self, first);
    assert_int_equal(alive, 1);
    mb_held_give(self, second); /* the present one stays */
    assert_int_equal(alive, 1);
    mb_held_destroy(&self);
    assert_null(self);
    assert_int_equal(alive, 0);
}

static void test_a_value_that_nobody_holds_is_freed_when_it_is_replaced(void **state)
{
    (void)state;
    atomic_int alive = 0;
    mb_held_t *self = NULL;
    assert_int_equal(mb_held_new(make(1, &alive), drop, &self, NULL), MAILBUS_OK);
    assert_int_equal(mb_held_replace(self, make(2, &alive), NULL), MAILBUS_OK);
    assert_int_equal(alive, 1);
    mb_held_destroy(&self);
    assert_int_equal(alive, 0);
    mb_held_destroy(&self);
}

typedef struct {
    mb_held_t *held;
    int wrong; /* pairs that did not agree */
} reader_t;

static void *read_often(void *arg)
{
    reader_t *self = arg;
    for (int i = 0; i < TAKES; i++) {
        const pair_t *pair = mb_held_take(self->held);
        self->wrong += pair->first != pair->second;
        mb_held_give(self->held, pair);
    }
    return NULL;
}

static void test_threads_read_whole_values_while_they_are_replaced(void **state)
{
    (void)state;
    atomic_int alive = 0;
    mb_held_t *self = NULL;
    pthread_t threads[THREADS];
    reader_t readers[THREADS];
    assert_int_equal(mb_held_new(make(0, &alive), drop, &self, NULL), MAILBUS_OK);
    for (int i = 0; i < THREADS; i++) {
        readers[i] = (reader_t){.held = self};
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &readers[i]), 0);
    }
    for (int i = 1; i <= REPLACEMENTS; i++) {
        assert_int_equal(mb_held_replace(self, make(i, &alive), NULL), MAILBUS_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    assert_int_equal(alive, 1);
    mb_held_destroy(&self);
    assert_int_equal(alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replaced_value_lives_as_long_as_it_is_held),
        cmocka_unit_test(test_a_value_that_nobody_holds_is_freed_when_it_is_replaced),
        cmocka_unit_test(test_threads_read_whole_values_while_they_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
