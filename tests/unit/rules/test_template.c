/* rules/template.h: what strangers write never gets out of its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mails.h"
#include "rules/template.h"

/* The template filled in for a mail from `name` about `subject`. */
static void check_mail(const char *text, bool html, const char *from, const char *subject,
                       const char *expected)
{
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    template_value_t values[TEMPLATE_MAIL_VALUES + 1];
    mailbus_buf_printf(&json, "\"from\":%s,\"subject\":%s", from, subject);
    agentmail_message_t *message = mail_with(json.data);
    assert_int_equal(template_check_mail(text, NULL), MAILBUS_OK);
    template_mail_values(message, values);
    template_render(text, html, values, &out);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    agentmail_message_free(&message);
    mailbus_buf_free(&json);
    mailbus_buf_free(&out);
}

static void check(const char *text, bool html, const char *expected)
{
    check_mail(text, html, "\"Jane Doe <jane@example.com>\"", "\"A <b> & \\\"c\\\"'s\"", expected);
}

static void test_placeholders_are_filled(void **state)
{
    (void)state;
    check("Hi {{sender.name}} <{{sender.address}}>, {{ subject }} to {{inbox}}.", false,
          "Hi Jane Doe <jane@example.com>, A <b> & \"c\"'s to support@agentmail.to.");
    check("", false, "");
    check("{{subject}}{{subject}}", false, "A <b> & \"c\"'sA <b> & \"c\"'s");
    check("{ {single} } }} %s %n", false, "{ {single} } }} %s %n");
}

static void test_values_are_escaped_in_html(void **state)
{
    (void)state;
    check("<p title=\"{{subject}}\">&amp;</p>", true,
          "<p title=\"A &lt;b&gt; &amp; &quot;c&quot;&#39;s\">&amp;</p>");
}

static void test_values_are_not_templates(void **state)
{
    (void)state;
    check_mail("{{sender.name}} {{subject}}", false, "\"\\\"{{inbox}}\\\" <a@b.c>\"",
               "\"{{subject}}\"", "{{inbox}} {{subject}}");
}

static void test_without_a_name_the_address_stands_there(void **state)
{
    (void)state;
    check_mail("Hi {{sender.name}}, '{{subject}}'", false, "\"a@b.c\"", "\"\"", "Hi a@b.c, ''");
    check_mail("Hi {{sender.name}}, '{{subject}}'", false, "null", "null", "Hi , ''");
}

static void test_values_are_one_short_line(void **state)
{
    (void)state;
    char name[1000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    check_mail("{{subject}}", false, "\"a@b.c\"", "\"a\\r\\nBcc: x@y.z\\u001b[2J\"",
               "a Bcc: x@y.z [2J");
    const template_value_t values[] = {
        {.name = "a", .value = name}, {.name = "b", .value = name, .max = 300}, {.name = NULL}};
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    template_render("{{a}}", false, values, &out);
    assert_int_equal(out.size, TEMPLATE_VALUE_MAX);
    template_render("{{b}}", false, values, &out);
    assert_int_equal(out.size, TEMPLATE_VALUE_MAX + 300);
    mailbus_buf_free(&out);
}

static void test_texts_of_lines_keep_them(void **state)
{
    (void)state;
    static const char *const names[] = {"text", NULL};
    const template_value_t values[] = {
        {.name = "text", .value = "a <b>\n\tc \xc3\xa4\xc3\xb6", .max = 12, .lines = true},
        {.name = NULL}};
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    assert_int_equal(template_check("[{{text}}]", names, NULL), MAILBUS_OK);
    template_render("[{{text}}]", false, values, &out);
    template_render("[{{text}}]", true, values, &out);
    assert_string_equal(out.data, "[a <b>\n\tc \xc3\xa4]"
                                  "[a &lt;b&gt;<br>\n\tc \xc3\xa4]");
    mailbus_buf_free(&out);
}

static void test_unknown_placeholders_are_named(void **state)
{
    (void)state;
    const char *bad[] = {
        "{{name}}",         "x {{", "{{subject", "{{}}", "{{Subject}}", "{{subject}} {{oops}}",
        "{{sender.name\n}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mailbus_error_t error = {0};
        assert_int_equal(template_check_mail(bad[i], &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, "no placeholder; known are {{sender.name}}, "));
        assert_non_null(strstr(error.text, "{{subject}} and {{inbox}}"));
    }
    assert_int_equal(template_check_mail("\xff", NULL), MAILBUS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placeholders_are_filled),
        cmocka_unit_test(test_values_are_escaped_in_html),
        cmocka_unit_test(test_values_are_not_templates),
        cmocka_unit_test(test_without_a_name_the_address_stands_there),
        cmocka_unit_test(test_values_are_one_short_line),
        cmocka_unit_test(test_texts_of_lines_keep_them),
        cmocka_unit_test(test_unknown_placeholders_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
