/* command.h: what commands read and answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "command.h"
#include "mailbus/json.h"

enum { NOW = 1700000000 };

static const mb_command_bounds_t to_nine = {.least = 2, .most = 9, .otherwise = 50};
static const mb_command_bounds_t on = {
    .least = 1, .most = MB_COMMAND_NUMBER_MAX, .otherwise = INT64_MAX};

/* Answers {"name":…,"count":…}. */
static mailbus_code_t echo(sqlite3 *db, const cJSON *request, int64_t now_ms, mailbus_buf_t *answer,
                           mailbus_error_t *error)
{
    const char *name = "nobody";
    int64_t count = 0;
    assert_null(db);
    assert_int_equal(now_ms, NOW);
    mailbus_code_t code = mb_command_text(request, "name", &name, error);
    if (code == MAILBUS_OK) {
        code = mb_command_number(request, "count", to_nine, &count, error);
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_char(answer, '{');
        mb_command_write_text(answer, "name", name);
        mb_command_write_number(answer, "count", count);
        mailbus_buf_char(answer, '}');
    }
    return code;
}

MB_COMMAND(echo)

static void test_members_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {"{\"name\":\"Jane \\\"J\\\"\",\"count\":2}", "{\"name\":\"Jane \\\"J\\\"\",\"count\":2}"},
        {"{\"name\":\"\",\"count\":9.0}", "{\"name\":\"\",\"count\":9}"},
        {"{}", "{\"name\":null,\"count\":50}"},
        {"{\"name\":null,\"count\":null}", "{\"name\":null,\"count\":50}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_buf_t answer = MAILBUS_BUF_INIT;
        assert_int_equal(
            run_echo(NULL, rows[i].request, strlen(rows[i].request), NOW, &answer, NULL),
            MAILBUS_OK);
        assert_string_equal(answer.data, rows[i].answer);
        mailbus_buf_free(&answer);
    }
}

static void test_what_is_wrong_is_told_with_its_key(void **state)
{
    (void)state;
    static const char number[] = "\"count\" is a whole number from 2 to 9";
    static const struct {
        const char *request, *why;
    } rows[] = {
        {"{\"name\":7}", "\"name\" is a text"},
        {"{\"name\":[\"a\"]}", "\"name\" is a text"},
        {"{\"count\":1}", number},
        {"{\"count\":10}", number},
        {"{\"count\":2.5}", number},
        {"{\"count\":\"3\"}", number},
        {"{\"count\":1e400}", number},
        {"{\"count\":-1e400}", number},
        {"{\"count\":true}", number},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_buf_t answer = MAILBUS_BUF_INIT;
        mailbus_error_t error = {0};
        assert_int_equal(
            run_echo(NULL, rows[i].request, strlen(rows[i].request), NOW, &answer, &error),
            MAILBUS_EINVAL);
        assert_string_equal(error.text, rows[i].why);
        assert_int_equal(answer.size, 0);
    }
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    assert_int_equal(run_echo(NULL, "[]", 2, NOW, &answer, NULL), MAILBUS_EINVAL);
}

static void test_a_number_without_an_upper_bound_is_one_that_readers_agree_on(void **state)
{
    (void)state;
    mailbus_error_t error = {0};
    int64_t number = 0;
    cJSON *tree = cJSON_CreateObject();
    assert_int_equal(mb_command_number(tree, "after", on, &number, NULL), MAILBUS_OK);
    assert_true(number == INT64_MAX);
    cJSON *item = cJSON_AddNumberToObject(tree, "after", 9007199254740992.0);
    assert_int_equal(mb_command_number(tree, "after", on, &number, NULL), MAILBUS_OK);
    assert_true(number == INT64_C(1) << 53);
    cJSON_SetNumberValue(item, 9007199254740994.0);
    assert_int_equal(mb_command_number(tree, "after", on, &number, &error), MAILBUS_EINVAL);
    assert_string_equal(error.text, "\"after\" is a whole number from 1 on");
    cJSON_Delete(tree);
}

static void test_a_tree_is_appended_and_deleted(void **state)
{
    (void)state;
    mailbus_buf_t answer = {.limit = 10};
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddNumberToObject(tree, "a", 1);
    assert_int_equal(mb_command_answer(&tree, &answer, NULL), MAILBUS_OK);
    assert_null(tree);
    assert_string_equal(answer.data, "{\"a\":1}");
    tree = cJSON_CreateObject();
    cJSON_AddNumberToObject(tree, "b", 2);
    assert_int_equal(mb_command_answer(&tree, &answer, NULL), MAILBUS_ETOOBIG);
    assert_null(tree);
    assert_int_equal(mb_command_answer(&tree, &answer, NULL), MAILBUS_ENOMEM);
    mailbus_buf_free(&answer);
}

static void test_members_stand_behind_commas_but_the_first(void **state)
{
    (void)state;
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    mailbus_buf_text(&answer, "{\"rows\":[{");
    mb_command_write_time(&answer, "time", 1700000000123);
    mb_command_write_time(&answer, "until", 0);
    mb_command_write_number(&answer, "count", -3);
    mailbus_buf_text(&answer, "}]");
    mb_command_write_text(&answer, "next", NULL);
    mailbus_buf_char(&answer, '}');
    assert_string_equal(answer.data, "{\"rows\":[{\"time\":\"2023-11-14T22:13:20.123Z\","
                                     "\"until\":null,\"count\":-3}],\"next\":null}");
    mailbus_buf_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_read_and_written),
        cmocka_unit_test(test_what_is_wrong_is_told_with_its_key),
        cmocka_unit_test(test_a_number_without_an_upper_bound_is_one_that_readers_agree_on),
        cmocka_unit_test(test_a_tree_is_appended_and_deleted),
        cmocka_unit_test(test_members_stand_behind_commas_but_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
