#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "filter.h"

static filter_t read(char **operands, size_t count)
{
    filter_t filter = {NULL, NULL, 0, 0};
    assert_int_equal(filter_read(operands, count, &filter, NULL), MAILBUS_OK);
    return filter;
}

static void test_nothing_named_is_everything(void **state)
{
    (void)state;
    filter_t filter = read(NULL, 0);
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_FETCH};
    assert_true(filter_everything(&filter));
    filter_apply(&filter, &fetch);
    assert_int_equal(fetch.topic_count + fetch.prefix_count, 0);
    filter_free(&filter);
}

static void test_star_at_the_end_is_a_prefix(void **state)
{
    (void)state;
    char *operands[] = {"message.received", "domain.*", "message.received.*"};
    filter_t filter = read(operands, 3);
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_FETCH};
    filter_apply(&filter, &fetch);
    assert_int_equal(fetch.topic_count, 1);
    assert_int_equal(fetch.prefix_count, 2);
    assert_string_equal(fetch.prefixes[0], "domain.");
    assert_null(filter.topics[1]);
    assert_null(filter.prefixes[2]);
    assert_true(mailbus_fetch_matches(&fetch, "message.received"));
    assert_false(mailbus_fetch_matches(&fetch, "message.sent"));
    filter_free(&filter);
}

static void test_bad_names_are_refused(void **state)
{
    (void)state;
    char *bad[] = {
        "",        "Message.received",  "a b", "a..b", "*a*", "a*b", ".", "message\n", "bus.heads",
        "\x1b[m*", "message.received,*"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        filter_t filter = {NULL, NULL, 0, 0};
        if (filter_read(&bad[i], 1, &filter, NULL) == MAILBUS_OK) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_null(filter.topics);
    }
}

static void test_too_many_names_are_refused(void **state)
{
    (void)state;
    char *many[MAILBUS_FETCH_MAX_NAMES + 1];
    for (size_t i = 0; i < MAILBUS_FETCH_MAX_NAMES + 1; i++) {
        many[i] = "a";
    }
    filter_t filter;
    assert_int_equal(filter_read(many, MAILBUS_FETCH_MAX_NAMES + 1, &filter, NULL),
                     MAILBUS_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_named_is_everything),
        cmocka_unit_test(test_star_at_the_end_is_a_prefix),
        cmocka_unit_test(test_bad_names_are_refused),
        cmocka_unit_test(test_too_many_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
