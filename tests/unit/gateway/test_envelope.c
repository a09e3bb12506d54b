#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "envelope.h"

/* Read `text`; the event is the caller's. NULL where it was refused, with `error` filled. */
static event_t *read_text(const char *text, size_t size, const char *webhook_id,
                          mailbus_error_t *error)
{
    char *body = malloc(size > 0 ? size : 1);
    assert_non_null(body);
    memcpy(body, text, size);
    char *given = body;
    event_t *event = NULL;
    *error = (mailbus_error_t){.code = MAILBUS_OK};
    const mailbus_code_t code = envelope_read(&body, size, webhook_id, &event, error);
    if (code == MAILBUS_OK) {
        assert_null(body);
        assert_ptr_equal(event->body, given); /* taken over, not copied */
        assert_int_equal(event->body_size, size);
        assert_memory_equal(event->body, text, size);
    } else {
        assert_ptr_equal(body, given);
        assert_null(event);
        free(body);
    }
    return event;
}

static event_t *read_good(const char *text, const char *webhook_id)
{
    mailbus_error_t error;
    event_t *event = read_text(text, strlen(text), webhook_id, &error);
    if (event == NULL) {
        fail_msg("refused: %s: %s", error.text, text);
    }
    return event;
}

static mailbus_code_t refusal(const char *text, const char *says)
{
    mailbus_error_t error;
    event_t *event = read_text(text, strlen(text), "msg_1", &error);
    if (event != NULL) {
        fail_msg("taken: %s", text);
    }
    if (strstr(error.text, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, says);
    }
    return error.code;
}

static void test_live_message_is_read(void **state)
{
    (void)state;
    event_t *event = read_good(
        "{\"type\":\"event\",\"event_type\":\"message.received\",\"event_id\":\"evt_1\","
        "\"message\":{\"inbox_id\":\"support@agentmail.to\",\"thread_id\":\"thd\","
        "\"message_id\":\"<a.b@x>\",\"timestamp\":\"2026-10-12T09:31:04.000Z\",\"size\":3},"
        "\"thread\":{\"inbox_id\":\"other@agentmail.to\",\"message_id\":\"<no@x>\"}}",
        "msg_1");
    assert_string_equal(event->topic, "message.received");
    assert_string_equal(event->id, "evt_1");
    assert_string_equal(event->webhook_id, "msg_1");
    assert_string_equal(event->source, "/agentmail/inboxes/support@agentmail.to");
    assert_string_equal(event->subject, "<a.b@x>");
    assert_string_equal(event->time, "2026-10-12T09:31:04.000Z");
    uint8_t digest[MB_SHA256_SIZE];
    mb_sha256(event->body, event->body_size, digest);
    assert_memory_equal(event->sha256, digest, sizeof digest);
    event_release(&event);
}

static void test_every_body_key_gives_inbox_and_message(void **state)
{
    (void)state;
    const char *const keys[] = {"message",   "send",   "delivery", "delivered",    "bounce",
                                "complaint", "reject", "open",     "something_new"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{\"thread\":{\"inbox_id\":\"no@x\"},\"event_type\":\"a.b\",\"%s\":{\"inbox_id\":"
                 "\"in@x\",\"message_id\":\"<m@x>\"}}",
                 keys[i]);
        event_t *event = read_good(text, NULL);
        assert_string_equal(event->source, "/agentmail/inboxes/in@x");
        assert_string_equal(event->subject, "<m@x>");
        event_release(&event);
    }
}

static void test_known_body_key_wins_over_an_unknown_one(void **state)
{
    (void)state;
    event_t *event = read_good("{\"event_type\":\"a\",\"extra\":{\"inbox_id\":\"no@x\"},"
                               "\"bounce\":{\"inbox_id\":\"in@x\"}}",
                               NULL);
    assert_string_equal(event->source, "/agentmail/inboxes/in@x");
    event_release(&event);
}

static void test_inbox_beside_the_body_is_found(void **state)
{
    (void)state;
    event_t *event = read_good("{\"event_type\":\"calendar.event.created\",\"inbox_id\":\"in@x\","
                               "\"calendar_event\":{\"timestamp\":\"2026-01-01T00:00:00Z\"}}",
                               NULL);
    assert_string_equal(event->source, "/agentmail/inboxes/in@x");
    assert_null(event->subject);
    assert_string_equal(event->time, "2026-01-01T00:00:00Z");
    event_release(&event);
}

static void test_event_without_an_inbox_has_the_general_source(void **state)
{
    (void)state;
    event_t *event = read_good("{\"event_type\":\"domain.verified\",\"domain\":{}}", NULL);
    assert_string_equal(event->source, "/agentmail");
    event_release(&event);
}

static void test_id_falls_back_to_the_delivery_then_to_the_body(void **state)
{
    (void)state;
    const char *text = "{\"event_type\":\"message.bounced\",\"bounce\":{}}";
    event_t *event = read_good(text, "msg_7");
    assert_string_equal(event->id, "msg_7");
    event_release(&event);

    event = read_good(text, NULL);
    assert_null(event->webhook_id);
    /* sha256sum of these bytes */
    assert_string_equal(event->id, "sha256-24d5abd74df16ce3f75e9701dff71cf1"
                                   "da3a7acb0c30a62aa7942f5c7f5c812e");
    event_release(&event);
}

static void test_unusable_extras_are_left_out(void **state)
{
    (void)state;
    const char *const bodies[] = {
        "{}",
        "{\"inbox_id\":7,\"message_id\":[],\"timestamp\":{}}",
        "{\"inbox_id\":\"\",\"message_id\":\"\",\"timestamp\":\"\"}",
        "{\"inbox_id\":null,\"message_id\":null,\"timestamp\":null}",
        "{\"inbox_id\":\"a\\u0001b\",\"message_id\":\"a\\nb\",\"timestamp\":\"yesterday\"}",
        "{\"timestamp\":\"2026-13-01T00:00:00Z\"}",
        "{\"timestamp\":\"2026-10-12 09:31\"}",
        "[1,2]",
        "\"text\"",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"event_type\":\"a.b\",\"message\":%s}", bodies[i]);
        event_t *event = read_good(text, NULL);
        assert_string_equal(event->source, "/agentmail");
        assert_null(event->subject);
        assert_null(event->time);
        event_release(&event);
    }
}

static void test_longest_strings_are_taken_and_longer_ones_left_out(void **state)
{
    (void)state;
    static char text[4096];
    static char subject[MAILBUS_SUBJECT_MAX + 2];
    memset(subject, 's', sizeof subject - 1);
    for (int over = 0; over < 2; over++) {
        subject[MAILBUS_SUBJECT_MAX + over] = '\0';
        snprintf(text, sizeof text, "{\"event_type\":\"a.b\",\"message\":{\"message_id\":\"%s\"}}",
                 subject);
        event_t *event = read_good(text, NULL);
        assert_int_equal(event->subject != NULL, !over);
        event_release(&event);
        subject[MAILBUS_SUBJECT_MAX] = 's';
    }
}

static void test_unknown_types_go_through(void **state)
{
    (void)state;
    const char *const topics[] = {"message.received.spam", "a", "x-y_z.0", "business", "busy.bee"};
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"event_type\":\"%s\"}", topics[i]);
        event_t *event = read_good(text, "msg_1");
        assert_string_equal(event->topic, topics[i]);
        event_release(&event);
    }
}

static void test_reserved_type_is_refused(void **state)
{
    (void)state;
    assert_int_equal(refusal("{\"event_type\":\"bus.heads\",\"event_id\":\"e\"}", "event_type"),
                     MAILBUS_EACCESS);
}

static void test_bad_types_are_refused(void **state)
{
    (void)state;
    const char *const values[] = {"7",       "null",      "[\"a.b\"]",    "{}",     "true",
                                  "\"\"",    "\"A.b\"",   "\"a..b\"",     "\".a\"", "\"a.\"",
                                  "\"a b\"", "\"a\\nb\"", "\"\xc3\xa9\"", "\"a/b\""};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"event_type\":%s,\"event_id\":\"e\"}", values[i]);
        assert_int_equal(refusal(text, "event_type"), MAILBUS_EINVAL);
    }
    assert_int_equal(refusal("{\"EVENT_TYPE\":\"a.b\"}", "event_type is missing"), MAILBUS_EINVAL);
    char text[512];
    snprintf(text, sizeof text, "{\"event_type\":\"%0129d\"}", 0);
    assert_int_equal(refusal(text, "event_type"), MAILBUS_EINVAL);
}

static void test_bad_ids_are_refused_though_there_is_another(void **state)
{
    (void)state;
    const char *const values[] = {"7", "null", "{}", "[]", "\"\"", "\"a\\tb\"", "\"\xc3\xa9\""};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"event_type\":\"a.b\",\"event_id\":%s}", values[i]);
        assert_int_equal(refusal(text, "event_id"), MAILBUS_EINVAL);
    }
    char text[512];
    snprintf(text, sizeof text, "{\"event_type\":\"a.b\",\"event_id\":\"%0257d\"}", 0);
    assert_int_equal(refusal(text, "event_id"), MAILBUS_EINVAL);
    snprintf(text, sizeof text, "{\"event_type\":\"a.b\",\"event_id\":\"%0256d\"}", 0);
    event_t *event = read_good(text, NULL);
    event_release(&event);
}

static void test_json_is_strict(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        " ",
        "{",
        "{\"event_type\":\"a.b\"",
        "{\"event_type\":\"a.b\"}x",
        "{\"event_type\":\"a.b\"}{}",
        "{\"event_type\":\"a.b\",}",
        "{'event_type':'a.b'}",
        "[{\"event_type\":\"a.b\"}]",
        "\"a.b\"",
        "null",
        "{\"event_type\":\"a.b\",\"event_type\":\"c.d\"}",
        "{\"event_type\":\"a.b\",\"event_\\u0074ype\":\"c.d\"}",
        "{\"event_type\":\"a.b\",\"event_id\":\"x\",\"event_id\":\"x\"}",
        "{\"event_type\":\"a.b\",\"x\":\"\xff\"}",
        "{\"event_type\":\"a.b\",\"x\":\"\xed\xa0\x80\"}",
        "{\"event_type\":\"a.b\",\"x\":\"\\ud800\"}",
        "{\"event_type\":\"a.b\\u0000c\"}",
        "{\"event_type\":\"a.b\",\"x\":\"\x01\"}",
        "{\"event_type\":\"a.b\",\"x\":\"tab\there\"}",
        "\xef\xbb\xbf{\"event_type\":\"a.b\"}",
        "event_type=a.b&event_id=1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(refusal(bad[i], ""), MAILBUS_EINVAL);
    }
    mailbus_error_t error;
    assert_null(read_text("{\"event_type\":\"a.b\"}\0", 21, NULL, &error)); /* a NUL behind it */
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    static char text[40000];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"event_type\":\"a.b\",\"x\":");
    memset(text + used, '[', 10000);
    memset(text + used + 10000, ']', 10000);
    text[used + 20000] = '}';
    text[used + 20001] = '\0';
    assert_int_equal(refusal(text, ""), MAILBUS_EINVAL);
}

static void test_empty_body_without_memory_is_refused(void **state)
{
    (void)state;
    char *body = NULL;
    event_t *event = NULL;
    assert_int_equal(envelope_read(&body, 0, NULL, &event, NULL), MAILBUS_EINVAL);
    assert_null(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_message_is_read),
        cmocka_unit_test(test_every_body_key_gives_inbox_and_message),
        cmocka_unit_test(test_known_body_key_wins_over_an_unknown_one),
        cmocka_unit_test(test_inbox_beside_the_body_is_found),
        cmocka_unit_test(test_event_without_an_inbox_has_the_general_source),
        cmocka_unit_test(test_id_falls_back_to_the_delivery_then_to_the_body),
        cmocka_unit_test(test_unusable_extras_are_left_out),
        cmocka_unit_test(test_longest_strings_are_taken_and_longer_ones_left_out),
        cmocka_unit_test(test_unknown_types_go_through),
        cmocka_unit_test(test_reserved_type_is_refused),
        cmocka_unit_test(test_bad_types_are_refused),
        cmocka_unit_test(test_bad_ids_are_refused_though_there_is_another),
        cmocka_unit_test(test_json_is_strict),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_empty_body_without_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
