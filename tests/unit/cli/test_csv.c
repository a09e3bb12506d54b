/* CSV as RFC 4180 has it, and as programs write it; what is doubtful is refused by its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "csv.h"

typedef struct {
    FILE *in;
    csv_t *csv;
} reader_t;

static reader_t open_text(const char *text, size_t size)
{
    reader_t reader = {.in = fmemopen((void *)(uintptr_t)text, size, "r")};
    assert_non_null(reader.in);
    assert_int_equal(csv_new(reader.in, &reader.csv, NULL), MAILBUS_OK);
    return reader;
}

static void close_text(reader_t *reader)
{
    csv_destroy(&reader->csv);
    assert_null(reader->csv);
    fclose(reader->in);
}

/* All records as text: fields between '|', each record behind its line's number. */
static char *read_all(const char *text, size_t size)
{
    reader_t reader = open_text(text, size);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    bool read = true;
    mailbus_buf_text(&out, "");
    for (;;) {
        mailbus_error_t error = {0};
        mailbus_code_t code = csv_read(reader.csv, &read, &error);
        if (code != MAILBUS_OK) {
            mailbus_buf_printf(&out, "(%s: %s)", mailbus_code_name(code), error.text);
            break;
        }
        if (!read) {
            break;
        }
        mailbus_buf_printf(&out, "%zu", csv_line(reader.csv));
        for (size_t i = 0; i < csv_count(reader.csv); i++) {
            mailbus_buf_printf(&out, "|%s", csv_field(reader.csv, (int)i));
        }
        mailbus_buf_char(&out, ';');
    }
    close_text(&reader);
    return mailbus_buf_take(&out, NULL);
}

static void expect(const char *text, const char *wanted)
{
    char *got = read_all(text, strlen(text));
    if (strcmp(got, wanted) != 0) {
        fail_msg("%s: wanted %s, got %s", text, wanted, got);
    }
    free(got);
}

static void test_records_of_rfc_4180(void **state)
{
    (void)state;
    expect("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n", "1|aaa|bbb|ccc;2|zzz|yyy|xxx;");
    expect("aaa,bbb\r\nzzz,yyy", "1|aaa|bbb;2|zzz|yyy;"); /* rule 2: no break at the end */
    expect("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nz,y,x\r\n", "1|aaa|b\nbb|ccc;3|z|y|x;");
    expect("\"aaa\",\"b\"\"bb\",\"c,c\"\n", "1|aaa|b\"bb|c,c;");
    expect(" a , b \n", "1| a | b ;"); /* rule 4: blanks belong to the field */
    expect(",\n\"\",\n", "1||;2||;");
}

static void test_what_programs_write_besides(void **state)
{
    (void)state;
    expect("\xef\xbb\xbf\"a\",b\n", "1|a|b;");
    expect("a\nb\n", "1|a;2|b;");
    expect("a\r\n\r\n\n\nb\n", "1|a;5|b;"); /* empty lines */
    expect("a\r", "1|a;");
    expect("\xef\xbb\xbf", "");
    expect("\n", "");
    expect("\xc3\xa9@x,\xe9\x83\xb5\n", "1|\xc3\xa9@x|\xe9\x83\xb5;");
}

static void test_what_two_readers_could_see_differently_is_refused(void **state)
{
    (void)state;
    expect("a\nb,\"c\nd\n", "1|a;(invalid: line 2: a quote is never closed)");
    expect("\"a\"b\n", "(invalid: line 1: text stands behind a closing quote (a quote inside of "
                       "quotes is written twice))");
    expect("x\na\"b\n", "1|x;(invalid: line 2: a quote stands in the open)");
    expect("a\rb\n", "(invalid: line 1: a carriage return stands in the open)");
    expect("a\n\xe9\n", "1|a;(invalid: line 2 is no UTF-8: save the file in that encoding)");
    expect("\xef\xbb"
           "a\n",
           "(invalid: line 1 is no UTF-8: save the file in that encoding)");
    expect("\xff\xfe"
           "a\n",
           "(invalid: line 1 is no UTF-8: save the file in that encoding)");
    char *got = read_all("a\nb\0c\n", 6);
    assert_string_equal(got, "1|a;(invalid: line 2: a NUL stands in the open)");
    free(got);
    got = read_all("\"b\0c\"\n", 6);
    assert_string_equal(got, "(invalid: line 1 holds a NUL)");
    free(got);
}

static void test_fields_and_records_are_bounded(void **state)
{
    (void)state;
    char fields[2 * CSV_FIELDS_MAX + 2] = "";
    memset(fields, ',', CSV_FIELDS_MAX - 1);
    char *got = read_all(fields, strlen(fields));
    assert_null(strstr(got, "too-big"));
    free(got);
    memset(fields, ',', CSV_FIELDS_MAX);
    got = read_all(fields, strlen(fields));
    assert_non_null(strstr(got, "(too-big: line 1 has more than 64 fields)"));
    free(got);
    char *text = malloc(CSV_RECORD_MAX + 2);
    assert_non_null(text);
    memset(text, 'a', CSV_RECORD_MAX + 2);
    got = read_all(text, CSV_RECORD_MAX - 1);
    assert_int_equal(strlen(got), 2 + CSV_RECORD_MAX - 1 + 1);
    free(got);
    got = read_all(text, CSV_RECORD_MAX);
    assert_non_null(strstr(got, "(too-big: line 1"));
    free(got);
    text[0] = '"'; /* inside of quotes, too */
    got = read_all(text, CSV_RECORD_MAX + 2);
    assert_non_null(strstr(got, "(too-big: line 1"));
    free(got);
    free(text);
}

static mailbus_code_t next(reader_t *reader, mailbus_error_t *error)
{
    bool read = false;
    mailbus_code_t code = csv_read(reader->csv, &read, error);
    return code == MAILBUS_OK && !read ? MAILBUS_ENOTFOUND : code;
}

static void test_header_names_the_columns(void **state)
{
    (void)state;
    static const char text[] = "Address, REASON ,until\na@x,spam,\nb@x,too,many,fields\nc@x\n";
    reader_t reader = open_text(text, sizeof text - 1);
    mailbus_error_t error = {0};
    assert_int_equal(next(&reader, &error), MAILBUS_OK);
    assert_int_equal(csv_take_header(reader.csv, &error), MAILBUS_OK);
    assert_int_equal(csv_column(reader.csv, "address"), 0);
    assert_int_equal(csv_column(reader.csv, "Reason"), 1);
    assert_int_equal(csv_column(reader.csv, "unti"), -1);
    assert_int_equal(csv_column(reader.csv, "until x"), -1);
    assert_int_equal(next(&reader, &error), MAILBUS_OK);
    assert_string_equal(csv_field(reader.csv, csv_column(reader.csv, "address")), "a@x");
    assert_string_equal(csv_field(reader.csv, csv_column(reader.csv, "until")), "");
    assert_string_equal(csv_field(reader.csv, csv_column(reader.csv, "nothing")), "");
    assert_string_equal(csv_field(reader.csv, 3), "");
    assert_int_equal(next(&reader, &error), MAILBUS_EINVAL);
    assert_string_equal(error.text, "line 3 has 4 fields, the header has 3");
    assert_int_equal(next(&reader, &error), MAILBUS_EINVAL);
    assert_string_equal(error.text, "line 4 has 1 fields, the header has 3");
    assert_int_equal(next(&reader, &error), MAILBUS_ENOTFOUND);
    close_text(&reader);
}

static void test_header_that_names_nothing_or_twice_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"a,\n", "a, ,b\n", "a,b, A \n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        reader_t reader = open_text(bad[i], strlen(bad[i]));
        mailbus_error_t error = {0};
        assert_int_equal(next(&reader, &error), MAILBUS_OK);
        assert_int_equal(csv_take_header(reader.csv, &error), MAILBUS_EINVAL);
        assert_int_equal(csv_column(reader.csv, "a"), -1);
        close_text(&reader);
    }
}

/* Whatever is written comes back, and none of it is a formula to a spreadsheet. */
static void test_what_is_written_is_read_again(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "plain", "",    "a,b", "say \"hi\"", "two\nlines", " blanks ", "=1+1", "+49 30", "-5", "@x",
        "\tx",   "'=1", "''-", "'quoted'",   "\xc3\xa9",   "a=b",      "'",    "=",      "\"",
    };
    enum { COUNT = sizeof fields / sizeof *fields };
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < COUNT; i++) {
        mailbus_buf_text(&out, i > 0 ? "," : "");
        size_t at = out.size;
        csv_write_field(fields[i], true, &out);
        at += out.data[at] == '"';
        assert_null(out.data[at] != '\0' ? strchr("=+-@\t\r", out.data[at]) : NULL);
    }
    mailbus_buf_text(&out, "\r\n");
    reader_t reader = open_text(out.data, out.size);
    assert_int_equal(next(&reader, NULL), MAILBUS_OK);
    assert_int_equal(csv_count(reader.csv), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_string_equal(csv_field(reader.csv, (int)i), fields[i]);
    }
    close_text(&reader);
    mailbus_buf_clear(&out);
    csv_write_field("-5", false, &out); /* a number */
    assert_string_equal(out.data, "-5");
    mailbus_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_of_rfc_4180),
        cmocka_unit_test(test_what_programs_write_besides),
        cmocka_unit_test(test_what_two_readers_could_see_differently_is_refused),
        cmocka_unit_test(test_fields_and_records_are_bounded),
        cmocka_unit_test(test_header_names_the_columns),
        cmocka_unit_test(test_header_that_names_nothing_or_twice_is_refused),
        cmocka_unit_test(test_what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
