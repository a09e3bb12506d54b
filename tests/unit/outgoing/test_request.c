/* outgoing/request.h: what goes to the API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "outgoing/request.h"

static void check(const outgoing_mail_t *mail, const char *to, const char *expected)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_t again = MAILBUS_BUF_INIT;
    cJSON *json = NULL;
    assert_int_equal(request_render("support@agentmail.to", to, mail, &out, NULL), MAILBUS_OK);
    assert_string_equal(out.data, expected);
    assert_int_equal(mailbus_json_parse_object(out.data, out.size, &json, NULL), MAILBUS_OK);
    assert_int_equal(request_render("support@agentmail.to", to, mail, &again, NULL), MAILBUS_OK);
    assert_string_equal(out.data, again.data); /* the same bytes under the same key */
    cJSON_Delete(json);
    mailbus_buf_free(&out);
    mailbus_buf_free(&again);
}

#define HEADERS                                                                                    \
    ",\"headers\":{\"Auto-Submitted\":\"auto-replied\",\"X-Auto-Response-Suppress\":\"All\","      \
    "\"Precedence\":\"bulk\"}}"

static void test_answer_says_that_it_is_automatic(void **state)
{
    (void)state;
    check(&(outgoing_mail_t){.kind = OUTGOING_REPLY, .text = "Hi\n\"you\""}, "jane@example.com",
          "{\"to\":[\"jane@example.com\"],\"text\":\"Hi\\u000a\\\"you\\\"\"" HEADERS);
    check(&(outgoing_mail_t){.kind = OUTGOING_REPLY, .text = "Hi", .html = "<p>Hi</p>"},
          "jane@example.com",
          "{\"to\":[\"jane@example.com\"],\"text\":\"Hi\",\"html\":\"<p>Hi</p>\"" HEADERS);
}

static void test_forward_is_marked_with_the_inbox(void **state)
{
    (void)state;
    check(&(outgoing_mail_t){.kind = OUTGOING_FORWARD, .text = "FYI"}, "team@corp.example",
          "{\"to\":[\"team@corp.example\"],\"text\":\"FYI\",\"headers\":{"
          "\"Auto-Submitted\":\"auto-generated\",\"X-Auto-Response-Suppress\":\"All\","
          "\"X-Loop\":\"support@agentmail.to\"}}");
}

static void test_what_is_no_utf8_is_refused(void **state)
{
    (void)state;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    outgoing_mail_t mail = {.kind = OUTGOING_REPLY, .text = "\xff"};
    assert_int_equal(request_render("a@b.c", "d@e.f", &mail, &out, NULL), MAILBUS_EINVAL);
    mail = (outgoing_mail_t){.kind = OUTGOING_REPLY, .text = "x", .html = "\xc3"};
    assert_int_equal(request_render("a@b.c", "d@e.f", &mail, &out, NULL), MAILBUS_EINVAL);
    mailbus_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_says_that_it_is_automatic),
        cmocka_unit_test(test_forward_is_marked_with_the_inbox),
        cmocka_unit_test(test_what_is_no_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
