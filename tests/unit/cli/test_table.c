/* Rows for people, pipes and spreadsheets: aligned, whole, and harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

static const table_column_t columns[] = {
    {"address", "ADDRESS", 12}, {"count", "COUNT", 8}, {"since", "SINCE", 20},
    {"reason", "REASON", 0},    {NULL, NULL, 0},
};

/* What is printed for pages of rows, each a JSON array; ends with NULL. To be freed. */
static char *print(const table_column_t *of, table_format_t format, const char *const *pages)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    table_t *table = NULL;
    assert_int_equal(table_new(of, format, out, &table, NULL), MAILBUS_OK);
    for (; *pages != NULL; pages++) {
        cJSON *rows = cJSON_Parse(*pages);
        assert_non_null(rows);
        table_rows(table, rows);
        cJSON_Delete(rows);
    }
    table_destroy(&table);
    assert_null(table);
    fclose(out);
    return text;
}

static void expect(table_format_t format, const char *rows, const char *wanted)
{
    const char *const pages[] = {rows, NULL};
    char *text = print(columns, format, pages);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_table_is_as_wide_as_its_rows(void **state)
{
    (void)state;
    expect(TABLE_TEXT,
           "[{\"address\":\"a@example\",\"count\":3,\"since\":\"2026-10-12T11:31:04.5+02:00\","
           "\"reason\":\"a mailbox that is full\"},"
           "{\"address\":\"bb@example\",\"count\":12345,\"since\":null,\"more\":1}]",
           "ADDRESS     COUNT  SINCE                 REASON\n"
           "a@example   3      2026-10-12 09:31:04Z  a mailbox that is full\n"
           "bb@example  12345                        \n");
    expect(TABLE_TEXT, "[]", "ADDRESS  COUNT  SINCE  REASON\n");
}

static void test_longer_cells_are_cut_in_tables_alone(void **state)
{
    (void)state;
    const char *row = "[{\"address\":\"12345678901234\",\"count\":true,\"since\":\"no time\","
                      "\"reason\":[1,2]}]";
    expect(TABLE_TEXT, row,
           "ADDRESS       COUNT  SINCE    REASON\n"
           "12345678901…  true   no time  [1,2]\n");
    expect(TABLE_CSV, row,
           "address,count,since,reason\r\n"
           "12345678901234,true,no time,\"[1,2]\"\r\n");
    expect(
        TABLE_JSON, row,
        "{\"address\":\"12345678901234\",\"count\":true,\"since\":\"no time\",\"reason\":[1,2]}\n");
    expect(TABLE_TEXT, "[{\"address\":\"123456789012\"}]",
           "ADDRESS       COUNT  SINCE  REASON\n"
           "123456789012                \n");
}

/* East Asian characters take two columns of a terminal, combining marks none. */
static void test_columns_stay_aligned_in_all_scripts(void **state)
{
    (void)state;
    expect(TABLE_TEXT,
           "[{\"address\":\"郵便@例\",\"count\":1},{\"address\":\"cafe\\u0301@x\",\"count\":2},"
           "{\"address\":\"plain@x\",\"count\":3}]",
           "ADDRESS  COUNT  SINCE  REASON\n"
           "郵便@例  1             \n"
           "cafe\xcc\x81@x   2             \n"
           "plain@x  3             \n");
    /* A wide one that would stick out by half is left out whole. */
    expect(TABLE_TEXT, "[{\"address\":\"郵便郵便郵便郵便\",\"count\":1}]",
           "ADDRESS       COUNT  SINCE  REASON\n"
           "郵便郵便郵…   1             \n");
}

static void test_later_pages_have_no_head_and_keep_the_columns(void **state)
{
    (void)state;
    const char *const pages[] = {"[{\"address\":\"a@example\",\"count\":1}]",
                                 "[{\"address\":\"b\",\"count\":2}]", NULL};
    char *text = print(columns, TABLE_TEXT, pages);
    assert_string_equal(text, "ADDRESS    COUNT  SINCE  REASON\n"
                              "a@example  1             \n"
                              "b          2             \n");
    free(text);
    text = print(columns, TABLE_CSV, pages);
    assert_string_equal(text, "address,count,since,reason\r\na@example,1,,\r\nb,2,,\r\n");
    free(text);
}

/* ESC, BEL, line breaks, CSI as U+009B, right-to-left override, line separator, DEL. */
#define HOSTILE "a\\u001b[2J\\u0007\\r\\nb\\u009b\\u202e\\u2028c\\u007fd"

static void test_nothing_in_a_row_acts_on_a_terminal(void **state)
{
    (void)state;
    const char *row = "[{\"address\":\"" HOSTILE "\",\"count\":{\"" HOSTILE "\":\"" HOSTILE
                      "\"},\"reason\":\"" HOSTILE "\"}]";
    static const table_format_t formats[] = {TABLE_TEXT, TABLE_CSV, TABLE_JSON};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const char *const pages[] = {row, NULL};
        char *text = print(columns, formats[i], pages);
        size_t lines = 0;
        for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
            bool line_end = *at == '\n' || (*at == '\r' && at[1] == '\n');
            lines += *at == '\n';
            if ((*at < ' ' && !line_end) || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0) ||
                (*at == 0xe2 && at[1] == 0x80 && (at[2] == 0xae || at[2] == 0xa8))) {
                fail_msg("byte %02x in: %s", *at, text);
            }
        }
        assert_int_equal(lines, formats[i] == TABLE_JSON ? 1 : 2);
        free(text);
    }
}

static void test_spreadsheet_runs_nothing(void **state)
{
    (void)state;
    expect(
        TABLE_CSV,
        "[{\"address\":\"=cmd|' /C calc'!A0\",\"count\":-5,\"since\":\"+1,2\","
        "\"reason\":\"@SUM(A1)\"},"
        "{\"address\":\"-5\",\"count\":\"say \\\"hi\\\"\",\"since\":\"a'=b\",\"reason\":\"'=1\"}]",
        "address,count,since,reason\r\n"
        "'=cmd|' /C calc'!A0,-5,\"'+1,2\",'@SUM(A1)\r\n"
        "'-5,\"say \"\"hi\"\"\",a'=b,''=1\r\n");
}

static char *print_object(table_format_t format, const char *json)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    table_t *table = NULL;
    cJSON *object = cJSON_Parse(json);
    assert_int_equal(table_new(columns, format, out, &table, NULL), MAILBUS_OK);
    table_object(table, object);
    cJSON_Delete(object);
    table_destroy(&table);
    fclose(out);
    return text;
}

static void test_object_alone_is_shown_line_by_line(void **state)
{
    (void)state;
    const char *json = "{\"address\":\"somebody@example.com\",\"count\":2,\"since\":"
                       "\"2026-10-12T09:31:04Z\"}";
    char *text = print_object(TABLE_TEXT, json);
    assert_string_equal(text, "ADDRESS  somebody@example.com\n"
                              "COUNT    2\n"
                              "SINCE    2026-10-12 09:31:04Z\n"
                              "REASON   \n");
    free(text);
    text = print_object(TABLE_CSV, json);
    assert_string_equal(text, "address,count,since,reason\r\n"
                              "somebody@example.com,2,2026-10-12T09:31:04Z,\r\n");
    free(text);
    text = print_object(TABLE_JSON, json);
    assert_string_equal(text, "{\"address\":\"somebody@example.com\",\"count\":2,\"since\":"
                              "\"2026-10-12T09:31:04Z\"}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_as_wide_as_its_rows),
        cmocka_unit_test(test_longer_cells_are_cut_in_tables_alone),
        cmocka_unit_test(test_columns_stay_aligned_in_all_scripts),
        cmocka_unit_test(test_later_pages_have_no_head_and_keep_the_columns),
        cmocka_unit_test(test_nothing_in_a_row_acts_on_a_terminal),
        cmocka_unit_test(test_spreadsheet_runs_nothing),
        cmocka_unit_test(test_object_alone_is_shown_line_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
