/* agentmail/text.h: nothing from a mail breaks a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/text.h"

static void check_line(const char *text, size_t size, size_t max, const char *expected)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    agentmail_text_line(text, size, max, &out);
    assert_string_equal(out.data, expected);
    assert_int_equal(out.size, strlen(expected));
    mailbus_buf_free(&out);
}

static void test_line_breaks_and_controls_become_one_blank(void **state)
{
    (void)state;
    check_line("Re: hi\r\nBcc: x@y", 16, 0, "Re: hi Bcc: x@y");
    check_line("a\0b", 3, 0, "a b");
    check_line(" \t a \x1b[31m \x7f b \n", 16, 0, "a [31m b");
    check_line("\r\n\r\n", 4, 0, "");
    check_line("", 0, 0, "");
}

static void test_separators_and_direction_marks_become_blanks(void **state)
{
    (void)state;
    const char *marks[] = {"\xC2\x85",     "\xC2\xA0",     "\xE2\x80\xA8", "\xE2\x80\xA9",
                           "\xE2\x80\xAE", "\xE2\x81\xA6", "\xE2\x80\x8F", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char text[16] = "a";
        strcat(text, marks[i]);
        strcat(text, "b");
        check_line(text, strlen(text), 0, "a b");
    }
}

static void test_other_writing_goes_through(void **state)
{
    (void)state;
    const char *text = "Grüße 東京 🙂";
    check_line(text, strlen(text), 0, text);
}

static void test_what_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    check_line("a\xFF"
               "b",
               3, 0,
               "a\xEF\xBF\xBD"
               "b");
    check_line("a\xC3", 2, 0, "a\xEF\xBF\xBD");               /* cut */
    check_line("\xC0\x8A", 2, 0, "\xEF\xBF\xBD\xEF\xBF\xBD"); /* overlong line feed */
    check_line("\xED\xA0\x80", 3, 0, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* surrogate */
}

static void test_cut_never_splits_a_character(void **state)
{
    (void)state;
    check_line("ab\xC3\xA9"
               "cd",
               6, 3, "ab");
    check_line("ab\xC3\xA9"
               "cd",
               6, 4, "ab\xC3\xA9");
    check_line("ab cd", 5, 3, "ab"); /* no blank at the end */
    check_line("ab cd", 5, 4, "ab c");
}

static void check_block(const char *text, size_t size, size_t max, const char *expected, bool cut)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "> ");
    assert_int_equal(agentmail_text_block(text, size, max, &out), cut);
    assert_string_equal(out.data + 2, expected);
    assert_int_equal(out.size, strlen(expected) + 2);
    mailbus_buf_free(&out);
}

static void test_a_block_keeps_its_lines_and_nothing_that_acts(void **state)
{
    (void)state;
    check_block("a\r\nb\rc\n\n\td \r\n", 13, 0, "a\nb\nc\n\n\td", false);
    check_block("a\0\x1b[31mb\x7f\xE2\x80\xAE", 12, 0, "a[31mb", false);
    check_block("a\xFF"
                "b\xC3",
                4, 0,
                "a\xEF\xBF\xBD"
                "b\xEF\xBF\xBD",
                false);
    check_block("", 0, 0, "", false);
    check_block(" \r\n ", 4, 0, "", false);
    check_block("ab\xC3\xA9"
                "cd",
                6, 3, "ab", true);
    check_block("abc", 3, 3, "abc", false);
    check_block("ab cd", 5, 3, "ab", true);
}

static void test_comparisons_ignore_ascii_case_only(void **state)
{
    (void)state;
    assert_true(agentmail_text_equal("ABc", "abC"));
    assert_false(agentmail_text_equal("abc", "abcd"));
    assert_false(agentmail_text_equal("abcd", "abc"));
    assert_false(agentmail_text_equal("\xC3\x89", "\xC3\xA9"));
    assert_true(agentmail_text_starts("List-Id", "list-"));
    assert_false(agentmail_text_starts("List", "list-"));
    assert_true(agentmail_text_contains("HelpSupport@x", "support"));
    assert_false(agentmail_text_contains("suppor", "support"));
    assert_true(agentmail_text_contains("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_breaks_and_controls_become_one_blank),
        cmocka_unit_test(test_separators_and_direction_marks_become_blanks),
        cmocka_unit_test(test_other_writing_goes_through),
        cmocka_unit_test(test_what_is_not_utf8_is_replaced),
        cmocka_unit_test(test_cut_never_splits_a_character),
        cmocka_unit_test(test_a_block_keeps_its_lines_and_nothing_that_acts),
        cmocka_unit_test(test_comparisons_ignore_ascii_case_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
