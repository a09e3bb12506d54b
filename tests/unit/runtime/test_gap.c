/* The gap rule, case by case; test_gap_model.c has the random traces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gap.h"

#define STREAM "11111111-1111-4111-8111-111111111111"
#define OTHER  "22222222-2222-4222-8222-222222222222"

static const char *const A_AND_B[] = {"a", "b", NULL};
static const char *const RECEIVED[] = {"message.received", NULL};
static const char *const MESSAGES[] = {"message.", NULL};

static gap_t *new_gap(const char *const *topics, const char *const *prefixes, uint64_t base)
{
    gap_t *gap = gap_new(topics, prefixes);
    assert_non_null(gap);
    gap_reset(gap, STREAM, base);
    return gap;
}

static gap_verdict_t event(gap_t *gap, const char *topic, uint64_t sequence, uint64_t previous)
{
    const mailbus_event_t event = {
        .topic = topic, .stream = STREAM, .sequence = sequence, .previous = previous};
    return gap_event(gap, &event);
}

static gap_verdict_t heads(gap_t *gap, uint64_t sequence, const char *topic, uint64_t last)
{
    mailbus_head_t head = {.sequence = last};
    mailbus_heads_t all = {.sequence = sequence, .topics = &head, .count = topic != NULL};
    strcpy(all.stream, STREAM);
    strcpy(head.topic, topic != NULL ? topic : "");
    return gap_heads(gap, &all);
}

/* DESIGN's own example: with B5 lost and A6 taken, a global cursor of 6 would never bring B5. */
static void test_a_later_event_of_another_topic_hides_no_loss(void **state)
{
    (void)state;
    gap_t *gap = new_gap(A_AND_B, NULL, 4);
    assert_int_equal(event(gap, "a", 6, 3), GAP_TAKE);
    assert_int_equal(gap_cursor(gap), 4);
    assert_int_equal(event(gap, "b", 7, 5), GAP_FETCH);
    assert_int_equal(event(gap, "b", 5, 2), GAP_TAKE); /* from the fetch that begins at 5 */
    assert_int_equal(event(gap, "a", 6, 3), GAP_DROP);
    assert_int_equal(event(gap, "b", 7, 5), GAP_TAKE);
    assert_int_equal(gap_cursor(gap), 6);
    gap_destroy(&gap);
}

static void test_a_topic_is_compared_for_equality(void **state)
{
    (void)state;
    gap_t *gap = new_gap(RECEIVED, NULL, 0);
    assert_int_equal(event(gap, "message.received.spam", 1, 0), GAP_DROP);
    assert_int_equal(event(gap, "message.receive", 2, 0), GAP_DROP);
    assert_int_equal(event(gap, "message.received", 3, 0), GAP_TAKE);
    gap_destroy(&gap);
}

static void test_heads_show_a_loss_at_the_tail(void **state)
{
    (void)state;
    gap_t *gap = new_gap(RECEIVED, NULL, 0);
    assert_int_equal(event(gap, "message.received", 1, 0), GAP_TAKE);
    assert_int_equal(heads(gap, 1, "message.received", 1), GAP_SYNCED);
    assert_int_equal(heads(gap, 2, "message.received", 2), GAP_FETCH);
    assert_int_equal(gap_cursor(gap), 1);
    gap_destroy(&gap);
}

static void test_heads_tell_a_prefix_of_a_topic_it_has_never_seen(void **state)
{
    (void)state;
    gap_t *gap = new_gap(NULL, MESSAGES, 3);
    assert_int_equal(heads(gap, 5, "domain.verified", 5), GAP_SYNCED);
    assert_int_equal(gap_cursor(gap), 5);
    assert_int_equal(heads(gap, 6, "message.new", 6), GAP_FETCH);
    gap_destroy(&gap);
}

static void test_the_cursor_of_a_prefix_moves_with_heads_only(void **state)
{
    (void)state;
    gap_t *gap = new_gap(NULL, MESSAGES, 0);
    assert_int_equal(event(gap, "message.sent", 9, 0), GAP_TAKE);
    assert_int_equal(gap_cursor(gap), 0); /* message.bounced 4 may be lost */
    assert_int_equal(heads(gap, 9, "message.sent", 9), GAP_SYNCED);
    assert_int_equal(gap_cursor(gap), 9);
    gap_destroy(&gap);
}

static void test_a_topic_that_never_occurs_holds_nothing_up_for_ever(void **state)
{
    (void)state;
    gap_t *gap = new_gap(A_AND_B, NULL, 0);
    for (uint64_t s = 1; s <= 100; s++) {
        assert_int_equal(event(gap, "a", s, s - 1), GAP_TAKE);
    }
    assert_int_equal(gap_cursor(gap), 0);
    assert_int_equal(heads(gap, 100, "a", 100), GAP_SYNCED);
    assert_int_equal(gap_cursor(gap), 100);
    gap_destroy(&gap);
}

static void test_late_heads_change_nothing(void **state)
{
    (void)state;
    gap_t *gap = new_gap(RECEIVED, NULL, 10);
    assert_int_equal(heads(gap, 7, "message.received", 7), GAP_BEHIND);
    assert_int_equal(gap_cursor(gap), 10);
    gap_destroy(&gap);
}

static void test_another_stream_is_foreign(void **state)
{
    (void)state;
    gap_t *gap = new_gap(RECEIVED, NULL, 10);
    const mailbus_event_t foreign = {
        .topic = "message.received", .stream = OTHER, .sequence = 11, .previous = 0};
    assert_int_equal(gap_event(gap, &foreign), GAP_FOREIGN);
    mailbus_heads_t all = {.stream = OTHER, .sequence = 20};
    assert_int_equal(gap_heads(gap, &all), GAP_FOREIGN);
    assert_int_equal(gap_cursor(gap), 10);
    gap_destroy(&gap);
}

static void test_what_was_trimmed_is_reported_once(void **state)
{
    (void)state;
    uint64_t from = 0;
    uint64_t to = 0;
    gap_t *gap = new_gap(RECEIVED, NULL, 10);
    assert_false(gap_trimmed(gap, 11, &from, &to));
    assert_true(gap_trimmed(gap, 21, &from, &to));
    assert_int_equal(from, 11);
    assert_int_equal(to, 20);
    assert_false(gap_trimmed(gap, 21, &from, &to));
    assert_int_equal(event(gap, "message.received", 25, 18), GAP_TAKE);
    gap_destroy(&gap);
}

static void test_the_state_survives_being_written_down(void **state)
{
    (void)state;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    gap_t *gap = new_gap(A_AND_B, NULL, 4);
    assert_int_equal(event(gap, "a", 6, 3), GAP_TAKE);
    assert_int_equal(gap_encode(gap, &text, NULL), MAILBUS_OK);
    gap_t *again = gap_new(A_AND_B, NULL);
    assert_int_equal(gap_decode(again, text.data, NULL), MAILBUS_OK);
    assert_string_equal(gap_stream(again), STREAM);
    assert_int_equal(gap_cursor(again), 4);
    assert_int_equal(gap_highest(again), 6);
    assert_int_equal(event(again, "a", 6, 3), GAP_DROP);
    mailbus_buf_free(&text);
    gap_destroy(&gap);
    gap_destroy(&again);
}

static void test_a_topic_left_out_for_a_while_is_not_taken_twice(void **state)
{
    (void)state;
    static const char *const only_b[] = {"b", NULL};
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    gap_t *both = new_gap(A_AND_B, NULL, 0);
    assert_int_equal(event(both, "a", 5, 0), GAP_TAKE);
    assert_int_equal(gap_encode(both, &text, NULL), MAILBUS_OK);
    gap_t *one = gap_new(only_b, NULL);
    assert_int_equal(gap_decode(one, text.data, NULL), MAILBUS_OK);
    mailbus_buf_clear(&text);
    assert_int_equal(gap_encode(one, &text, NULL), MAILBUS_OK);
    assert_int_equal(gap_decode(both, text.data, NULL), MAILBUS_OK);
    assert_int_equal(event(both, "a", 5, 0), GAP_DROP);
    mailbus_buf_free(&text);
    gap_destroy(&both);
    gap_destroy(&one);
}

static void test_a_malformed_state_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        STREAM,
        STREAM " ",
        STREAM " x\n",
        STREAM " -1\n",
        STREAM " 4\na 6",
        STREAM " 4\na\n",
        STREAM " 4\na 99999999999999999999\n",
        STREAM " 4\n 7 7\n",
        STREAM "0123456789 4\n",
    };
    gap_t *gap = new_gap(RECEIVED, NULL, 17);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mailbus_error_t error = {0};
        assert_int_equal(gap_decode(gap, bad[i], &error), MAILBUS_EINVAL);
        assert_string_not_equal(error.text, "");
        assert_int_equal(gap_cursor(gap), 17);
    }
    gap_destroy(&gap);
}

/* A hostile gateway invents topics: memory stays bounded, and what is not noted is fetched again.
 */
static void test_endless_new_topics_do_not_grow_the_state_without_bound(void **state)
{
    (void)state;
    static const char *const all[] = {"", NULL};
    gap_t *gap = new_gap(NULL, all, 0);
    uint64_t sequence = 0;
    gap_verdict_t verdict = GAP_TAKE;
    while (verdict == GAP_TAKE && sequence < 1000000) {
        char topic[32];
        snprintf(topic, sizeof topic, "t.%llu", (unsigned long long)++sequence);
        verdict = event(gap, topic, sequence, 0);
    }
    assert_int_equal(verdict, GAP_FETCH);
    assert_int_equal(sequence, 2 * MAILBUS_HEADS_MAX_TOPICS + 1);
    gap_page(gap, sequence); /* synced covers them: all are forgotten */
    assert_int_equal(event(gap, "t.next", sequence, 0), GAP_TAKE);
    gap_destroy(&gap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_later_event_of_another_topic_hides_no_loss),
        cmocka_unit_test(test_a_topic_is_compared_for_equality),
        cmocka_unit_test(test_heads_show_a_loss_at_the_tail),
        cmocka_unit_test(test_heads_tell_a_prefix_of_a_topic_it_has_never_seen),
        cmocka_unit_test(test_the_cursor_of_a_prefix_moves_with_heads_only),
        cmocka_unit_test(test_a_topic_that_never_occurs_holds_nothing_up_for_ever),
        cmocka_unit_test(test_late_heads_change_nothing),
        cmocka_unit_test(test_another_stream_is_foreign),
        cmocka_unit_test(test_what_was_trimmed_is_reported_once),
        cmocka_unit_test(test_the_state_survives_being_written_down),
        cmocka_unit_test(test_a_topic_left_out_for_a_while_is_not_taken_twice),
        cmocka_unit_test(test_a_malformed_state_is_refused_and_changes_nothing),
        cmocka_unit_test(test_endless_new_topics_do_not_grow_the_state_without_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
