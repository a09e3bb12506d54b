/* machine.h: the state of an address, from what is known about it. Times in days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

#define DAY INT64_C(86400000)

static const machine_limits_t limits = {.soft_count = 3,
                                        .soft_window_ms = 7 * DAY,
                                        .first_pause_ms = 7 * DAY,
                                        .later_pause_ms = 30 * DAY};

typedef struct {
    fact_kind_t kind;
    double day; /* 1 is the first: 0 is never */
} step_t;

#define END                                                                                        \
    {                                                                                              \
        FACT_KINDS, 0                                                                              \
    }
#define STEP(kind, day)                                                                            \
    {                                                                                              \
        kind, day                                                                                  \
    }
#define SOFT(day)    STEP(FACT_SOFT, day)
#define HARD(day)    STEP(FACT_HARD, day)
#define DELIVER(day) STEP(FACT_DELIVERED, day)
#define CLEAR(day)   STEP(FACT_CLEARED, day)

typedef struct {
    const char *name;
    step_t steps[12];
    double now;
    machine_state_t state;
    double until; /* 0: none */
    int soft;     /* that count now */
} row_t;

static int64_t ms(double days)
{
    return (int64_t)(days * (double)DAY);
}

static const row_t rows[] = {
    {"nothing is known", {END}, 5, MACHINE_OK, 0, 0},
    {"a hard bounce kills at once", {HARD(1), END}, 1, MACHINE_DEAD, 0, 0},
    {"and for good", {HARD(1), END}, 4000, MACHINE_DEAD, 0, 0},
    {"a delivery does not raise the dead", {HARD(1), DELIVER(2), END}, 3, MACHINE_DEAD, 0, 0},
    {"a person does", {HARD(1), CLEAR(2), END}, 3, MACHINE_OK, 0, 0},
    {"until the next hard bounce", {HARD(1), CLEAR(2), HARD(3), END}, 3, MACHINE_DEAD, 0, 0},
    {"one from before the clearing comes late", {CLEAR(2), HARD(1), END}, 3, MACHINE_OK, 0, 0},
    {"two soft ones are watched", {SOFT(1), SOFT(2), END}, 3, MACHINE_OK, 0, 2},
    {"three within a week pause for a week",
     {SOFT(1), SOFT(2), SOFT(3), END},
     3.5,
     MACHINE_PAUSED,
     10,
     3},
    {"exactly that long", {SOFT(1), SOFT(2), SOFT(3), END}, 10, MACHINE_OK, 0, 0},
    {"to the last moment", {SOFT(1), SOFT(2), SOFT(3), END}, 9.999, MACHINE_PAUSED, 10, 1},
    {"all at one moment", {SOFT(2), SOFT(2), SOFT(2), END}, 2, MACHINE_PAUSED, 9, 3},
    {"a week apart is too far", {SOFT(1), SOFT(4), SOFT(8), END}, 8, MACHINE_OK, 0, 2},
    {"less than a week is not", {SOFT(1), SOFT(4), SOFT(7.999), END}, 8, MACHINE_PAUSED, 14.999, 2},
    {"a delivery between them resets",
     {SOFT(1), SOFT(2), DELIVER(2.5), SOFT(3), END},
     3,
     MACHINE_OK,
     0,
     1},
    {"also where it is told later",
     {SOFT(1), SOFT(2), SOFT(3), DELIVER(2.5), END},
     3,
     MACHINE_OK,
     0,
     1},
    {"one from before all of them does not",
     {SOFT(1), SOFT(2), SOFT(3), DELIVER(0.5), END},
     3,
     MACHINE_PAUSED,
     10,
     3},
    {"one at the same moment does",
     {SOFT(1), SOFT(2), SOFT(3), DELIVER(3), END},
     3,
     MACHINE_OK,
     0,
     0},
    {"a delivery ends a pause", {SOFT(1), SOFT(2), SOFT(3), DELIVER(4), END}, 4, MACHINE_OK, 0, 0},
    {"a person ends a pause", {SOFT(1), SOFT(2), SOFT(3), CLEAR(4), END}, 4, MACHINE_OK, 0, 0},
    {"the second pause is the long one",
     {SOFT(1), SOFT(2), SOFT(3), SOFT(11), SOFT(12), SOFT(13), END},
     14,
     MACHINE_PAUSED,
     43,
     3},
    {"and the third",
     {SOFT(1), SOFT(2), SOFT(3), SOFT(11), SOFT(12), SOFT(13), SOFT(50), SOFT(50), SOFT(50), END},
     51,
     MACHINE_PAUSED,
     80,
     3},
    {"a delivery makes the next the first again",
     {SOFT(1), SOFT(2), SOFT(3), DELIVER(10.5), SOFT(11), SOFT(12), SOFT(13), END},
     14,
     MACHINE_PAUSED,
     20,
     3},
    {"a burst is one pause, from its last",
     {SOFT(1), SOFT(1.1), SOFT(1.2), SOFT(1.3), SOFT(1.4), SOFT(1.5), END},
     2,
     MACHINE_PAUSED,
     8.5,
     6},
    {"a lone bounce in a pause is no other pause",
     {SOFT(1), SOFT(2), SOFT(3), SOFT(9.5), END},
     9.6,
     MACHINE_PAUSED,
     10,
     2},
    {"after a pause three new ones are needed",
     {SOFT(1), SOFT(2), SOFT(3), SOFT(10), SOFT(11), END},
     11,
     MACHINE_OK,
     0,
     2},
    {"dead is dead, paused or not",
     {SOFT(1), SOFT(2), SOFT(3), HARD(2), END},
     3,
     MACHINE_DEAD,
     0,
     3},
    {"what is no bounce of the address says nothing",
     {{FACT_SENDER, 1}, {FACT_KNOWN, 1}, {FACT_NOTICE, 1}, {FACT_REJECTED, 1}, {FACT_SENT, 1}, END},
     1,
     MACHINE_OK,
     0,
     0},
};

static machine_verdict_t judge(const step_t *steps, size_t count, double now)
{
    machine_facts_t facts = MACHINE_FACTS_INIT;
    machine_verdict_t verdict;
    for (size_t i = 0; i < count; i++) {
        machine_add(&facts, steps[i].kind, ms(steps[i].day));
    }
    machine_judge(&facts, &limits, ms(now), &verdict);
    return verdict;
}

static size_t length(const step_t *steps)
{
    size_t count = 0;
    while (steps[count].kind != FACT_KINDS) {
        count++;
    }
    return count;
}

static void test_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row_t *row = &rows[i];
        machine_verdict_t verdict = judge(row->steps, length(row->steps), row->now);
        if (verdict.state != row->state || verdict.until_ms != ms(row->until) ||
            verdict.soft != row->soft) {
            fail_msg("%s: %s until %.3f, %d soft", row->name, machine_state_name(verdict.state),
                     (double)verdict.until_ms / (double)DAY, (int)verdict.soft);
        }
    }
}

/* Every order of the steps of every row gives the same. */
static void test_the_order_of_arrival_makes_no_difference(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        step_t steps[12];
        size_t count = length(rows[i].steps);
        machine_verdict_t expected = judge(rows[i].steps, count, rows[i].now);
        memcpy(steps, rows[i].steps, sizeof steps);
        for (int round = 0; round < 300; round++) {
            for (size_t a = count; a > 1; a--) {
                size_t b = (size_t)rand_r(&seed) % a;
                step_t swap = steps[a - 1];
                steps[a - 1] = steps[b];
                steps[b] = swap;
            }
            machine_verdict_t verdict = judge(steps, count, rows[i].now);
            if (verdict.state != expected.state || verdict.until_ms != expected.until_ms ||
                verdict.since_ms != expected.since_ms || verdict.soft != expected.soft ||
                verdict.pauses != expected.pauses) {
                fail_msg("%s: another order, another state", rows[i].name);
            }
        }
    }
}

static void test_the_newest_soft_bounces_are_kept(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 50; round++) {
        machine_facts_t facts = MACHINE_FACTS_INIT;
        bool kept[3 * MACHINE_SOFT_MAX] = {false};
        int64_t order[3 * MACHINE_SOFT_MAX];
        for (int i = 0; i < 3 * MACHINE_SOFT_MAX; i++) {
            order[i] = i + 1;
        }
        for (int a = 3 * MACHINE_SOFT_MAX; a > 1; a--) {
            int b = rand_r(&seed) % a;
            int64_t swap = order[a - 1];
            order[a - 1] = order[b];
            order[b] = swap;
        }
        for (int i = 0; i < 3 * MACHINE_SOFT_MAX; i++) {
            machine_add(&facts, FACT_SOFT, order[i]);
        }
        assert_int_equal(facts.soft_count, MACHINE_SOFT_MAX);
        for (size_t i = 0; i < facts.soft_count; i++) {
            kept[facts.soft_ms[i] - 1] = true;
            assert_true(i == 0 || facts.soft_ms[i - 1] < facts.soft_ms[i]);
        }
        for (int i = 2 * MACHINE_SOFT_MAX; i < 3 * MACHINE_SOFT_MAX; i++) {
            assert_true(kept[i]);
        }
    }
}

/* Who sends on regardless of pauses: the address must not come out of them by sheer number. */
static void test_a_bounce_a_day_for_a_year_stays_paused(void **state)
{
    (void)state;
    machine_facts_t facts = MACHINE_FACTS_INIT;
    for (int day = 1; day <= 365; day++) {
        machine_verdict_t verdict;
        machine_add(&facts, FACT_SOFT, day * DAY);
        machine_judge(&facts, &limits, day * DAY + 1, &verdict);
        assert_int_equal(verdict.state, day < 3 ? MACHINE_OK : MACHINE_PAUSED);
        machine_judge(&facts, &limits, day * DAY + DAY - 1, &verdict);
        assert_int_equal(verdict.state, day < 3 ? MACHINE_OK : MACHINE_PAUSED);
    }
}

static void test_limits_hold_for_the_past_at_once(void **state)
{
    (void)state;
    machine_facts_t facts = MACHINE_FACTS_INIT;
    machine_verdict_t verdict;
    machine_limits_t other = limits;
    machine_add(&facts, FACT_SOFT, 1 * DAY);
    machine_add(&facts, FACT_SOFT, 2 * DAY);
    machine_judge(&facts, &other, 3 * DAY, &verdict);
    assert_int_equal(verdict.state, MACHINE_OK);
    other.soft_count = 2;
    machine_judge(&facts, &other, 3 * DAY, &verdict);
    assert_int_equal(verdict.state, MACHINE_PAUSED);
    assert_int_equal(verdict.until_ms, 9 * DAY);
    other.first_pause_ms = 2 * DAY;
    machine_judge(&facts, &other, 3 * DAY, &verdict);
    assert_int_equal(verdict.until_ms, 4 * DAY);
    other.soft_window_ms = DAY;
    machine_judge(&facts, &other, 3 * DAY, &verdict);
    assert_int_equal(verdict.state, MACHINE_OK);
    other.soft_count = 1;
    machine_judge(&facts, &other, 3 * DAY, &verdict);
    assert_int_equal(verdict.state, MACHINE_PAUSED);
    assert_int_equal(verdict.until_ms, 4 * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_the_order_of_arrival_makes_no_difference),
        cmocka_unit_test(test_the_newest_soft_bounces_are_kept),
        cmocka_unit_test(test_a_bounce_a_day_for_a_year_stays_paused),
        cmocka_unit_test(test_limits_hold_for_the_past_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
