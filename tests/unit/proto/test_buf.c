/* The buffer and the result type that everything else stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/buf.h"

static void test_bytes_are_followed_by_a_nul_that_does_not_count(void **state)
{
    (void)state;
    mailbus_buf_t buf = MAILBUS_BUF_INIT;
    mailbus_buf_append(&buf, NULL, 0);
    for (size_t i = 0; i < 2000; i++) {
        mailbus_buf_char(&buf, 'x');
        assert_int_equal(buf.size, i + 1);
        assert_int_equal(buf.data[i + 1], '\0');
    }
    mailbus_buf_clear(&buf);
    assert_string_equal(buf.data, "");
    mailbus_buf_text(&buf, "a");
    mailbus_buf_append(&buf, "\0b", 2);
    mailbus_buf_u64(&buf, UINT64_MAX);
    mailbus_buf_u64(&buf, 0);
    mailbus_buf_printf(&buf, "[%d %s]", -7, "z");
    assert_int_equal(buf.size, 3 + 20 + 1 + 6);
    assert_memory_equal(buf.data, "a\0b184467440737095516150[-7 z]", buf.size + 1);
    mailbus_buf_free(&buf);
    assert_null(buf.data);
    mailbus_buf_free(&buf);
}

static void test_the_first_failure_is_kept(void **state)
{
    (void)state;
    mailbus_buf_t buf = {.limit = 5};
    mailbus_buf_text(&buf, "12345");
    assert_false(buf.failed);
    mailbus_buf_char(&buf, '6');
    assert_true(buf.failed);
    mailbus_buf_append(&buf, NULL, 0);
    mailbus_buf_printf(&buf, "%s", "");
    assert_int_equal(buf.size, 5);
    size_t size = 99;
    assert_null(mailbus_buf_take(&buf, &size));
    assert_int_equal(size, 99);
    assert_null(buf.data);

    buf = (mailbus_buf_t){.limit = 5};
    mailbus_buf_printf(&buf, "%d", 123456);
    assert_true(buf.failed);
    mailbus_buf_clear(&buf);
    assert_false(buf.failed);
    mailbus_buf_append(&buf, "x", SIZE_MAX - 8); /* refused before it is read */
    assert_true(buf.failed);
    mailbus_buf_free(&buf);
}

static void test_taken_bytes_belong_to_the_caller(void **state)
{
    (void)state;
    mailbus_buf_t buf = MAILBUS_BUF_INIT;
    assert_null(mailbus_buf_take(&buf, NULL));
    mailbus_buf_text(&buf, "mine");
    size_t size = 0;
    char *mine = mailbus_buf_take(&buf, &size);
    assert_int_equal(size, 4);
    assert_string_equal(mine, "mine");
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    free(mine);
}

static void test_errors_carry_code_and_bounded_text(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mailbus_error_t error;
    assert_int_equal(mailbus_fail(&error, MAILBUS_EIO, "%s", text), MAILBUS_EIO);
    assert_int_equal(error.code, MAILBUS_EIO);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(mailbus_fail(NULL, MAILBUS_EFULL, "nobody listens"), MAILBUS_EFULL);
}

static void test_codes_have_different_names(void **state)
{
    (void)state;
    for (int a = MAILBUS_OK; a <= MAILBUS_ESTOPPED; a++) {
        assert_string_not_equal(mailbus_code_name((mailbus_code_t)a), "unknown");
        for (int b = MAILBUS_OK; b < a; b++) {
            assert_string_not_equal(mailbus_code_name((mailbus_code_t)a),
                                    mailbus_code_name((mailbus_code_t)b));
        }
    }
    assert_string_equal(mailbus_code_name((mailbus_code_t)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_followed_by_a_nul_that_does_not_count),
        cmocka_unit_test(test_the_first_failure_is_kept),
        cmocka_unit_test(test_taken_bytes_belong_to_the_caller),
        cmocka_unit_test(test_errors_carry_code_and_bounded_text),
        cmocka_unit_test(test_codes_have_different_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
