/* clean.h: whatever an engine printed becomes text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>
#include <utf8proc.h>

#include "clean.h"
#include "mailbus/json.h"

static void check(const char *data, size_t size, size_t max, const char *expected, bool cut)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    bool is_cut = !cut;
    assert_int_equal(clean_text(data, size, max, &out, &is_cut, NULL), MAILBUS_OK);
    assert_string_equal(out.data != NULL ? out.data : "", expected);
    assert_int_equal(is_cut, cut);
    mailbus_buf_free(&out);
}

#define CHECK(data, expected) check(data, sizeof(data) - 1, 1000, expected, false)

static void test_ends_of_lines_are_line_feeds(void **state)
{
    (void)state;
    CHECK("a\r\nb\rc\nd\fe\vf\xC2\x85g\xE2\x80\xA8h\xE2\x80\xA9i", "a\nb\nc\nd\ne\nf\ng\nh\ni");
    CHECK("a\r\r\nb", "a\n\nb");
    CHECK("a\n\n\n\n\n\nb", "a\n\n\nb");
    CHECK("\n\n a  \t \n\n", " a  \t");
    CHECK("a   \nb  c   ", "a\nb  c");
}

static void test_control_characters_go(void **state)
{
    (void)state;
    CHECK("a\0b\x01\x1b[31mc\x7f\xC2\x80\xC2\x9F"
          "d\te",
          "ab[31mcd\te");
    CHECK("\xEF\xBB\xBFmark\xEF\xBB\xBF", "mark");
    CHECK("", "");
    CHECK("\0\0\f\n \r", "");
}

static void test_what_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    CHECK("a\xff"
          "b\xC3",
          "a\xEF\xBF\xBD"
          "b\xEF\xBF\xBD");
    CHECK("\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* a surrogate */
    CHECK("\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD");                 /* overlong */
    CHECK("\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK("\xF0\x9D\x84\x9E", "\xF0\x9D\x84\x9E");
}

static void test_text_is_composed(void **state)
{
    (void)state;
    CHECK("e\xCC\x81", "\xC3\xA9");
    CHECK("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"); /* jamo to hangul */
    CHECK("\xEF\xAC\x81", "\xEF\xAC\x81");                         /* fi: NFC keeps it */
    CHECK("a\xCC\x96\xCC\x81", "\xC3\xA1\xCC\x96");                /* marks in order */
}

static void test_it_is_cut_between_characters(void **state)
{
    (void)state;
    check("\xC3\xA4\xC3\xA4\xC3\xA4", 6, 6, "\xC3\xA4\xC3\xA4\xC3\xA4", false);
    check("\xC3\xA4\xC3\xA4\xC3\xA4", 6, 5, "\xC3\xA4\xC3\xA4", true);
    check("\xF0\x9D\x84\x9E", 4, 3, "", true);
    check("abc", 3, 0, "", true);
}

/* Ordering n marks takes n² steps: without a bound a megabyte of them takes hours. */
static void test_marks_without_end_take_no_time_without_end(void **state)
{
    (void)state;
    enum { MARKS = 500000 };
    mailbus_buf_t data = MAILBUS_BUF_INIT, out = MAILBUS_BUF_INIT;
    bool cut = false;
    mailbus_buf_text(&data, "a");
    for (int i = 0; i < MARKS; i++) {
        mailbus_buf_text(&data, i % 2 == 0 ? "\xCC\x81" : "\xCC\x96");
    }
    clock_t start = clock();
    assert_int_equal(clean_text(data.data, data.size, data.size, &out, &cut, NULL), MAILBUS_OK);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
    assert_true(out.size < 100);
    mailbus_buf_free(&data);
    mailbus_buf_free(&out);
}

static void assert_clean(const mailbus_buf_t *text)
{
    if (text->size == 0) {
        return;
    }
    assert_true(mailbus_utf8_valid(text->data, text->size));
    for (size_t i = 0; i < text->size; i++) {
        unsigned char c = (unsigned char)text->data[i];
        assert_true(c >= 0x20 || c == '\n' || c == '\t');
        assert_true(c != 0x7F);
        assert_false(c == 0xC2 && (unsigned char)text->data[i + 1] < 0xA0);
    }
    utf8proc_uint8_t *again = NULL;
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)text->data, (utf8proc_ssize_t)text->size, &again,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert_int_equal(size, text->size);
    assert_memory_equal(again, text->data, text->size);
    free(again);
}

static void test_any_bytes_become_text(void **state)
{
    (void)state;
    enum { ROUNDS = 3000, MOST = 300 };
    srandom(4711);
    for (int i = 0; i < ROUNDS; i++) {
        char data[MOST];
        size_t size = (size_t)random() % MOST, max = (size_t)random() % MOST;
        /* Bytes of marks and of long characters, more often than chance gives them. */
        static const char likely[] = "\xCC\x81\x96\xE2\x80\xA8\xC2\x85\xF0\x9D\xE1\x84\x92\r\n e";
        for (size_t k = 0; k < size; k++) {
            data[k] =
                random() % 4 == 0 ? (char)random() : likely[(size_t)random() % (sizeof likely - 1)];
        }
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        bool cut = false;
        assert_int_equal(clean_text(data, size, max, &out, &cut, NULL), MAILBUS_OK);
        assert_true(out.size <= max);
        assert_clean(&out);
        mailbus_buf_free(&out);
    }
}

static void test_a_line_for_people(void **state)
{
    (void)state;
    char text[16];
    clean_line("\n \r\n  first\x1b[2J\nsecond", 25, text, sizeof text);
    assert_string_equal(text, "first [2J");
    clean_line("a line that is much too long", 28, text, sizeof text);
    assert_string_equal(text, "a line that is");
    clean_line("", 0, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_of_lines_are_line_feeds),
        cmocka_unit_test(test_control_characters_go),
        cmocka_unit_test(test_what_is_no_utf8_is_replaced),
        cmocka_unit_test(test_text_is_composed),
        cmocka_unit_test(test_it_is_cut_between_characters),
        cmocka_unit_test(test_marks_without_end_take_no_time_without_end),
        cmocka_unit_test(test_any_bytes_become_text),
        cmocka_unit_test(test_a_line_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
