#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hostile.h"
#include "mailbus/json.h"

/* Parse text in memory that ends where it ends. */
static mailbus_code_t parse(const char *text, size_t size, mailbus_error_t *error)
{
    char *copy = malloc(size);
    assert_true(copy != NULL || size == 0);
    if (size > 0) {
        memcpy(copy, text, size);
    }
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse(copy, size, &tree, error);
    assert_true((code == MAILBUS_OK) == (tree != NULL));
    cJSON_Delete(tree);
    free(copy);
    return code;
}

static mailbus_code_t parse_text(const char *text)
{
    return parse(text, strlen(text), NULL);
}

static void assert_refused(const char *text, size_t size, const char *why)
{
    mailbus_error_t error;
    if (parse(text, size, &error) != MAILBUS_EINVAL) {
        fail_msg("taken: %.*s", (int)size, text);
    }
    if (strcmp(error.text, why) != 0) {
        fail_msg("%.*s: \"%s\" instead of \"%s\"", (int)size, text, error.text, why);
    }
}

static void test_documents_of_every_kind_are_taken(void **state)
{
    (void)state;
    const char *const documents[] = {
        "{}",
        "[]",
        "\"\"",
        "0",
        "-0",
        "1.5",
        "1e9",
        "1E+9",
        "-1.25e-3",
        "true",
        "false",
        "null",
        " \t\r\n{ \"a\" : [ 1 , { } , [ ] , \"x\" ] }\n",
        "[[[[[]]]]]",
        "{\"\":\"\"}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
        "\"\x7f\"",
        "\"\xc2\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "\"\xef\xbf\xbf\"",
        "\"a string longer than eight bytes, and more\"",
    };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        mailbus_error_t error;
        if (parse(documents[i], strlen(documents[i]), &error) != MAILBUS_OK) {
            fail_msg("%s: %s", documents[i], error.text);
        }
    }
}

static void test_refusals_say_where_and_what(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "not JSON at byte 0: it is empty"},
        {"  ", "not JSON at byte 2: it ends too early"},
        {"{", "not JSON at byte 1: it ends too early"},
        {"{\"a\":1,", "not JSON at byte 7: it ends too early"},
        {"{\"a\"}", "not JSON at byte 4: a colon is missing"},
        {"{\"a\":}", "not JSON at byte 5: a value is missing"},
        {"{\"a\":1,}", "not JSON at byte 7: a key is missing"},
        {"{1:2}", "not JSON at byte 1: a key is missing"},
        {"{,}", "not JSON at byte 1: a key is missing"},
        {"[1,]", "not JSON at byte 3: a value is missing"},
        {"[,1]", "not JSON at byte 1: a value is missing"},
        {"[1 2]", "not JSON at byte 3: a comma or a closing bracket is missing"},
        {"[1}", "not JSON at byte 2: a comma or a closing bracket is missing"},
        {"{\"a\":1]", "not JSON at byte 6: a comma or a closing bracket is missing"},
        {"[}", "not JSON at byte 1: a value is missing"},
        {"]", "not JSON at byte 0: a value is missing"},
        {":", "not JSON at byte 0: a value is missing"},
        {"{}{}", "not JSON at byte 2: something follows the document"},
        {"{} x",
         "not JSON at byte 3: a character stands outside of strings that JSON does not know"},
        {"1 2", "not JSON at byte 2: something follows the document"},
        {"01", "not JSON at byte 1: something follows the document"},
        {"[01]", "not JSON at byte 2: a comma or a closing bracket is missing"},
        {"-", "not JSON at byte 1: a number is malformed"},
        {"[-]", "not JSON at byte 2: a number is malformed"},
        {"1.", "not JSON at byte 2: a number is malformed"},
        {"1.e5", "not JSON at byte 2: a number is malformed"},
        {"1e", "not JSON at byte 2: a number is malformed"},
        {"1e+", "not JSON at byte 3: a number is malformed"},
        {"+1", "not JSON at byte 0: a character stands outside of strings that JSON does not know"},
        {".5", "not JSON at byte 0: a character stands outside of strings that JSON does not know"},
        {"NaN",
         "not JSON at byte 0: a character stands outside of strings that JSON does not know"},
        {"tru", "not JSON at byte 0: a word stands there that JSON does not know"},
        {"True",
         "not JSON at byte 0: a character stands outside of strings that JSON does not know"},
        {"nulL", "not JSON at byte 0: a word stands there that JSON does not know"},
        {"truefalse", "not JSON at byte 4: something follows the document"},
        {"\"", "not JSON at byte 1: a string has no end"},
        {"\"a", "not JSON at byte 2: a string has no end"},
        {"\"\\", "not JSON at byte 1: an escape is malformed"},
        {"\"\\\"", "not JSON at byte 3: a string has no end"},
        {"\"\\x41\"", "not JSON at byte 1: an escape is malformed"},
        {"\"\\u12\"", "not JSON at byte 1: a \\u escape is malformed"},
        {"\"\\u12g4\"", "not JSON at byte 1: a \\u escape is malformed"},
        {"\"\\u0000\"", "not JSON at byte 1: \\u0000 is not allowed"},
        {"\"\\ud800\"", "not JSON at byte 1: a surrogate has no partner"},
        {"\"\\ud800\\u0041\"", "not JSON at byte 1: a surrogate has no partner"},
        {"\"\\udc00\\ud800\"", "not JSON at byte 1: a surrogate has no partner"},
        {"\"abcdefghijk\n\"", "not JSON at byte 12: a control character stands in a string"},
        {"\"\x1f\"", "not JSON at byte 1: a control character stands in a string"},
        {"\"\xff\"", "not JSON at byte 1: a string is not UTF-8"},
        {"\"\xc0\xaf\"", "not JSON at byte 1: a string is not UTF-8"},
        {"\"\xc3\"", "not JSON at byte 1: a string is not UTF-8"},
        {"\xef\xbb\xbf{}",
         "not JSON at byte 0: a character stands outside of strings that JSON does not know"},
        {"{}\x7f",
         "not JSON at byte 2: a character stands outside of strings that JSON does not know"},
        {"{}\f",
         "not JSON at byte 2: a character stands outside of strings that JSON does not know"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].why);
    }
    assert_refused("{}", 3,
                   "not JSON at byte 2: a character stands outside of strings that JSON does not "
                   "know"); /* the NUL */
    assert_refused("\"a\0b\"", 5, "not JSON at byte 2: a control character stands in a string");
}

static void test_control_characters_are_found_wherever_they_stand(void **state)
{
    (void)state;
    char text[40];
    for (size_t length = 1; length < 30; length++) {
        for (size_t at = 1; at <= length; at++) {
            for (int c = 0; c < 256; c++) {
                memset(text, 'x', sizeof text);
                text[0] = '"';
                text[length + 1] = '"';
                text[at] = (char)c;
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                assert_int_equal(parse(text, length + 2, NULL),
                                 plain ? MAILBUS_OK : MAILBUS_EINVAL);
            }
        }
    }
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * MAILBUS_JSON_MAX_DEPTH + 4];
    for (size_t depth = 1; depth <= MAILBUS_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(parse(text, 2 * depth, NULL),
                         depth <= MAILBUS_JSON_MAX_DEPTH ? MAILBUS_OK : MAILBUS_EINVAL);
    }
}

static void test_kinds_of_brackets_are_told_apart_at_every_depth(void **state)
{
    (void)state;
    /* Alternating levels, then one wrong closing bracket at each place. */
    char text[8 * MAILBUS_JSON_MAX_DEPTH];
    size_t size = 0;
    for (int depth = 0; depth < MAILBUS_JSON_MAX_DEPTH; depth++) {
        const char *open = depth % 2 == 0 ? "{\"k\":" : "[";
        memcpy(text + size, open, strlen(open));
        size += strlen(open);
    }
    text[size++] = '1';
    const size_t closing = size;
    for (int depth = MAILBUS_JSON_MAX_DEPTH - 1; depth >= 0; depth--) {
        text[size++] = depth % 2 == 0 ? '}' : ']';
    }
    assert_int_equal(parse(text, size, NULL), MAILBUS_OK);
    for (size_t at = closing; at < size; at++) {
        const char right = text[at];
        text[at] = right == '}' ? ']' : '}';
        assert_int_equal(parse(text, size, NULL), MAILBUS_EINVAL);
        text[at] = right;
    }
}

static void test_numbers_that_cjson_would_cut_are_refused(void **state)
{
    (void)state;
    char text[80] = "1";
    memset(text + 1, '0', 70);
    assert_int_equal(parse(text, 63, NULL), MAILBUS_OK);
    assert_int_equal(parse(text, 64, NULL), MAILBUS_EINVAL);
}

static bool decode_any(void *arg, const char *data, size_t size)
{
    (void)arg;
    cJSON *tree = NULL;
    bool taken = mailbus_json_parse_object(data, size, &tree, NULL) == MAILBUS_OK;
    cJSON_Delete(tree);
    return taken;
}

static void test_damaged_documents_do_not_crash(void **state)
{
    (void)state;
    const char text[] =
        "{\"a\":[1,-2.5e3,true,null],\"\\u00e9\":{\"b\":\"\xc3\xa9\\ud83d\\ude00\"}}";
    const size_t size = sizeof text - 1;
    assert_true(decode_any(NULL, text, size));
    assert_int_equal(hostile_truncations(text, size, decode_any, NULL), 0);
    assert_true(hostile_changes(text, size, decode_any, NULL) < size * 255);
    assert_true(hostile_shifts(text, size, decode_any, NULL) < size * 2);
    hostile_tokens(200000, decode_any, NULL);
}

/* What the scan takes, cJSON takes: then NULL from cJSON means that there was no memory. */
static bool decode_both(void *arg, const char *data, size_t size)
{
    (void)arg;
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse(data, size, &tree, NULL);
    assert_int_not_equal(code, MAILBUS_ENOMEM);
    cJSON_Delete(tree);
    return code == MAILBUS_OK;
}

static void test_cjson_takes_whatever_the_grammar_takes(void **state)
{
    (void)state;
    const char text[] = "[0.1e-7,{\"a\":\"\\b\"},[],\"\\ud83d\\ude00\",false,{}]";
    hostile_changes(text, sizeof text - 1, decode_both, NULL);
    hostile_shifts(text, sizeof text - 1, decode_both, NULL);
    hostile_tokens(200000, decode_both, NULL);
}

static void test_an_object_has_each_key_once(void **state)
{
    (void)state;
    mailbus_error_t error;
    cJSON *tree = NULL;
    const char *const bad[] = {"{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"\\u0061\":3}",
                               "{\"\":1,\"\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mailbus_json_parse_object(bad[i], strlen(bad[i]), &tree, &error),
                         MAILBUS_EINVAL);
        assert_string_equal(error.text, "the object has the same key twice");
    }
    const char good[] = "{\"a\":{\"x\":1},\"A\":{\"x\":1}}";
    assert_int_equal(mailbus_json_parse_object(good, strlen(good), &tree, NULL), MAILBUS_OK);
    assert_null(mailbus_json_item(tree, "x"));
    assert_null(mailbus_json_string(tree, "a"));
    cJSON_Delete(tree);
    tree = NULL;
    assert_int_equal(mailbus_json_parse_object("[]", 2, &tree, &error), MAILBUS_EINVAL);
    assert_string_equal(error.text, "not a JSON object");
    assert_null(tree);
}

/* `count` keys, and one of them (from 0) repeated at the end where it is below `count`. */
static mailbus_code_t parse_many(size_t count, size_t repeated)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        mailbus_buf_printf(&text, "%c\"key%zu\":0", i == 0 ? '{' : ',', i * 7919 % count);
    }
    if (repeated < count) {
        mailbus_buf_printf(&text, ",\"key%zu\":1", repeated);
    }
    mailbus_buf_char(&text, '}');
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(text.data, text.size, &tree, NULL);
    cJSON_Delete(tree);
    mailbus_buf_free(&text);
    return code;
}

static void test_repeated_keys_are_found_among_any_number(void **state)
{
    (void)state;
    for (size_t count = 2; count < 80; count++) {
        assert_int_equal(parse_many(count, count), MAILBUS_OK);
        assert_int_equal(parse_many(count, 0), MAILBUS_EINVAL);
        assert_int_equal(parse_many(count, count / 2), MAILBUS_EINVAL);
        assert_int_equal(parse_many(count, count - 1), MAILBUS_EINVAL);
    }
    assert_int_equal(parse_many(1000, 1000), MAILBUS_OK);
    assert_int_equal(parse_many(1001, 1001), MAILBUS_ETOOBIG);
    assert_int_equal(parse_many(200000, 200000), MAILBUS_ETOOBIG);
}

static void test_keys_are_compared_with_case(void **state)
{
    (void)state;
    cJSON *tree = NULL;
    const char text[] = "{\"TYPE\":\"evil\",\"type\":\"good\",\"n\":1}";
    assert_int_equal(mailbus_json_parse_object(text, strlen(text), &tree, NULL), MAILBUS_OK);
    assert_string_equal(mailbus_json_string(tree, "type"), "good");
    assert_null(mailbus_json_string(tree, "Type"));
    assert_null(mailbus_json_string(tree, "n"));
    assert_true(cJSON_IsNumber(mailbus_json_item(tree, "n")));
    cJSON_Delete(tree);
}

static void test_written_strings_read_back_the_same(void **state)
{
    (void)state;
    char text[0x80];
    for (int c = 1; c < 0x80; c++) {
        text[c - 1] = (char)c;
    }
    memcpy(text + 0x7f - 3, "\xe2\x82\xac", 3);
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    for (size_t from = 0; from < 0x7f - 3; from++) {
        mailbus_buf_clear(&json);
        mailbus_json_write_string(&json, text + from, 0x7f - from);
        cJSON *tree = NULL;
        assert_int_equal(mailbus_json_parse(json.data, json.size, &tree, NULL), MAILBUS_OK);
        assert_int_equal(strlen(tree->valuestring), 0x7f - from);
        assert_memory_equal(tree->valuestring, text + from, 0x7f - from);
        cJSON_Delete(tree);
    }
    mailbus_buf_clear(&json);
    mailbus_json_write_string(&json, "", 0);
    assert_string_equal(json.data, "\"\"");
    mailbus_buf_clear(&json);
    mailbus_json_write_string(&json, "a\"b\\c\nd\x7f\0e/<é>", 15);
    assert_string_equal(json.data, "\"a\\\"b\\\\c\\u000ad\\u007f\\u0000e/<é>\"");
    mailbus_buf_free(&json);
}

/* Every sequence of up to four bytes from the edges of RFC 3629's table, against its grammar. */
static bool by_the_grammar(const unsigned char *s, size_t size)
{
    size_t at = 0;
    while (at < size) {
        const unsigned char a = s[at];
        const size_t left = size - at;
        unsigned long code;
        size_t length = a < 0x80 ? 1 : (a & 0xe0) == 0xc0 ? 2 : (a & 0xf0) == 0xe0 ? 3 : 4;
        if (length == 4 && (a & 0xf8) != 0xf0) {
            return false;
        }
        if (length > left) {
            return false;
        }
        code = length == 1 ? a : length == 2 ? a & 0x1fu : length == 3 ? a & 0x0fu : a & 0x07u;
        for (size_t i = 1; i < length; i++) {
            if ((s[at + i] & 0xc0) != 0x80) {
                return false;
            }
            code = code << 6 | (s[at + i] & 0x3fu);
        }
        static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
            return false;
        }
        at += length;
    }
    return true;
}

static void test_utf8_is_exactly_what_rfc_3629_says(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                          0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    enum { N = sizeof edges };
    unsigned char text[4 + 8];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
        text[0] = edges[i % N];
        text[1] = edges[i / N % N];
        text[2] = edges[i / N / N % N];
        text[3] = edges[i / N / N / N];
        for (size_t size = 1; size <= 4; size++) {
            assert_int_equal(mailbus_utf8_valid((const char *)text, size),
                             by_the_grammar(text, size));
        }
        /* The same in front of and behind what is skipped eight bytes at a time. */
        assert_int_equal(mailbus_utf8_valid((const char *)text, 12), by_the_grammar(text, 12));
    }
    assert_true(mailbus_utf8_valid("", 0));
    assert_true(mailbus_utf8_valid(NULL, 0));
    assert_false(mailbus_utf8_valid("12345678\xc3", 9));
}

static void test_parsing_text_that_fills_many_sizes(void **state)
{
    (void)state;
    char text[64];
    for (size_t size = 2; size < sizeof text; size++) {
        memset(text, 'a', size);
        text[0] = text[size - 1] = '"';
        assert_int_equal(parse(text, size, NULL), MAILBUS_OK);
        assert_int_equal(parse(text, size - 1, NULL), MAILBUS_EINVAL);
    }
    assert_int_equal(parse_text("[]"), MAILBUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_of_every_kind_are_taken),
        cmocka_unit_test(test_refusals_say_where_and_what),
        cmocka_unit_test(test_control_characters_are_found_wherever_they_stand),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_kinds_of_brackets_are_told_apart_at_every_depth),
        cmocka_unit_test(test_numbers_that_cjson_would_cut_are_refused),
        cmocka_unit_test(test_damaged_documents_do_not_crash),
        cmocka_unit_test(test_cjson_takes_whatever_the_grammar_takes),
        cmocka_unit_test(test_an_object_has_each_key_once),
        cmocka_unit_test(test_repeated_keys_are_found_among_any_number),
        cmocka_unit_test(test_keys_are_compared_with_case),
        cmocka_unit_test(test_written_strings_read_back_the_same),
        cmocka_unit_test(test_utf8_is_exactly_what_rfc_3629_says),
        cmocka_unit_test(test_parsing_text_that_fills_many_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
