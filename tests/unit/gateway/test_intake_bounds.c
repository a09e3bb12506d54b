/* The body budget and the deadlines. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "budget.h"
#include "reaper.h"

static void test_declared_length_costs_nothing_until_it_is_sent(void **state)
{
    (void)state;
    budget_t budget = {.limit = 1 << 20};
    budget_body_t body = {NULL, 0, 0, 0};
    assert_int_equal(budget_body_append(&budget, &body, "x", 1, 1 << 20), MAILBUS_OK);
    assert_true(atomic_load(&budget.used) <= BUDGET_FIRST_CHUNK);
    assert_int_equal(atomic_load(&budget.used), body.charged);
    budget_body_free(&budget, &body);
    assert_int_equal(atomic_load(&budget.used), 0);
    budget_body_free(&budget, &body); /* twice is harmless */
}

static void test_small_body_takes_what_it_declares(void **state)
{
    (void)state;
    budget_t budget = {.limit = 1 << 20};
    budget_body_t body = {NULL, 0, 0, 0};
    assert_int_equal(budget_body_append(&budget, &body, "hello", 5, 5), MAILBUS_OK);
    assert_int_equal(body.capacity, 5);
    assert_memory_equal(body.data, "hello", 5);
    budget_body_free(&budget, &body);
}

static void test_body_in_pieces_is_whole(void **state)
{
    (void)state;
    enum { SIZE = 200001 };
    static char bytes[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (char)(i * 31);
    }
    budget_t budget = {.limit = SIZE};
    budget_body_t body = {NULL, 0, 0, 0};
    for (size_t at = 0; at < SIZE;) {
        const size_t piece = at % 1500 + 1 < SIZE - at ? at % 1500 + 1 : SIZE - at;
        assert_int_equal(budget_body_append(&budget, &body, bytes + at, piece, SIZE), MAILBUS_OK);
        assert_true(body.capacity <= SIZE);
        at += piece;
    }
    assert_int_equal(body.size, SIZE);
    assert_memory_equal(body.data, bytes, SIZE);
    assert_true(budget_is_full(&budget));
    budget_body_free(&budget, &body);
    assert_false(budget_is_full(&budget));
}

static void test_budget_is_shared_and_comes_back(void **state)
{
    (void)state;
    static char bytes[30000];
    budget_t budget = {.limit = 40000};
    budget_body_t one = {NULL, 0, 0, 0}, two = {NULL, 0, 0, 0};
    assert_int_equal(budget_body_append(&budget, &one, bytes, 30000, 30000), MAILBUS_OK);
    assert_int_equal(budget_body_append(&budget, &two, bytes, 10001, 30000), MAILBUS_EFULL);
    assert_null(two.data);
    assert_int_equal(atomic_load(&budget.used), 30000);
    budget_body_free(&budget, &one);
    assert_int_equal(budget_body_append(&budget, &two, bytes, 30000, 30000), MAILBUS_OK);
    budget_body_free(&budget, &two);
    assert_int_equal(atomic_load(&budget.used), 0);
}

static void test_more_than_declared_is_refused(void **state)
{
    (void)state;
    budget_t budget = {.limit = 1000};
    budget_body_t body = {NULL, 0, 0, 0};
    assert_int_equal(budget_body_append(&budget, &body, "abc", 3, 5), MAILBUS_OK);
    assert_int_equal(budget_body_append(&budget, &body, "def", 3, 5), MAILBUS_ETOOBIG);
    assert_null(body.data);
    assert_int_equal(atomic_load(&budget.used), 0);
}

static void test_taken_body_is_still_charged_until_given_back(void **state)
{
    (void)state;
    budget_t budget = {.limit = 1000};
    budget_body_t body = {NULL, 0, 0, 0};
    assert_int_equal(budget_body_append(&budget, &body, "abc", 3, 3), MAILBUS_OK);
    char *taken = body.data;
    body.data = NULL;
    assert_int_equal(atomic_load(&budget.used), 3);
    budget_body_free(&budget, &body);
    assert_int_equal(atomic_load(&budget.used), 0);
    free(taken);
}

static const reaper_limits_t limits = {.request_ms = 10000, .idle_ms = 60000, .answer_ms = 12000};

static reaper_verdict_t judge(reaper_phase_t phase, int64_t phase_ago, int64_t request_ago,
                              bool first, uint64_t received)
{
    const int64_t now = 1000000;
    const reaper_view_t view = {.phase = phase,
                                .phase_since_ms = now - phase_ago,
                                .request_since_ms = now - request_ago,
                                .first = first,
                                .received = received};
    return reaper_judge(&view, &limits, now);
}

static void test_new_connection_must_bring_its_request_in_time(void **state)
{
    (void)state;
    assert_int_equal(judge(REAPER_IDLE, 9999, 9999, true, 0), REAPER_KEEP);
    assert_int_equal(judge(REAPER_IDLE, 10000, 10000, true, 0), REAPER_TIMEOUT);
}

static void test_kept_connection_may_be_idle_for_longer(void **state)
{
    (void)state;
    assert_int_equal(judge(REAPER_IDLE, 59999, 500000, false, 0), REAPER_KEEP);
    assert_int_equal(judge(REAPER_IDLE, 60000, 500000, false, 0), REAPER_CLOSE);
}

static void test_header_and_body_have_one_deadline_together(void **state)
{
    (void)state;
    assert_int_equal(judge(REAPER_HEADER, 10, 9999, true, 0), REAPER_KEEP);
    assert_int_equal(judge(REAPER_HEADER, 10, 10000, true, 0), REAPER_TIMEOUT);
    assert_int_equal(judge(REAPER_BODY, 10, 9999, false, 1 << 20), REAPER_KEEP);
    assert_int_equal(judge(REAPER_BODY, 10, 10000, false, 1 << 20), REAPER_TIMEOUT);
}

static void test_trickling_body_is_ended_after_the_grace(void **state)
{
    (void)state;
    assert_int_equal(judge(REAPER_BODY, REAPER_GRACE_MS - 1, 4000, true, 0), REAPER_KEEP);
    assert_int_equal(judge(REAPER_BODY, REAPER_GRACE_MS, 4000, true, 0), REAPER_TIMEOUT);
    assert_int_equal(judge(REAPER_BODY, 3000, 4000, true, UINT64_C(3) * REAPER_LOWEST_RATE - 1),
                     REAPER_TIMEOUT);
    assert_int_equal(judge(REAPER_BODY, 3000, 4000, true, UINT64_C(3) * REAPER_LOWEST_RATE),
                     REAPER_KEEP);
}

static void test_waiting_for_the_journal_has_an_end_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(judge(REAPER_WAITING, 11999, 500000, true, 10), REAPER_KEEP);
    assert_int_equal(judge(REAPER_WAITING, 12000, 12001, true, 10), REAPER_GIVE_UP);
}

static void test_what_is_answered_or_over_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(judge(REAPER_ANSWERING, 500000, 500000, true, 0), REAPER_KEEP);
    assert_int_equal(judge(REAPER_CUT, 500000, 500000, true, 0), REAPER_KEEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declared_length_costs_nothing_until_it_is_sent),
        cmocka_unit_test(test_small_body_takes_what_it_declares),
        cmocka_unit_test(test_body_in_pieces_is_whole),
        cmocka_unit_test(test_budget_is_shared_and_comes_back),
        cmocka_unit_test(test_more_than_declared_is_refused),
        cmocka_unit_test(test_taken_body_is_still_charged_until_given_back),
        cmocka_unit_test(test_new_connection_must_bring_its_request_in_time),
        cmocka_unit_test(test_kept_connection_may_be_idle_for_longer),
        cmocka_unit_test(test_header_and_body_have_one_deadline_together),
        cmocka_unit_test(test_trickling_body_is_ended_after_the_grace),
        cmocka_unit_test(test_waiting_for_the_journal_has_an_end_of_its_own),
        cmocka_unit_test(test_what_is_answered_or_over_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
