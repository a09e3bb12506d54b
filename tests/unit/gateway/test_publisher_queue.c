/* The queue between journal and publisher: what it drops, and what its heads may claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bus_fixture.h"
#include "publisher_queue.h"

static publisher_queue_t *queue_with(size_t max_events, size_t max_bytes)
{
    const mailbus_heads_t none = {.stream = "b0f7c9de-6f0a-4a57-9d37-3a1f6a5f1c11"};
    publisher_queue_t *queue = NULL;
    assert_int_equal(publisher_queue_new(max_events, max_bytes, &none, &queue, NULL), MAILBUS_OK);
    return queue;
}

/* Put one event on `topic`; how many were pushed out. */
static size_t put(publisher_queue_t *queue, const char *topic, uint64_t sequence, size_t size)
{
    event_t *event = fixture_numbered(topic, sequence, 0, size);
    bool was_empty;
    size_t pushed_out = publisher_queue_put(queue, &event, 1, &was_empty);
    event_release(&event);
    return pushed_out;
}

/* Take up to `max`; the sequence of the last one, 0 for none. */
static uint64_t take(publisher_queue_t *queue, size_t max, size_t *ret_count)
{
    event_t *events[64];
    assert_true(max <= 64);
    size_t count = publisher_queue_take(queue, events, max);
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(events[i]->sequence > last);
        last = events[i]->sequence;
        event_release(&events[i]);
    }
    if (ret_count != NULL) {
        *ret_count = count;
    }
    return last;
}

static void expect_heads(publisher_queue_t *queue, uint64_t sequence, const char *topic,
                         uint64_t head)
{
    mailbus_heads_t *heads = NULL;
    assert_int_equal(publisher_queue_heads(queue, &heads), MAILBUS_OK);
    assert_int_equal(heads->sequence, sequence);
    assert_int_equal(mailbus_heads_find(heads, topic), head);
    mailbus_heads_free(&heads);
}

static void test_heads_cover_what_was_taken_and_not_what_waits(void **state)
{
    (void)state;
    publisher_queue_t *queue = queue_with(16, 1 << 20);
    expect_heads(queue, 0, "a", 0);
    put(queue, "a", 1, 10);
    put(queue, "b", 2, 10);
    put(queue, "a", 3, 10);
    expect_heads(queue, 0, "a", 0);
    assert_int_equal(take(queue, 2, NULL), 2);
    expect_heads(queue, 2, "a", 1);
    expect_heads(queue, 2, "b", 2);
    assert_int_equal(take(queue, 2, NULL), 3);
    expect_heads(queue, 3, "a", 3);
    publisher_queue_destroy(&queue);
}

static void test_a_full_queue_keeps_the_newest_and_its_heads_cover_the_rest(void **state)
{
    (void)state;
    publisher_queue_t *queue = queue_with(3, 1 << 20);
    size_t pushed_out = 0;
    for (uint64_t i = 1; i <= 5; i++) {
        pushed_out += put(queue, "a", i, 10);
    }
    assert_int_equal(pushed_out, 2);
    expect_heads(queue, 2, "a", 2);
    size_t count;
    assert_int_equal(take(queue, 8, &count), 5);
    assert_int_equal(count, 3);
    publisher_queue_destroy(&queue);
}

static void test_bytes_are_bounded_too_but_one_event_always_goes(void **state)
{
    (void)state;
    publisher_queue_t *queue = queue_with(100, 1000);
    assert_int_equal(put(queue, "a", 1, 400), 0);
    assert_int_equal(put(queue, "a", 2, 400), 0);
    assert_int_equal(put(queue, "a", 3, 400), 1);
    assert_int_equal(put(queue, "a", 4, 5000), 2);
    size_t count;
    assert_int_equal(take(queue, 8, &count), 4);
    assert_int_equal(count, 1);
    publisher_queue_destroy(&queue);
}

static void test_it_says_whether_the_taker_may_sleep(void **state)
{
    (void)state;
    publisher_queue_t *queue = queue_with(8, 1 << 20);
    event_t *event = fixture_numbered("a", 1, 0, 1);
    bool was_empty = false;
    publisher_queue_put(queue, &event, 1, &was_empty);
    assert_true(was_empty);
    publisher_queue_put(queue, &event, 1, &was_empty);
    assert_false(was_empty);
    event_release(&event);
    publisher_queue_destroy(&queue); /* with events in it: they are freed */
}

static void test_it_starts_from_the_journals_heads(void **state)
{
    (void)state;
    mailbus_head_t topics[] = {{"zebra", 7}, {"apple", 9}, {"mango", 3}};
    const mailbus_heads_t heads = {.stream = "b0f7c9de-6f0a-4a57-9d37-3a1f6a5f1c11",
                                   .sequence = 9,
                                   .topics = topics,
                                   .count = 3};
    publisher_queue_t *queue = NULL;
    assert_int_equal(publisher_queue_new(4, 1000, &heads, &queue, NULL), MAILBUS_OK);
    expect_heads(queue, 9, "zebra", 7);
    put(queue, "mango", 10, 1);
    put(queue, "banana", 11, 1);
    take(queue, 2, NULL);
    expect_heads(queue, 11, "mango", 10);
    expect_heads(queue, 11, "banana", 11);
    expect_heads(queue, 11, "apple", 9);
    publisher_queue_destroy(&queue);
}

static void test_one_topic_too_many_means_no_heads_rather_than_incomplete_ones(void **state)
{
    (void)state;
    publisher_queue_t *queue = queue_with(4, 1 << 20);
    mailbus_heads_t *heads = NULL;
    for (uint64_t i = 1; i <= MAILBUS_HEADS_MAX_TOPICS + 1; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "topic-%llu", (unsigned long long)i);
        put(queue, topic, i, 1);
        take(queue, 1, NULL);
        if (i == MAILBUS_HEADS_MAX_TOPICS) {
            expect_heads(queue, i, "topic-1", 1);
        }
    }
    assert_int_equal(publisher_queue_heads(queue, &heads), MAILBUS_EFULL);
    assert_null(heads);
    publisher_queue_destroy(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_cover_what_was_taken_and_not_what_waits),
        cmocka_unit_test(test_a_full_queue_keeps_the_newest_and_its_heads_cover_the_rest),
        cmocka_unit_test(test_bytes_are_bounded_too_but_one_event_always_goes),
        cmocka_unit_test(test_it_says_whether_the_taker_may_sleep),
        cmocka_unit_test(test_it_starts_from_the_journals_heads),
        cmocka_unit_test(test_one_topic_too_many_means_no_heads_rather_than_incomplete_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
