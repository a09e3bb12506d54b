/* template.h: what strangers write never gets out of its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "template.h"

static void check(const char *text, bool html, const template_values_t *values,
                  const char *expected)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    assert_int_equal(template_check(text, NULL), MAILBUS_OK);
    template_render(text, html, values, &out);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    mailbus_buf_free(&out);
}

static const template_values_t jane = {"Jane Doe", "jane@example.com", "A <b> & \"c\"'s",
                                       "support@agentmail.to"};

static void test_placeholders_are_filled(void **state)
{
    (void)state;
    check("Hi {{sender.name}} <{{sender.address}}>, {{ subject }} to {{inbox}}.", false, &jane,
          "Hi Jane Doe <jane@example.com>, A <b> & \"c\"'s to support@agentmail.to.");
    check("", false, &jane, "");
    check("{{subject}}{{subject}}", false, &jane, "A <b> & \"c\"'sA <b> & \"c\"'s");
    check("{ {single} } }} %s %n", false, &jane, "{ {single} } }} %s %n");
}

static void test_values_are_escaped_in_html(void **state)
{
    (void)state;
    check("<p title=\"{{subject}}\">&amp;</p>", true, &jane,
          "<p title=\"A &lt;b&gt; &amp; &quot;c&quot;&#39;s\">&amp;</p>");
}

static void test_values_are_not_templates(void **state)
{
    (void)state;
    const template_values_t values = {"{{inbox}}", "a@b.c", "{{subject}}", "i@x"};
    check("{{sender.name}} {{subject}}", false, &values, "{{inbox}} {{subject}}");
}

static void test_without_a_name_the_address_stands_there(void **state)
{
    (void)state;
    const template_values_t values = {"", "a@b.c", "", "i@x"};
    check("Hi {{sender.name}}, '{{subject}}'", false, &values, "Hi a@b.c, ''");
}

static void test_values_are_one_short_line(void **state)
{
    (void)state;
    char name[1000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const template_values_t values = {name, "a@b.c", "a\r\nBcc: x@y.z\x1b[2J", "i@x"};
    check("{{subject}}", false, &values, "a Bcc: x@y.z [2J");
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    template_render("{{sender.name}}", false, &values, &out);
    assert_int_equal(out.size, TEMPLATE_VALUE_MAX);
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
        assert_int_equal(template_check(bad[i], &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, "no placeholder"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placeholders_are_filled),
        cmocka_unit_test(test_values_are_escaped_in_html),
        cmocka_unit_test(test_values_are_not_templates),
        cmocka_unit_test(test_without_a_name_the_address_stands_there),
        cmocka_unit_test(test_values_are_one_short_line),
        cmocka_unit_test(test_unknown_placeholders_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
