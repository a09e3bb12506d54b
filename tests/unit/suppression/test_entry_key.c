/* entry_key.h: what an entry is about, and which entries suppress a mailbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "suppression/entry_key.h"

static void test_forms_of_an_entry(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key, *shown, *block;
    } rows[] = {
        {"Jane@Example.COM", "a:jane@example.com", "Jane@Example.COM", "Jane@Example.COM"},
        {"Jane <jane+x@example.com>", "a:jane+x@example.com", "jane+x@example.com",
         "jane+x@example.com"},
        {"*@Example.com", "d:example.com", "*@Example.com", "Example.com"},
        {"*@*.example.com", "s:example.com", "*@*.example.com", NULL},
        {"*@localhost", "d:localhost", "*@localhost", "localhost"},
        {"\"*\"@example.com", "a:*@example.com", "*@example.com", NULL},
        {"\"a b\"@example.com", "a:\"a b\"@example.com", "\"a b\"@example.com",
         "\"a b\"@example.com"},
        {"jane(my friend)@example.com", "a:jane@example.com", "jane@example.com",
         "jane@example.com"},
        {"jane@m\xc3\xbcller.example", "a:jane@xn--mller-kva.example", "jane@m\xc3\xbcller.example",
         "jane@m\xc3\xbcller.example"},
        {"*@m\xc3\xbcller.example", "d:xn--mller-kva.example", "*@m\xc3\xbcller.example",
         "m\xc3\xbcller.example"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *key = NULL;
        char *shown = NULL;
        mailbus_error_t error = {0};
        if (key_parse(rows[i].text, &key, &shown, &error) != MAILBUS_OK) {
            fail_msg("%s: %s", rows[i].text, error.text);
        }
        assert_string_equal(key, rows[i].key);
        assert_string_equal(shown, rows[i].shown);
        const char *block = key_block_entry(key, shown);
        if (rows[i].block == NULL) {
            assert_null(block);
        } else {
            assert_string_equal(block, rows[i].block);
        }
        free(key);
        free(shown);
    }
}

static void test_what_is_printed_is_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "jane@example.com",    "*@example.com",    "*@*.example.com", "\"*\"@example.com",
        "\"a b\"@example.com", "=cmd@example.com", "'+x@example.com"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *key = NULL;
        char *shown = NULL;
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        assert_int_equal(key_parse(texts[i], &key, &shown, NULL), MAILBUS_OK);
        key_print(key, shown, &out);
        assert_string_equal(out.data, texts[i]);
        mailbus_buf_free(&out);
        free(key);
        free(shown);
    }
}

static void test_what_is_no_entry(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "jane",
                                        "@example.com",
                                        "a@b.c, d@e.f",
                                        "*@",
                                        "*@*.",
                                        "*@*.com",
                                        "*@*.*.example.com",
                                        "*@ex*mple.com",
                                        "*@a.b, c@d.e",
                                        "*@[192.0.2.1]",
                                        "*@example.com\r\nBcc: x@y.z",
                                        "jane@example.com\r\nBcc: x@y.z",
                                        "jane@example..com",
                                        "j\xff@example.com"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *key = NULL;
        char *shown = NULL;
        mailbus_error_t error = {0};
        if (key_parse(texts[i], &key, &shown, &error) != MAILBUS_EINVAL) {
            fail_msg("taken: %s", texts[i]);
        }
        assert_null(key);
        assert_true(error.text[0] != '\0');
    }
}

static void test_entries_that_cover_a_mailbox(void **state)
{
    (void)state;
    static const char *const expected[] = {"a:jane@a.b.example.com", "d:a.b.example.com",
                                           "s:b.example.com", "s:example.com", "s:com"};
    char *keys[KEYS_MAX] = {NULL};
    size_t count = 0;
    assert_int_equal(keys_covering("Jane@A.B.example.com", keys, &count, NULL), MAILBUS_OK);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(keys[i], expected[i]);
    }
    keys_free(keys, count);
    assert_null(keys[0]);
}

static void test_a_domain_of_the_longest_kind_stays_within_bounds(void **state)
{
    (void)state;
    char address[300] = "j@";
    char *keys[KEYS_MAX] = {NULL};
    size_t count = 0;
    for (size_t i = 2; i < 256; i += 2) {
        memcpy(address + i, "a.", 3);
    }
    address[255] = '\0';
    assert_int_equal(keys_covering(address, keys, &count, NULL), MAILBUS_OK);
    assert_in_range(count, 100, KEYS_MAX);
    keys_free(keys, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_an_entry),
        cmocka_unit_test(test_what_is_printed_is_read_back),
        cmocka_unit_test(test_what_is_no_entry),
        cmocka_unit_test(test_entries_that_cover_a_mailbox),
        cmocka_unit_test(test_a_domain_of_the_longest_kind_stays_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
