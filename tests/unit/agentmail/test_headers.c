/* agentmail/headers.h: the event's form and raw messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/headers.h"

static mailbus_code_t parse(const char *text, agentmail_headers_t *headers)
{
    return agentmail_headers_parse(text, strlen(text), headers, NULL);
}

static void test_block_ends_at_the_first_empty_line(void **state)
{
    (void)state;
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    assert_int_equal(parse("A: 1\r\nb:2\r\n\r\nAuto-Submitted: auto-replied\r\n", &headers),
                     MAILBUS_OK);
    assert_int_equal(headers.count, 2);
    assert_string_equal(agentmail_headers_get(&headers, "a"), "1");
    assert_string_equal(agentmail_headers_get(&headers, "B"), "2");
    assert_null(agentmail_headers_get(&headers, "Auto-Submitted"));
    agentmail_headers_free(&headers);
}

static void test_folded_lines_are_joined(void **state)
{
    (void)state;
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    assert_int_equal(parse("Auto-Submitted:\r\n auto-\r\n\treplied\r\nX: y\n z\n\nbody", &headers),
                     MAILBUS_OK);
    assert_string_equal(agentmail_headers_get(&headers, "Auto-Submitted"), "auto- replied");
    assert_string_equal(agentmail_headers_get(&headers, "X"), "y z");
    agentmail_headers_free(&headers);
}

static void test_all_fields_of_one_name_are_found(void **state)
{
    (void)state;
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    size_t at = 0;
    assert_int_equal(parse("P: 1\nQ: x\np: 2\n\n", &headers), MAILBUS_OK);
    assert_string_equal(agentmail_headers_next(&headers, "P", &at), "1");
    assert_string_equal(agentmail_headers_next(&headers, "P", &at), "2");
    assert_null(agentmail_headers_next(&headers, "P", &at));
    agentmail_headers_free(&headers);
}

static void test_obsolete_blank_before_the_colon_and_mbox_line(void **state)
{
    (void)state;
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    assert_int_equal(parse("From jane Mon Oct 12\nPrecedence : bulk\n\n", &headers), MAILBUS_OK);
    assert_int_equal(headers.count, 1);
    assert_string_equal(agentmail_headers_get(&headers, "Precedence"), "bulk");
    agentmail_headers_free(&headers);
}

static void test_half_a_header_is_not_judged(void **state)
{
    (void)state;
    const char *broken[] = {"",
                            "A: 1",
                            "A: 1\r\n",
                            "A: 1\n b",
                            "no colon\n\n",
                            ": empty\n\n",
                            " folded first\n\n",
                            "A B: c\n\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
        if (parse(broken[i], &headers) != MAILBUS_EINVAL) {
            fail_msg("taken: %s", broken[i]);
        }
        agentmail_headers_free(&headers);
    }
}

static void test_too_many_fields_are_refused(void **state)
{
    (void)state;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    for (int i = 0; i <= AGENTMAIL_HEADERS_MAX; i++) {
        mailbus_buf_text(&text, "A: 1\n");
    }
    mailbus_buf_text(&text, "\n");
    assert_int_equal(agentmail_headers_parse(text.data, text.size, &headers, NULL),
                     MAILBUS_ETOOBIG);
    agentmail_headers_free(&headers);
    mailbus_buf_free(&text);
}

static void test_json_forms(void **state)
{
    (void)state;
    const char *forms[] = {
        "{\"Precedence\":\"bulk\",\"Received\":[\"a\",\"b\"]}",
        "[{\"name\":\"Precedence\",\"value\":\"bulk\"},{\"name\":\"Received\",\"value\":\"a\"},"
        "{\"name\":\"Received\",\"value\":\"b\"}]"};
    for (size_t i = 0; i < 2; i++) {
        agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
        cJSON *item = cJSON_Parse(forms[i]);
        size_t at = 0;
        assert_int_equal(agentmail_headers_read(item, &headers, NULL), MAILBUS_OK);
        assert_string_equal(agentmail_headers_get(&headers, "precedence"), "bulk");
        assert_string_equal(agentmail_headers_next(&headers, "received", &at), "a");
        assert_string_equal(agentmail_headers_next(&headers, "received", &at), "b");
        agentmail_headers_free(&headers);
        cJSON_Delete(item);
    }
}

static void test_json_of_wrong_types(void **state)
{
    (void)state;
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    cJSON *item = cJSON_Parse("{\"List-Id\":5,\"X-Loop\":[],\"X\":\"a\\r\\nY: b\"}");
    assert_int_equal(agentmail_headers_read(item, &headers, NULL), MAILBUS_OK);
    assert_string_equal(agentmail_headers_get(&headers, "List-Id"), ""); /* present all the same */
    assert_string_equal(agentmail_headers_get(&headers, "X-Loop"), "");
    assert_string_equal(agentmail_headers_get(&headers, "X"), "a Y: b");
    agentmail_headers_free(&headers);
    cJSON_Delete(item);
    item = cJSON_Parse("\"text\"");
    assert_int_equal(agentmail_headers_read(item, &headers, NULL), MAILBUS_EINVAL);
    cJSON_Delete(item);
    item = cJSON_Parse("[{\"value\":\"x\"}]");
    assert_int_equal(agentmail_headers_read(item, &headers, NULL), MAILBUS_EINVAL);
    cJSON_Delete(item);
    agentmail_headers_free(&headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_ends_at_the_first_empty_line),
        cmocka_unit_test(test_folded_lines_are_joined),
        cmocka_unit_test(test_all_fields_of_one_name_are_found),
        cmocka_unit_test(test_obsolete_blank_before_the_colon_and_mbox_line),
        cmocka_unit_test(test_half_a_header_is_not_judged),
        cmocka_unit_test(test_too_many_fields_are_refused),
        cmocka_unit_test(test_json_forms),
        cmocka_unit_test(test_json_of_wrong_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
