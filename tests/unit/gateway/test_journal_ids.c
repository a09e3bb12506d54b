/* The index of ids and the numbers, against models that are too simple to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal_heads.h"
#include "journal_ids.h"

#define KEYS 3000

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Keys that share their low bits meet in the table: the worst case for removing. */
static uint64_t key_of(uint64_t number)
{
    return (number % 7) | (number << 32) | (number % 3 == 0 ? 1ull << 63 : 0);
}

static void test_the_index_holds_what_was_put_and_not_removed(void **state)
{
    (void)state;
    uint64_t model[KEYS] = {0};
    uint64_t seed = 1;
    journal_ids_t *ids = journal_ids_new();
    assert_non_null(ids);
    for (int i = 0; i < 60000; i++) {
        const uint64_t number = next_random(&seed) % KEYS;
        if (next_random(&seed) % 5 < 3) {
            model[number] = (uint64_t)i + 1;
            assert_int_equal(journal_ids_put(ids, key_of(number), (uint64_t)i + 1), MAILBUS_OK);
        } else if (next_random(&seed) % 4 == 0) {
            journal_ids_remove(ids, key_of(number), 999999); /* another sequence: nothing */
        } else {
            journal_ids_remove(ids, key_of(number), model[number]);
            model[number] = 0;
        }
    }
    size_t count = 0;
    for (uint64_t number = 0; number < KEYS; number++) {
        assert_int_equal(journal_ids_find(ids, key_of(number)), model[number]);
        count += model[number] != 0;
    }
    assert_int_equal(journal_ids_count(ids), count);
    journal_id_t *sorted = NULL;
    size_t sorted_count = 0;
    assert_int_equal(journal_ids_sorted(ids, &sorted, &sorted_count), MAILBUS_OK);
    assert_int_equal(sorted_count, count);
    for (size_t i = 1; i < sorted_count; i++) {
        assert_true((int64_t)sorted[i - 1].key < (int64_t)sorted[i].key);
    }
    free(sorted);
    journal_ids_destroy(&ids);
    assert_null(ids);
    journal_ids_destroy(&ids);
}

static void test_the_key_depends_on_salt_and_id(void **state)
{
    (void)state;
    const uint8_t salts[2][JOURNAL_SALT_SIZE] = {{0}, {1}};
    assert_true(journal_ids_key(salts[0], "a") == journal_ids_key(salts[0], "a"));
    assert_true(journal_ids_key(salts[0], "a") != journal_ids_key(salts[0], "b"));
    assert_true(journal_ids_key(salts[0], "a") != journal_ids_key(salts[1], "a"));
}

static void take(journal_heads_t *heads, const char *topic, uint64_t sequence, uint64_t previous)
{
    uint64_t got = 0;
    uint64_t before = 0;
    size_t index = 0;
    assert_int_equal(journal_heads_take(heads, topic, &got, &before, &index), MAILBUS_OK);
    assert_int_equal(got, sequence);
    assert_int_equal(before, previous);
    assert_string_equal(journal_heads_view(heads)->topics[index].topic, topic);
}

static size_t committed(journal_heads_t *heads, uint64_t sequence)
{
    mailbus_heads_t *copy = NULL;
    assert_int_equal(journal_heads_copy(heads, &copy), MAILBUS_OK);
    const size_t count = copy->count;
    assert_int_equal(copy->sequence, sequence);
    mailbus_heads_free(&copy);
    return count;
}

static void test_numbers_are_seen_when_committed_and_given_back_when_not(void **state)
{
    (void)state;
    journal_heads_t *heads = journal_heads_new();
    assert_non_null(heads);
    journal_heads_begin(heads);
    take(heads, "m", 1, 0);
    take(heads, "a", 2, 0);
    assert_int_equal(committed(heads, 0), 0);
    journal_heads_commit(heads);
    assert_int_equal(committed(heads, 2), 2);
    journal_heads_begin(heads);
    take(heads, "b", 3, 0);
    take(heads, "m", 4, 1);
    take(heads, "m", 5, 4);
    take(heads, "z", 6, 0);
    assert_int_equal(committed(heads, 2), 2);
    journal_heads_rollback(heads);
    assert_int_equal(committed(heads, 2), 2);
    assert_int_equal(journal_heads_view(heads)->count, 2);
    journal_heads_begin(heads);
    take(heads, "z", 3, 0);
    take(heads, "m", 4, 1);
    take(heads, "a", 5, 2);
    take(heads, "b", 6, 0);
    journal_heads_commit(heads);
    assert_int_equal(committed(heads, 6), 4);
    journal_heads_destroy(&heads);
    journal_heads_destroy(&heads);
}

static void test_topics_are_bounded_and_a_topic_too_many_changes_nothing(void **state)
{
    (void)state;
    journal_heads_t *heads = journal_heads_new();
    assert_non_null(heads);
    for (uint64_t i = 0; i < MAILBUS_HEADS_MAX_TOPICS; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t%u", (unsigned)i);
        assert_int_equal(journal_heads_load(heads, topic, i + 1), MAILBUS_OK);
    }
    assert_int_equal(journal_heads_load(heads, "t7", 1), MAILBUS_EEXIST);
    uint64_t sequence = 0;
    uint64_t previous = 0;
    size_t index = 0;
    journal_heads_begin(heads);
    assert_int_equal(journal_heads_take(heads, "new", &sequence, &previous, &index), MAILBUS_EFULL);
    take(heads, "t7", MAILBUS_HEADS_MAX_TOPICS + 1, 8);
    journal_heads_commit(heads);
    assert_int_equal(committed(heads, MAILBUS_HEADS_MAX_TOPICS + 1), MAILBUS_HEADS_MAX_TOPICS);
    journal_heads_destroy(&heads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_index_holds_what_was_put_and_not_removed),
        cmocka_unit_test(test_the_key_depends_on_salt_and_id),
        cmocka_unit_test(test_numbers_are_seen_when_committed_and_given_back_when_not),
        cmocka_unit_test(test_topics_are_bounded_and_a_topic_too_many_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
