/* own.h: which addresses are ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/own.h"

static void test_addresses_and_whole_domains(void **state)
{
    (void)state;
    own_t own = OWN_INIT;
    assert_int_equal(own_parse("a@b.c, X@Y.z\t*@ours.example", &own, NULL), MAILBUS_OK);
    assert_int_equal(own.count, 3);
    assert_true(own_has(&own, "A@b.C"));
    assert_true(own_has(&own, "x@y.z"));
    assert_true(own_has(&own, "anyone@OURS.example"));
    assert_false(own_has(&own, "anyone@sub.ours.example"));
    assert_false(own_has(&own, "anyone@notours.example"));
    assert_false(own_has(&own, "aa@b.c"));
    assert_false(own_has(&own, "\"x@ours.example\"@evil.org"));
    own_free(&own);
    assert_false(own_has(&own, "a@b.c"));
}

static void test_nothing_is_nothing(void **state)
{
    (void)state;
    own_t own = OWN_INIT;
    assert_int_equal(own_parse("", &own, NULL), MAILBUS_OK);
    assert_int_equal(own.count, 0);
    own_free(&own);
    assert_int_equal(own_parse(" , ", &own, NULL), MAILBUS_OK);
    assert_int_equal(own.count, 0);
    own_free(&own);
}

static void test_what_is_no_address_is_named(void **state)
{
    (void)state;
    const char *bad[] = {"nonsense", "a@b.c *", "*@", "@b", "Jane <a@b.c>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        own_t own = OWN_INIT;
        mailbus_error_t error = {0};
        assert_int_equal(own_parse(bad[i], &own, &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, "is neither an address nor"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_and_whole_domains),
        cmocka_unit_test(test_nothing_is_nothing),
        cmocka_unit_test(test_what_is_no_address_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
