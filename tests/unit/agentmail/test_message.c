/* agentmail/message.h: every variant that the service is known to send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agentmail/message.h"

#define IDS "\"inbox_id\":\"support@agentmail.to\",\"message_id\":\"<m@x>\""

static agentmail_message_t *read_or_fail(const char *json)
{
    agentmail_message_t *message = NULL;
    mailbus_error_t error = {0};
    if (agentmail_message_read(json, strlen(json), &message, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", error.text, json);
    }
    return message;
}

static void test_event_as_the_guide_prints_it(void **state)
{
    (void)state;
    agentmail_message_t *message = read_or_fail(
        "{\"type\":\"event\",\"event_type\":\"message.received\",\"event_id\":\"evt_123abc\","
        "\"message\":{\"inbox_id\":\"support@agentmail.to\",\"thread_id\":\"thd_789ghi\","
        "\"message_id\":\"msg_123abc\",\"from\":[{\"name\":\"Jane Doe\",\"email\":"
        "\"jane@example.com\"}],\"to\":[{\"name\":\"Support\",\"email\":\"support@agentmail.to\"}],"
        "\"subject\":\"Question about my account\",\"text\":\"I need help with...\","
        "\"html\":\"<p>I need help with...</p>\",\"timestamp\":\"2023-10-27T10:00:00Z\","
        "\"labels\":[\"received\"]},\"thread\":{\"thread_id\":\"thd_789ghi\"}}");
    assert_string_equal(message->inbox_id, "support@agentmail.to");
    assert_string_equal(message->message_id, "msg_123abc");
    assert_string_equal(message->thread_id, "thd_789ghi");
    assert_string_equal(message->from.items[0].name, "Jane Doe");
    assert_string_equal(message->from.items[0].address, "jane@example.com");
    assert_string_equal(message->to.items[0].address, "support@agentmail.to");
    assert_string_equal(message->labels[0], "received");
    assert_false(message->has_headers);
    assert_false(message->body_absent);
    agentmail_message_free(&message);
}

static void test_event_as_the_service_sends_it(void **state)
{
    (void)state;
    agentmail_message_t *message = read_or_fail(
        "{\"event_type\":\"message.received\",\"message\":{" IDS
        ",\"from\":\"Priya Shah <priya@example.com>\",\"to\":[\"Help <support@agentmail.to>\"],"
        "\"reply_to\":[\"other@example.com\"],\"cc\":[\"c@example.com\"],\"in_reply_to\":\"<p@x>\","
        "\"references\":[\"<r@x>\",\"<p@x>\"],\"headers\":{\"Return-Path\":\"<priya@example.com>\"}"
        ","
        "\"pod_id\":\"x\",\"sort_key\":1,\"attachments\":[{\"attachment_id\":\"a1\","
        "\"filename\":\"i.pdf\",\"size\":48213,\"content_type\":\"application/pdf\","
        "\"content_disposition\":\"attachment\"},{\"attachment_id\":\"a2\",\"size\":1,"
        "\"content_disposition\":\"inline\",\"content_id\":\"ii\"},{\"attachment_id\":\"a3\","
        "\"inline\":true,\"content\":\"aGk=\",\"size\":\"big\"},7]}}");
    assert_string_equal(message->from.items[0].address, "priya@example.com");
    assert_string_equal(message->reply_to.items[0].address, "other@example.com");
    assert_int_equal(message->reference_count, 2);
    assert_true(message->has_headers);
    assert_string_equal(agentmail_headers_get(&message->headers, "return-path"),
                        "<priya@example.com>");
    assert_true(message->body_absent);
    assert_int_equal(message->attachment_count, 3);
    assert_false(message->attachments[0].is_inline);
    assert_true(message->attachments[0].size == 48213);
    assert_true(message->attachments[1].is_inline);
    assert_true(message->attachments[2].is_inline);
    assert_string_equal(message->attachments[2].content, "aGk=");
    assert_true(message->attachments[2].size == -1);
    agentmail_message_free(&message);
}

static void test_message_object_of_the_api(void **state)
{
    (void)state;
    agentmail_message_t *message = read_or_fail("{" IDS ",\"text\":\"\"}");
    assert_string_equal(message->message_id, "<m@x>");
    assert_null(message->text);
    assert_false(message->body_absent); /* an empty text is there, the mail is empty */
    agentmail_message_free(&message);
}

static void check_sender(const char *fields, const char *expected, bool broken)
{
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&json, "{\"message\":{%s%s}}", IDS, fields);
    agentmail_message_t *message = read_or_fail(json.data);
    if (expected == NULL) {
        assert_int_equal(message->from.count, 0);
    } else {
        assert_string_equal(message->from.items[0].address, expected);
    }
    assert_int_equal(message->from_broken, broken);
    agentmail_message_free(&message);
    mailbus_buf_free(&json);
}

static void test_sender_in_every_shape(void **state)
{
    (void)state;
    check_sender(",\"from\":\"a@b.c\"", "a@b.c", false);
    check_sender(",\"from\":[\"a@b.c\"]", "a@b.c", false);
    check_sender(",\"from_\":\"a@b.c\"", "a@b.c", false);
    check_sender(",\"from_\":[\"X <a@b.c>\"]", "a@b.c", false);
    check_sender(",\"from\":\"a@b.c\",\"from_\":\"other@b.c\"", "a@b.c", false);
    check_sender(",\"from\":[],\"from_\":\"a@b.c\"", "a@b.c", false);
    check_sender(",\"from\":null,\"from_\":[{\"email\":\"a@b.c\"}]", "a@b.c", false);
    check_sender(",\"from\":\"\",\"from_\":\"a@b.c\"", "a@b.c", false);
    check_sender("", NULL, false);
    check_sender(",\"from\":\"\"", NULL, false);
    check_sender(",\"from\":\"<>\"", NULL, true);
    check_sender(",\"from\":\"MAILER-DAEMON\"", NULL, true);
    check_sender(",\"from\":5", NULL, true);
    check_sender(",\"from\":\"a@b.c\\r\\nBcc: d@e.f\"", NULL, true);
}

static void test_wrong_types_are_as_good_as_absent(void **state)
{
    (void)state;
    agentmail_message_t *message =
        read_or_fail("{\"message\":{" IDS ",\"subject\":5,\"text\":[],\"labels\":\"one\","
                     "\"references\":[1,\"<r@x>\",null],\"attachments\":{\"a\":1},\"to\":false,"
                     "\"headers\":\"none\",\"thread_id\":\"\"}}");
    assert_null(message->subject);
    assert_null(message->text);
    assert_null(message->thread_id);
    assert_int_equal(message->label_count, 1);
    assert_int_equal(message->reference_count, 1);
    assert_int_equal(message->attachment_count, 0);
    assert_int_equal(message->to.count, 0);
    assert_false(message->has_headers);
    agentmail_message_free(&message);
}

static void test_null_headers_are_absent_and_empty_ones_are_there(void **state)
{
    (void)state;
    agentmail_message_t *message = read_or_fail("{\"message\":{" IDS ",\"headers\":null}}");
    assert_false(message->has_headers);
    agentmail_message_free(&message);
    message = read_or_fail("{\"message\":{" IDS ",\"headers\":{}}}");
    assert_true(message->has_headers);
    agentmail_message_free(&message);
}

static void test_what_is_no_message_is_refused(void **state)
{
    (void)state;
    const char *broken[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"message\":[]}",
        "{\"message\":{}}",
        "{\"message\":{\"inbox_id\":\"a@b\"}}",
        "{\"message\":{\"message_id\":\"<m@x>\"}}",
        "{\"message\":{\"inbox_id\":5,\"message_id\":\"<m@x>\"}}",
        "{\"message\":{\"inbox_id\":\"\",\"message_id\":\"<m@x>\"}}",
        "{\"message\":{" IDS "}} trailing",
        "{\"message\":{" IDS ",\"subject\":\"\\u0000\"}}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        agentmail_message_t *message = NULL;
        mailbus_error_t error = {0};
        if (agentmail_message_read(broken[i], strlen(broken[i]), &message, &error) !=
            MAILBUS_EINVAL) {
            fail_msg("taken: %s", broken[i]);
        }
        assert_null(message);
        assert_string_not_equal(error.text, "");
    }
}

/* The event of an oversize mail has neither text nor html; the API's object has. */
static void test_the_text_of_an_oversize_mail_is_taken_from_the_api(void **state)
{
    (void)state;
    agentmail_message_t *message = read_or_fail("{\"message\":{" IDS ",\"subject\":\"s\"}}");
    assert_true(message->body_absent);
    agentmail_message_t *empty = read_or_fail("{\"message\":{" IDS ",\"text\":\"\"}}");
    assert_false(empty->body_absent);
    agentmail_message_free(&empty);
    agentmail_message_t *null = read_or_fail("{\"message\":{" IDS ",\"text\":null}}");
    assert_true(null->body_absent);
    agentmail_message_free(&null);
    cJSON *answer = cJSON_Parse("{" IDS ",\"subject\":\"other\",\"text\":\"long\",\"html\":null}");
    agentmail_message_take_body(message, answer);
    assert_string_equal(message->text, "long");
    assert_null(message->html);
    assert_string_equal(message->subject, "s");
    assert_false(message->body_absent);
    cJSON_Delete(answer);
    assert_string_equal(message->text, "long");
    agentmail_message_free(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_as_the_guide_prints_it),
        cmocka_unit_test(test_event_as_the_service_sends_it),
        cmocka_unit_test(test_message_object_of_the_api),
        cmocka_unit_test(test_sender_in_every_shape),
        cmocka_unit_test(test_wrong_types_are_as_good_as_absent),
        cmocka_unit_test(test_null_headers_are_absent_and_empty_ones_are_there),
        cmocka_unit_test(test_what_is_no_message_is_refused),
        cmocka_unit_test(test_the_text_of_an_oversize_mail_is_taken_from_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
