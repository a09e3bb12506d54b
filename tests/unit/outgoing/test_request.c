/* request.h: what goes to the API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "mails.h"
#include "request.h"

static char name[] = "r", plain[] = "Hi {{sender.name}}: {{subject}}",
            rich[] = "<p>{{sender.name}}</p>";

static void check(const char *members, bool html, const char *expected)
{
    const rule_t rule = {.name = name, .text = plain, .html = html ? rich : NULL};
    agentmail_message_t *message = mail_with(members);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_t again = MAILBUS_BUF_INIT;
    cJSON *json = NULL;
    assert_int_equal(request_render(message, &rule, &out, NULL), MAILBUS_OK);
    assert_string_equal(out.data, expected);
    assert_int_equal(mailbus_json_parse_object(out.data, out.size, &json, NULL), MAILBUS_OK);
    assert_int_equal(request_render(message, &rule, &again, NULL), MAILBUS_OK);
    assert_string_equal(out.data, again.data); /* the same bytes under the same key */
    cJSON_Delete(json);
    mailbus_buf_free(&out);
    mailbus_buf_free(&again);
    agentmail_message_free(&message);
}

#define HEADERS                                                                                    \
    ",\"headers\":{\"Auto-Submitted\":\"auto-replied\",\"X-Auto-Response-Suppress\":\"All\","      \
    "\"Precedence\":\"bulk\"}}"

static void test_answer_says_that_it_is_automatic(void **state)
{
    (void)state;
    check("", false, "{\"to\":[\"jane@example.com\"],\"text\":\"Hi Jane Doe: Question\"" HEADERS);
}

static void test_answer_goes_to_reply_to(void **state)
{
    (void)state;
    check("\"reply_to\":[\"Other <other@example.com>\",\"third@example.com\"]", false,
          "{\"to\":[\"other@example.com\"],\"text\":\"Hi Jane Doe: Question\"" HEADERS);
}

static void test_hostile_values_stay_in_their_place(void **state)
{
    (void)state;
    check("\"from\":{\"name\":\"<b>\\\"x\\\"\",\"email\":\"a@b.c\"},\"subject\":\"a\\r\\nBcc: z\"",
          true,
          "{\"to\":[\"a@b.c\"],\"text\":\"Hi <b>\\\"x\\\": a Bcc: z\","
          "\"html\":\"<p>&lt;b&gt;&quot;x&quot;</p>\"" HEADERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_says_that_it_is_automatic),
        cmocka_unit_test(test_answer_goes_to_reply_to),
        cmocka_unit_test(test_hostile_values_stay_in_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
