/* agentmail/address.h: every form that occurs, and nothing that hides something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/address.h"

/* The list as "name|address;…". */
static char *listed(const agentmail_addresses_t *list)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    for (size_t i = 0; i < list->count; i++) {
        mailbus_buf_printf(&out, "%s%s|%s", i == 0 ? "" : ";", list->items[i].name,
                           list->items[i].address);
    }
    return mailbus_buf_take(&out, NULL);
}

static void check_parse(const char *text, const char *expected)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_error_t error = {0};
    mailbus_code_t code = agentmail_address_parse(text, strlen(text), &list, &error);
    if (expected == NULL) {
        if (code != MAILBUS_EINVAL || list.count != 0) {
            fail_msg("taken, and should not be: %s", text);
        }
        assert_string_not_equal(error.text, "");
    } else {
        if (code != MAILBUS_OK) {
            fail_msg("%s: %s", text, error.text);
        }
        char *found = listed(&list);
        assert_string_equal(found, expected);
        free(found);
    }
    agentmail_addresses_free(&list);
}

static void test_forms_of_the_service(void **state)
{
    (void)state;
    check_parse("a@b.com", "|a@b.com");
    check_parse("<a@b.com>", "|a@b.com");
    check_parse("Priya Shah <priya@example.com>", "Priya Shah|priya@example.com");
    check_parse("", "");
    check_parse("   ", "");
    check_parse("Doe, Jane <jane@example.com>", "Doe, Jane|jane@example.com");
    check_parse("Jane [Sales] @ Shop <jane@example.com>", "Jane [Sales] @ Shop|jane@example.com");
}

static void test_quotes(void **state)
{
    (void)state;
    check_parse("\"Doe, Jane\" <jane@example.com>", "Doe, Jane|jane@example.com");
    check_parse("\"a \\\"b\\\" \\\\c\" <x@y.org>", "a \"b\" \\c|x@y.org");
    check_parse("\"joe\"@example.com", "|joe@example.com");
    check_parse("\"a b\"@example.com", "|\"a b\"@example.com");
    check_parse("\"a@evil.org\" <b@good.org>", "a@evil.org|b@good.org");
    check_parse("\"a@evil.org\"@good.org", "|\"a@evil.org\"@good.org");
    check_parse("\"never closed <a@b.c>", "\"never closed|a@b.c");
    check_parse("\"never closed", NULL);
    check_parse("\"\"@example.com", NULL);
    check_parse("\"ends in a backslash\\", NULL);
}

static void test_comments(void **state)
{
    (void)state;
    check_parse("jane@example.com (Jane Doe)", "|jane@example.com");
    check_parse("(a (nested) one) Jane (x) Doe <jane (y) @ (z) example.com>",
                "Jane Doe|jane@example.com");
    check_parse("(<evil@x.org>) Jane <jane@example.com>", "Jane|jane@example.com");
    check_parse("(\\) still) a@b.c", "|a@b.c");
    check_parse("a@b.c (never closed", NULL);
    check_parse("((((((((((((((((((((deep)))))))))))))))))))) a@b.c", NULL);
}

static void test_lists_and_groups(void **state)
{
    (void)state;
    check_parse("a@b.c, D E <d@e.f>", "|a@b.c;D E|d@e.f");
    check_parse(",a@b.c,,d@e.f,", "|a@b.c;|d@e.f");
    check_parse("undisclosed-recipients:;", "");
    check_parse("Team: a@b.c, \"X\" <d@e.f>;", "|a@b.c;X|d@e.f");
    check_parse("Team: a@b.c;, z@z.z", "|a@b.c;|z@z.z");
    check_parse("Team: a@b.c", NULL);
    check_parse("a@b.c d@e.f", NULL);
    check_parse("a@b.c; d@e.f", NULL);
}

static void test_two_readers_never_see_two_senders(void **state)
{
    (void)state;
    check_parse("x@y.z> <a@b.c>", NULL);
    check_parse("<x@y.z> <a@b.c>", NULL);
    check_parse("<<a@b.c>>", NULL);
    check_parse("@x.y:a@b.c", NULL);
    check_parse("<@route.org:a@b.c>", NULL);
    check_parse("a@b@c.d", NULL);
}

static void test_injection_is_refused(void **state)
{
    (void)state;
    check_parse("a@b.c\r\nBcc: d@e.f", NULL);
    check_parse("\"x\r\nBcc: d@e.f\" <a@b.c>", NULL);
    check_parse("a@b.c\n", NULL);
    check_parse("a\x01@b.c", NULL);
    check_parse("a\x7f@b.c", NULL);
    check_parse("\xC2\x85 <a\xC2\x85@b.c>", NULL);
    check_parse("a\xE2\x80\xAE@b.c", NULL);
    check_parse("a\xFF@b.c", NULL);
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    assert_int_equal(agentmail_address_parse("a@b.c\0x", 7, &list, NULL), MAILBUS_EINVAL);
}

static void test_names_are_one_clean_line(void **state)
{
    (void)state;
    check_parse("\"a\t\t b\" <a@b.c>", "a b|a@b.c");
    check_parse("\"x\xE2\x80\xAEy\" <a@b.c>", "x y|a@b.c");
}

static void test_international_addresses(void **state)
{
    (void)state;
    check_parse("用户@例え.jp", "|用户@例え.jp");
    check_parse("Jörg <jörg@müller.example>", "Jörg|jörg@müller.example");
    check_parse("a@xn--mller-kva.example", "|a@xn--mller-kva.example");
}

static void test_domains(void **state)
{
    (void)state;
    check_parse("a@localhost", "|a@localhost");
    check_parse("a@[192.0.2.1]", "|a@[192.0.2.1]");
    check_parse("a@[IPv6:2001:db8::1]", "|a@[IPv6:2001:db8::1]");
    check_parse("a@", NULL);
    check_parse("@b", NULL);
    check_parse("a@.b", NULL);
    check_parse("a@b.", NULL);
    check_parse("a@b..c", NULL);
    check_parse("a@-b.c", NULL);
    check_parse("a@b-.c", NULL);
    check_parse("a@[]", NULL);
    check_parse("a@[1.2", NULL);
    check_parse("a@b_c", NULL);
    check_parse(".a@b.c", NULL);
    check_parse("a..b@b.c", NULL);
    check_parse("nonsense", NULL);
    check_parse("<>", NULL);
    check_parse("MAILER-DAEMON <>", NULL);
}

static char *repeated(const char *before, char c, size_t count, const char *after)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, before);
    for (size_t i = 0; i < count; i++) {
        mailbus_buf_char(&out, c);
    }
    mailbus_buf_text(&out, after);
    return mailbus_buf_take(&out, NULL);
}

static void check_length(const char *before, size_t count, const char *after, mailbus_code_t code)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    char *text = repeated(before, 'a', count, after);
    assert_int_equal(agentmail_address_parse(text, strlen(text), &list, NULL), code);
    assert_int_equal(list.count, code == MAILBUS_OK ? 1 : 0);
    agentmail_addresses_free(&list);
    free(text);
}

static void test_lengths_are_bounded(void **state)
{
    (void)state;
    check_length("", AGENTMAIL_LOCAL_MAX, "@b.c", MAILBUS_OK);
    check_length("", AGENTMAIL_LOCAL_MAX + 1, "@b.c", MAILBUS_EINVAL);
    check_length("a@", AGENTMAIL_ADDRESS_MAX - 2, "", MAILBUS_OK);
    check_length("a@", AGENTMAIL_ADDRESS_MAX - 1, "", MAILBUS_EINVAL);
    check_length("\"", AGENTMAIL_ADDRESS_TEXT - 40, "\" <a@b.c>", MAILBUS_OK);
    check_length("\"", AGENTMAIL_ADDRESS_TEXT, "\" <a@b.c>", MAILBUS_ETOOBIG);
}

static void test_a_name_is_cut_to_a_line(void **state)
{
    (void)state;
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    char *text = repeated("\"", 'n', 5000, "\" <a@b.c>");
    assert_int_equal(agentmail_address_parse(text, strlen(text), &list, NULL), MAILBUS_OK);
    assert_int_equal(strlen(list.items[0].name), AGENTMAIL_NAME_MAX);
    agentmail_addresses_free(&list);
    free(text);
}

static void test_too_many_addresses_leave_the_list_as_it_was(void **state)
{
    (void)state;
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    for (int i = 0; i <= AGENTMAIL_ADDRESSES_MAX; i++) {
        mailbus_buf_printf(&text, "a%d@b.c,", i);
    }
    assert_int_equal(agentmail_address_parse("x@y.z", 5, &list, NULL), MAILBUS_OK);
    assert_int_equal(agentmail_address_parse(text.data, text.size, &list, NULL), MAILBUS_ETOOBIG);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].address, "x@y.z");
    agentmail_addresses_free(&list);
    mailbus_buf_free(&text);
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static void check_json(const char *json, mailbus_code_t expected_code, const char *expected)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    cJSON *item = json == NULL ? NULL : cJSON_Parse(json);
    assert_int_equal(agentmail_address_read(item, &list, NULL), expected_code);
    char *found = listed(&list);
    assert_string_equal(found, expected);
    free(found);
    agentmail_addresses_free(&list);
    cJSON_Delete(item);
}

static void test_every_shape_of_a_field(void **state)
{
    (void)state;
    check_json(NULL, MAILBUS_OK, "");
    check_json("null", MAILBUS_OK, "");
    check_json("\"\"", MAILBUS_OK, "");
    check_json("[]", MAILBUS_OK, "");
    check_json("\"Jane <a@b.c>\"", MAILBUS_OK, "Jane|a@b.c");
    check_json("[\"a@b.c\",\"D <d@e.f>\"]", MAILBUS_OK, "|a@b.c;D|d@e.f");
    check_json("[{\"name\":\"Jane Doe\",\"email\":\"a@b.c\"}]", MAILBUS_OK, "Jane Doe|a@b.c");
    check_json("{\"email\":\"a@b.c\"}", MAILBUS_OK, "|a@b.c");
    check_json("{\"name\":null,\"email\":\"Jane <a@b.c>\"}", MAILBUS_OK, "Jane|a@b.c");
    check_json("{\"name\":\"Jane\",\"address\":\"a@b.c\"}", MAILBUS_OK, "Jane|a@b.c");
    check_json("[\"a@b.c\",{\"email\":\"d@e.f\"}]", MAILBUS_OK, "|a@b.c;|d@e.f");
}

static void test_broken_entries_are_left_out_and_told(void **state)
{
    (void)state;
    check_json("[\"a@b.c\",\"nonsense\",\"d@e.f\"]", MAILBUS_EINVAL, "|a@b.c;|d@e.f");
    check_json("[5]", MAILBUS_EINVAL, "");
    check_json("7", MAILBUS_EINVAL, "");
    check_json("true", MAILBUS_EINVAL, "");
    check_json("{\"name\":\"only\"}", MAILBUS_EINVAL, "");
    check_json("{\"email\":5}", MAILBUS_EINVAL, "");
    check_json("{\"email\":\"a@b.c, d@e.f\"}", MAILBUS_EINVAL, "");
    check_json("{\"name\":\"x\\r\\nBcc: y\",\"email\":\"a@b.c\"}", MAILBUS_OK, "x Bcc: y|a@b.c");
    check_json("{\"name\":\"x\",\"email\":\"a@b.c\\r\\nBcc: y@z.z\"}", MAILBUS_EINVAL, "");
}

/* --- comparing and printing ---------------------------------------------------------------------
 */

static void test_addresses_are_compared_without_case_and_with_tags(void **state)
{
    (void)state;
    assert_true(agentmail_address_equal("Jane@Example.COM", "jane@example.com"));
    assert_false(agentmail_address_equal("jane+x@example.com", "jane@example.com"));
    assert_false(agentmail_address_equal("jane@example.com.evil.org", "jane@example.com"));
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_address_fold("Jane+X@Example.COM", &out);
    assert_string_equal(out.data, "jane+x@example.com");
    mailbus_buf_free(&out);
}

static void test_a_key_is_one_for_both_forms_of_an_international_domain(void **state)
{
    (void)state;
    static const struct {
        const char *address, *key;
    } rows[] = {
        {"Jane+X@Example.COM", "jane+x@example.com"},
        {"jane@m\xc3\xbcller.example", "jane@xn--mller-kva.example"},
        {"jane@M\xc3\x9cLLER.Example", "jane@xn--mller-kva.example"},
        {"jane@mu\xcc\x88ller.example", "jane@xn--mller-kva.example"}, /* a combining mark */
        {"jane@XN--Mller-KVA.example", "jane@xn--mller-kva.example"},
        {"J\xc3\x84ne@x.example", "j\xc3\x84ne@x.example"}, /* local parts: ASCII case alone */
        {"\"a@b\"@x.example", "\"a@b\"@x.example"},
        {"a@[192.0.2.1]", "a@[192.0.2.1]"},
        {"a@-\xc3\xbc-.example", "a@-\xc3\xbc-.example"}, /* no names of IDNA's */
        {"a@\xf0\x9f\x92\xa9.example", "a@\xf0\x9f\x92\xa9.example"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        agentmail_address_key(rows[i].address, &out);
        assert_string_equal(out.data, rows[i].key);
        mailbus_buf_free(&out);
    }
}

static void check_print(const char *name, const char *address, const char *expected)
{
    char name_copy[200], address_copy[200];
    strcpy(name_copy, name);
    strcpy(address_copy, address);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_address_print(&(agentmail_address_t){name_copy, address_copy}, &out);
    assert_string_equal(out.data, expected);
    mailbus_buf_free(&out);
}

static void test_printing_quotes_what_needs_it(void **state)
{
    (void)state;
    check_print("", "a@b.c", "a@b.c");
    check_print("Jane Doe", "a@b.c", "Jane Doe <a@b.c>");
    check_print("Doe, Jane", "a@b.c", "\"Doe, Jane\" <a@b.c>");
    check_print("a \"b\" \\c", "a@b.c", "\"a \\\"b\\\" \\\\c\" <a@b.c>");
    check_print("x\r\nBcc: y@z.z", "a@b.c", "\"x Bcc: y@z.z\" <a@b.c>");
}

static void test_printed_and_read_again_is_the_same(void **state)
{
    (void)state;
    const char *names[] = {"Jane", "Doe, Jane",  "a \"b\" \\c", "<a@b.c>",
                           "(c)",  "Jörg 🙂", "a:b;"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64], address[] = "a@b.c";
        strcpy(name, names[i]);
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
        agentmail_address_print(&(agentmail_address_t){name, address}, &out);
        assert_int_equal(agentmail_address_parse(out.data, out.size, &list, NULL), MAILBUS_OK);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.items[0].name, names[i]);
        assert_string_equal(list.items[0].address, "a@b.c");
        agentmail_addresses_free(&list);
        mailbus_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_the_service),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_lists_and_groups),
        cmocka_unit_test(test_two_readers_never_see_two_senders),
        cmocka_unit_test(test_injection_is_refused),
        cmocka_unit_test(test_names_are_one_clean_line),
        cmocka_unit_test(test_international_addresses),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_lengths_are_bounded),
        cmocka_unit_test(test_a_name_is_cut_to_a_line),
        cmocka_unit_test(test_too_many_addresses_leave_the_list_as_it_was),
        cmocka_unit_test(test_every_shape_of_a_field),
        cmocka_unit_test(test_broken_entries_are_left_out_and_told),
        cmocka_unit_test(test_addresses_are_compared_without_case_and_with_tags),
        cmocka_unit_test(test_printing_quotes_what_needs_it),
        cmocka_unit_test(test_printed_and_read_again_is_the_same),
        cmocka_unit_test(test_a_key_is_one_for_both_forms_of_an_international_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
