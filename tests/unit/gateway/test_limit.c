#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "limit.h"

static int take_all(limit_t *limit, const limit_rate_t *rate, uint64_t key, int64_t now_ms)
{
    int taken = 0;
    while (taken < 100000 && limit_take(limit, rate, key, now_ms)) {
        taken++;
    }
    return taken;
}

static void test_burst_then_the_rate(void **state)
{
    (void)state;
    limit_t *limit = limit_new(64, 1);
    const limit_rate_t rate = {.tokens = 10, .period_ms = 1000, .burst = 25};
    assert_int_equal(take_all(limit, &rate, 7, 5000), 25);
    assert_int_equal(take_all(limit, &rate, 7, 5099), 0);
    assert_int_equal(take_all(limit, &rate, 7, 5100), 1);
    assert_int_equal(take_all(limit, &rate, 7, 6100), 10);
    assert_int_equal(take_all(limit, &rate, 7, 3600000), 25);
    limit_destroy(&limit);
}

static void test_slow_rates_add_up_from_many_looks(void **state)
{
    (void)state;
    limit_t *limit = limit_new(8, 1);
    const limit_rate_t rate = {.tokens = 60, .period_ms = 60000, .burst = 60};
    assert_int_equal(take_all(limit, &rate, 7, 0), 60);
    int taken = 0;
    for (int64_t now = 1; now <= 10000; now++) { /* every look must not round its share away */
        taken += limit_take(limit, &rate, 7, now);
    }
    assert_int_equal(taken, 10);
    limit_destroy(&limit);
}

static void test_zero_is_no_limit(void **state)
{
    (void)state;
    limit_t *limit = limit_new(8, 1);
    const limit_rate_t rate = {.tokens = 0, .period_ms = 1000, .burst = 0};
    assert_int_equal(take_all(limit, &rate, 7, 0), 100000);
    limit_destroy(&limit);
}

static void test_addresses_do_not_share(void **state)
{
    (void)state;
    limit_t *limit = limit_new(4096, 1);
    const limit_rate_t rate = {.tokens = 5, .period_ms = 1000, .burst = 5};
    for (uint64_t key = 0; key < 100; key++) {
        assert_int_equal(take_all(limit, &rate, key, 0), 5);
    }
    for (uint64_t key = 0; key < 100; key++) {
        assert_int_equal(take_all(limit, &rate, key, 0), 0);
    }
    limit_destroy(&limit);
}

/* Somebody with any number of addresses gets no more than the table's tokens once, and the rate. */
static void test_many_addresses_bring_no_more_tokens_than_the_table_has(void **state)
{
    (void)state;
    limit_t *limit = limit_new(64, 1);
    const limit_rate_t rate = {.tokens = 5, .period_ms = 1000, .burst = 5};
    int taken = 0;
    for (uint64_t key = 0; key < 100000; key++) {
        taken += limit_take(limit, &rate, key, 0);
    }
    assert_int_equal(taken, 64 * 5);
    limit_destroy(&limit);
}

static void test_blocked_address_is_not_unblocked_by_a_crowd(void **state)
{
    (void)state;
    limit_t *limit = limit_new(64, 1);
    const limit_rate_t rate = {.tokens = 5, .period_ms = 1000, .burst = 5};
    const uint64_t blocked = 424242;
    assert_int_equal(take_all(limit, &rate, blocked, 0), 5);
    for (uint64_t key = 0; key < 10000; key++) {
        (void)limit_take(limit, &rate, key, 0);
        assert_false(limit_take(limit, &rate, blocked, 0));
    }
    limit_destroy(&limit);
}

static void test_lower_rate_takes_effect_on_full_buckets(void **state)
{
    (void)state;
    limit_t *limit = limit_new(8, 1);
    const limit_rate_t high = {.tokens = 1000, .period_ms = 1000, .burst = 1000};
    const limit_rate_t low = {.tokens = 1, .period_ms = 1000, .burst = 2};
    assert_true(limit_take(limit, &high, 7, 0));
    assert_int_equal(take_all(limit, &low, 7, 0), 2);
    limit_destroy(&limit);
}

static void test_extremes_do_not_overflow(void **state)
{
    (void)state;
    limit_t *limit = limit_new(8, UINT64_MAX);
    const limit_rate_t rate = {
        .tokens = LIMIT_TOKENS_MAX, .period_ms = 1, .burst = LIMIT_TOKENS_MAX};
    assert_true(limit_take(limit, &rate, UINT64_MAX, 0));
    assert_true(limit_take(limit, &rate, UINT64_MAX, INT64_MAX));
    assert_true(limit_take(limit, &rate, UINT64_MAX, 1)); /* a clock that goes back */
    limit_destroy(&limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_the_rate),
        cmocka_unit_test(test_slow_rates_add_up_from_many_looks),
        cmocka_unit_test(test_zero_is_no_limit),
        cmocka_unit_test(test_addresses_do_not_share),
        cmocka_unit_test(test_many_addresses_bring_no_more_tokens_than_the_table_has),
        cmocka_unit_test(test_blocked_address_is_not_unblocked_by_a_crowd),
        cmocka_unit_test(test_lower_rate_takes_effect_on_full_buckets),
        cmocka_unit_test(test_extremes_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
