/* Pauses, limits and shards: pure functions of stored facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backoff.h"
#include "hash.h"
#include "shard.h"

static const backoff_policy_t POLICY = {
    .base_ms = 1000, .max_pause_ms = 3600000, .max_attempts = 50, .max_age_ms = 0};

static void test_pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    int64_t whole = 1000;
    for (unsigned attempts = 1; attempts < 100; attempts++) {
        int64_t pause = backoff_pause(&POLICY, attempts, "evt_1");
        assert_in_range(pause, whole / 2, whole);
        whole = whole * 2 > POLICY.max_pause_ms ? POLICY.max_pause_ms : whole * 2;
    }
}

static void test_the_same_event_waits_the_same_time_and_others_another(void **state)
{
    (void)state;
    int64_t first = backoff_pause(&POLICY, 10, "evt_1");
    assert_int_equal(first, backoff_pause(&POLICY, 10, "evt_1"));
    int different = 0;
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "evt_%d", i);
        different += backoff_pause(&POLICY, 10, id) != first;
    }
    assert_true(different > 90);
}

static void test_retry_after_is_a_lower_bound_that_is_bounded_itself(void **state)
{
    (void)state;
    char reason[64];
    int64_t due_ms = 0;
    assert_true(backoff_again(&POLICY, 1, 0, 5000, 60000, "e", &due_ms, reason, sizeof reason));
    assert_int_equal(due_ms, 65000);
    assert_true(backoff_again(&POLICY, 9, 0, 5000, 1, "e", &due_ms, reason, sizeof reason));
    assert_true(due_ms > 5000 + 100000);
    assert_true(
        backoff_again(&POLICY, 1, 0, 5000, INT64_MAX / 2, "e", &due_ms, reason, sizeof reason));
    assert_int_equal(due_ms, 5000 + POLICY.max_pause_ms);
}

static void test_tries_and_age_end_it_with_a_reason(void **state)
{
    (void)state;
    char reason[64] = "";
    int64_t due_ms = -1;
    assert_true(backoff_again(&POLICY, 49, 0, 0, 0, "e", &due_ms, reason, sizeof reason));
    due_ms = -1;
    assert_false(backoff_again(&POLICY, 50, 0, 0, 0, "e", &due_ms, reason, sizeof reason));
    assert_string_equal(reason, "no success in 50 tries");
    assert_int_equal(due_ms, -1);
    backoff_policy_t old = POLICY;
    old.max_age_ms = 10000;
    assert_true(backoff_again(&old, 1, 0, 8000, 0, "e", &due_ms, reason, sizeof reason));
    assert_false(backoff_again(&old, 1, 0, 8000, 3000, "e", &due_ms, reason, sizeof reason));
    assert_string_equal(reason, "no success in 8 s");
    old.max_attempts = 0;
    old.max_age_ms = 0;
    assert_true(backoff_again(&old, 1000000, 0, 0, 0, "e", &due_ms, reason, sizeof reason));
}

static void test_a_shard_is_index_and_count(void **state)
{
    (void)state;
    static const char *const bad[] = {"0/4",  "5/4", "1/0",    "1",    "/",    "1/4x",      "-1/4",
                                      " 1/4", "a/b", "1/1025", "1/4 ", "1//4", "00000001/4"};
    shard_t shard;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mailbus_error_t error = {0};
        assert_int_equal(shard_parse(bad[i], &shard, &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, "INDEX/COUNT"));
    }
    assert_int_equal(shard_parse("", &shard, NULL), MAILBUS_OK);
    assert_int_equal(shard.count, 1);
    assert_int_equal(shard_parse("4/4", &shard, NULL), MAILBUS_OK);
    assert_int_equal(shard.index, 4);
    assert_int_equal(shard.count, 4);
}

static unsigned owner(const char *id, const char *body)
{
    const mailbus_event_t event = {.id = id, .body = body, .body_size = strlen(body)};
    unsigned found = 0;
    for (unsigned i = 1; i <= 4; i++) {
        const shard_t shard = {i, 4};
        if (shard_owns(&shard, &event)) {
            assert_int_equal(found, 0); /* one owner and no more */
            found = i;
        }
    }
    assert_int_not_equal(found, 0);
    return found;
}

static void test_each_event_has_one_owner_and_a_thread_keeps_it(void **state)
{
    (void)state;
    int used[5] = {0};
    for (int i = 0; i < 400; i++) {
        char received[128];
        char bounced[128];
        char id[32];
        snprintf(id, sizeof id, "evt_%d", i);
        snprintf(received, sizeof received,
                 "{\"event_type\":\"message.received\",\"message\":{\"thread_id\":\"t%d\"}}", i);
        snprintf(bounced, sizeof bounced, "{\"bounce\":{\"type\":\"x\",\"thread_id\":\"t%d\"}}", i);
        assert_int_equal(owner(id, received), owner("evt_other", bounced));
        used[owner(id, received)]++;
        owner(id, "{}");
        owner(id, "not json");
        owner(id, "{\"message\":{\"thread_id\":7}}");
    }
    for (int i = 1; i <= 4; i++) {
        assert_in_range(used[i], 60, 140);
    }
}

/* Shards and pauses depend on it: it must never change. */
static void test_the_hash_is_the_same_for_ever(void **state)
{
    (void)state;
    assert_true(hash_bytes("", 0) == UINT64_C(0xecba3df2c3383c52));
    assert_true(hash_bytes("thd_1", 5) == UINT64_C(0x77af71a314b08e33));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_double_up_to_the_longest),
        cmocka_unit_test(test_the_same_event_waits_the_same_time_and_others_another),
        cmocka_unit_test(test_retry_after_is_a_lower_bound_that_is_bounded_itself),
        cmocka_unit_test(test_tries_and_age_end_it_with_a_reason),
        cmocka_unit_test(test_a_shard_is_index_and_count),
        cmocka_unit_test(test_each_event_has_one_owner_and_a_thread_keeps_it),
        cmocka_unit_test(test_the_hash_is_the_same_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
