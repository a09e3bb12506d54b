/* route/pace.h: one message at a time, and each that waits has a moment of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "route/pace.h"

#define SECOND 1000

static void test_the_first_goes_and_the_others_get_moments_of_their_own(void **state)
{
    (void)state;
    pace_t pace = {0};
    int64_t slots[3] = {0};
    assert_true(pace_take(&pace, SECOND, 0, 50000, &slots[0]));
    for (int i = 0; i < 3; i++) {
        assert_false(pace_take(&pace, SECOND, 0, 50000 + i, &slots[i]));
        assert_int_equal(slots[i], 51000 + i * SECOND);
    }
    int64_t ignored = 0;
    assert_false(pace_take(&pace, SECOND, slots[1], 51500, &ignored)); /* too early: it keeps it */
    assert_int_equal(ignored, slots[1]);
    assert_true(pace_take(&pace, SECOND, slots[0], 51000, &ignored));
    assert_true(pace_take(&pace, SECOND, slots[1], 52000, &ignored));
    assert_true(pace_take(&pace, SECOND, slots[2], 53000, &ignored));
}

static void test_who_comes_later_gets_in_before_nobody(void **state)
{
    (void)state;
    pace_t pace = {0};
    int64_t waiting = 0;
    int64_t newcomer = 0;
    assert_true(pace_take(&pace, SECOND, 0, 50000, &waiting));
    assert_false(pace_take(&pace, SECOND, 0, 50100, &waiting));
    assert_false(pace_take(&pace, SECOND, 0, 51500, &newcomer)); /* 51000 is the other's */
    assert_int_equal(newcomer, 52000);
    assert_true(pace_take(&pace, SECOND, waiting, 51600, &waiting));
}

static void test_those_that_come_late_together_are_set_apart(void **state)
{
    (void)state;
    pace_t pace = {0};
    int64_t slots[2] = {0};
    int64_t again = 0;
    assert_true(pace_take(&pace, SECOND, 0, 50000, &again));
    assert_false(pace_take(&pace, SECOND, 0, 50000, &slots[0]));
    assert_false(pace_take(&pace, SECOND, 0, 50000, &slots[1]));
    assert_true(pace_take(&pace, SECOND, slots[0], 90000, &again));
    assert_false(pace_take(&pace, SECOND, slots[1], 90001, &again));
    assert_int_equal(again, 91000);
    assert_true(pace_take(&pace, SECOND, again, 91000, &again));
}

static void test_a_closed_place_is_left_alone_by_all(void **state)
{
    (void)state;
    pace_t pace = {0};
    int64_t first = 0;
    int64_t second = 0;
    assert_true(pace_take(&pace, SECOND, 0, 50000, &first));
    pace_close(&pace, 80000);
    pace_close(&pace, 60000); /* never earlier */
    assert_false(pace_take(&pace, SECOND, 0, 55000, &first));
    assert_false(pace_take(&pace, SECOND, 0, 55000, &second));
    assert_int_equal(first, 80000);
    assert_int_equal(second, 81000);
    assert_true(pace_take(&pace, SECOND, first, 80000, &first));
    assert_true(pace_take(&pace, SECOND, second, 81000, &second));
}

static void test_no_interval_is_no_pace(void **state)
{
    (void)state;
    pace_t pace = {0};
    int64_t ignored = 0;
    for (int i = 0; i < 5; i++) {
        assert_true(pace_take(&pace, 0, 0, 50000, &ignored));
    }
}

static void test_a_clock_that_is_set_back_stops_nothing(void **state)
{
    (void)state;
    pace_t pace = {0};
    int64_t ignored = 0;
    assert_true(pace_take(&pace, SECOND, 0, 90000000, &ignored));
    pace_close(&pace, 99000000);
    assert_true(pace_take(&pace, SECOND, 0, 50000, &ignored));
    assert_false(pace_take(&pace, SECOND, 0, 50001, &ignored));
    assert_int_equal(ignored, 51000);
}

static void test_refusals_without_a_time_double_up_to_an_hour(void **state)
{
    (void)state;
    static const int64_t minutes[] = {1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60};
    pace_t pace = {0};
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        assert_int_equal(pace_strike(&pace, 1000), 1000 + minutes[i] * 60000);
    }
    pace_fine(&pace);
    assert_int_equal(pace_strike(&pace, 1000), 61000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_goes_and_the_others_get_moments_of_their_own),
        cmocka_unit_test(test_who_comes_later_gets_in_before_nobody),
        cmocka_unit_test(test_those_that_come_late_together_are_set_apart),
        cmocka_unit_test(test_a_closed_place_is_left_alone_by_all),
        cmocka_unit_test(test_no_interval_is_no_pace),
        cmocka_unit_test(test_a_clock_that_is_set_back_stops_nothing),
        cmocka_unit_test(test_refusals_without_a_time_double_up_to_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
