#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"

typedef struct {
    guard_field_t fields[GUARD_FIELDS_MAX + 1];
    size_t count;
} list_t;

/* Fields from name, value, …, NULL. */
static list_t list_of(const char *const *texts)
{
    list_t list = {.count = 0};
    for (; texts[2 * list.count] != NULL; list.count++) {
        const char *name = texts[2 * list.count];
        const char *value = texts[2 * list.count + 1];
        list.fields[list.count] = (guard_field_t){name, strlen(name), value, strlen(value)};
    }
    return list;
}
#define LIST(...) list_of((const char *const[]){__VA_ARGS__, NULL, NULL})

static guard_result_t framing(list_t list)
{
    bool has_length = false;
    uint64_t length = 0;
    return guard_check_framing("HTTP/1.1", list.fields, list.count, &has_length, &length);
}

static guard_result_t post(list_t list)
{
    return guard_check_post(list.fields, list.count, true, 10, 1000);
}

static void test_usual_request_passes_with_its_length(void **state)
{
    (void)state;
    const list_t list =
        LIST("Host", "x", "User-Agent", "Svix-Webhooks/1.2", "content-length", "1800",
             "Content-Type", "application/json", "svix-id", "a", "svix-timestamp", "1",
             "svix-signature", "v1,x", "Accept", "*/*", "Accept", "x", "X-Forwarded-For", "1.2.3.4",
             "Cookie", "a\tb", "X-Long-Name_With.Marks!#$%&'*+-^`|~", "\xc3\xa9");
    bool has_length = false;
    uint64_t length = 0;
    assert_int_equal(guard_check_framing("HTTP/1.0", list.fields, list.count, &has_length, &length),
                     GUARD_OK);
    assert_true(has_length);
    assert_int_equal(length, 1800);
    assert_int_equal(guard_check_post(list.fields, list.count, has_length, length, 1800), GUARD_OK);
}

static void test_only_http_1_is_spoken(void **state)
{
    (void)state;
    const char *const versions[] = {"",         "HTTP/0.9", "HTTP/2.0",
                                    "HTTP/1.2", "http/1.1", "HTTP/1.10"};
    bool has_length;
    uint64_t length;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        assert_int_equal(guard_check_framing(versions[i], NULL, 0, &has_length, &length),
                         GUARD_BAD_VERSION);
    }
}

static void test_framing_fields_come_once(void **state)
{
    (void)state;
    const char *const names[] = {"Content-Length",
                                 "Host",
                                 "Content-Type",
                                 "Content-Encoding",
                                 "svix-id",
                                 "svix-timestamp",
                                 "svix-signature",
                                 "webhook-id",
                                 "webhook-timestamp",
                                 "webhook-signature",
                                 "X-AgentMail-Signature"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char upper[32];
        size_t k = 0;
        for (; names[i][k] != '\0'; k++) {
            upper[k] =
                (char)(names[i][k] >= 'a' && names[i][k] <= 'z' ? names[i][k] - 32 : names[i][k]);
        }
        upper[k] = '\0';
        assert_int_equal(framing(LIST(names[i], "1", "Accept", "*/*", upper, "1")), GUARD_DOUBLED);
        assert_int_equal(framing(LIST(names[i], "1", "Accept", "*/*")), GUARD_OK);
    }
}

static void test_transfer_encoding_is_refused_in_every_form(void **state)
{
    (void)state;
    assert_int_equal(framing(LIST("Transfer-Encoding", "chunked")), GUARD_TRANSFER_ENCODING);
    assert_int_equal(framing(LIST("transfer-encoding", "identity")), GUARD_TRANSFER_ENCODING);
    assert_int_equal(framing(LIST("Content-Length", "3", "TRANSFER-ENCODING", "")),
                     GUARD_TRANSFER_ENCODING);
    assert_int_equal(framing(LIST("Transfer-Encoding ", "chunked")), GUARD_LOOKALIKE);
    assert_int_equal(framing(LIST("Transfer-Encodingchunked", "")), GUARD_LOOKALIKE);
    assert_int_equal(framing(LIST("Content-Length2", "3")), GUARD_LOOKALIKE);
    assert_int_equal(framing(LIST("content-length\t", "3")), GUARD_LOOKALIKE);
    assert_int_equal(framing(LIST("Content-Lengt", "3", "X-Content-Length", "3")), GUARD_OK);
}

static void test_names_are_tokens(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",     " Host", "Ho st", "Host\t",      "Host:", "a(b", "a,b", "a/b",
        "a\"b", "a\x01", "a\x7f", "h\xc3\xb6st", "a;b",   "a=b", "a@b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(framing(LIST(bad[i], "x")), GUARD_BAD_NAME);
    }
    const guard_field_t cut = {"a\0b", 3, "x", 1};
    bool has_length;
    uint64_t length;
    assert_int_equal(guard_check_framing("HTTP/1.1", &cut, 1, &has_length, &length),
                     GUARD_BAD_NAME);
}

static void test_values_have_no_control_characters(void **state)
{
    (void)state;
    const char *const bad[] = {"a\rb", "a\nb", "\x01", "\x1f", "\x7f", "a\r\nX: y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(framing(LIST("X", bad[i])), GUARD_BAD_VALUE);
    }
    const guard_field_t cut = {"svix-id", 7, "a\0b", 3};
    bool has_length;
    uint64_t length;
    assert_int_equal(guard_check_framing("HTTP/1.1", &cut, 1, &has_length, &length),
                     GUARD_BAD_VALUE);
}

static void test_length_is_a_plain_number(void **state)
{
    (void)state;
    const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x10", "1,1", "1.0", "1e3", "99999999999999999999", "one"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(framing(LIST("Content-Length", bad[i])), GUARD_BAD_LENGTH);
    }
    assert_int_equal(framing(LIST("Content-Length", "9999999999999999999")), GUARD_OK);
    assert_int_equal(framing(LIST("Content-Length", "0")), GUARD_OK);
}

static void test_too_many_fields_are_refused(void **state)
{
    (void)state;
    list_t list = {.count = GUARD_FIELDS_MAX};
    for (size_t i = 0; i < GUARD_FIELDS_MAX + 1; i++) {
        list.fields[i] = (guard_field_t){"a", 1, "b", 1};
    }
    assert_int_equal(framing(list), GUARD_OK);
    list.count++;
    assert_int_equal(framing(list), GUARD_TOO_MANY_FIELDS);
}

static void test_failure_leaves_the_results_alone(void **state)
{
    (void)state;
    const list_t list = LIST("Content-Length", "5", "Content-Length", "5");
    bool has_length = false;
    uint64_t length = 77;
    assert_int_not_equal(
        guard_check_framing("HTTP/1.1", list.fields, list.count, &has_length, &length), GUARD_OK);
    assert_false(has_length);
    assert_int_equal(length, 77);
}

static void test_post_needs_a_length_within_the_limit(void **state)
{
    (void)state;
    assert_int_equal(guard_check_post(NULL, 0, false, 0, 1000), GUARD_NO_LENGTH);
    assert_int_equal(guard_check_post(NULL, 0, true, 1000, 1000), GUARD_OK);
    assert_int_equal(guard_check_post(NULL, 0, true, 1001, 1000), GUARD_TOO_LARGE);
    assert_int_equal(guard_check_post(NULL, 0, true, UINT64_MAX, 1000), GUARD_TOO_LARGE);
}

static void test_body_must_be_json(void **state)
{
    (void)state;
    const char *const good[] = {"application/json",
                                "APPLICATION/JSON",
                                "application/json; charset=utf-8",
                                "application/json ;x=y",
                                "application/cloudevents+json",
                                "application/problem+JSON;a"};
    const char *const bad[] = {"",
                               "text/plain",
                               "application/x-www-form-urlencoded",
                               "multipart/form-data; boundary=x",
                               "application/jsonp",
                               "application/",
                               "application/+json",
                               "application/json, text/html",
                               "text/json",
                               "application/ json",
                               "json",
                               "application/a b+json"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(post(LIST("Content-Type", good[i])), GUARD_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(post(LIST("Content-Type", bad[i])), GUARD_BAD_TYPE);
    }
    assert_int_equal(post(LIST("Accept", "text/html")), GUARD_OK); /* absent is fine */
    assert_int_equal(post(LIST("Content-Encoding", "gzip")), GUARD_BAD_TYPE);
    assert_int_equal(post(LIST("Content-Encoding", "Identity")), GUARD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_request_passes_with_its_length),
        cmocka_unit_test(test_only_http_1_is_spoken),
        cmocka_unit_test(test_framing_fields_come_once),
        cmocka_unit_test(test_transfer_encoding_is_refused_in_every_form),
        cmocka_unit_test(test_names_are_tokens),
        cmocka_unit_test(test_values_have_no_control_characters),
        cmocka_unit_test(test_length_is_a_plain_number),
        cmocka_unit_test(test_too_many_fields_are_refused),
        cmocka_unit_test(test_failure_leaves_the_results_alone),
        cmocka_unit_test(test_post_needs_a_length_within_the_limit),
        cmocka_unit_test(test_body_must_be_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
