#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hostile.h"
#include "mailbus/event.h"
#include "mailbus/json.h"

#define STREAM "0b9a1e4c-5f0d-4f6b-8a52-3c1d2e4f5a6b"

static mailbus_event_t sample(void)
{
    return (mailbus_event_t){
        .topic = "message.received",
        .id = "evt_1",
        .source = "/agentmail/inboxes/a@b.c",
        .subject = "<m@b.c>",
        .time = "2026-10-12T09:31:04Z",
        .stream = STREAM,
        .webhook_id = "msg_1",
        .recorded_time = "2026-10-12T09:31:05.000Z",
        .sequence = 42,
        .previous = 40,
        .body = "{}",
        .body_size = 2,
    };
}

static mailbus_code_t check_topic(const char *topic)
{
    return mailbus_topic_check(topic, strlen(topic), NULL);
}

static void test_topics_are_lower_case_parts_with_dots_between(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const bool allowed =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        const char inside[3] = {'a', (char)c, 'b'};
        assert_int_equal(mailbus_topic_check(inside, 3, NULL),
                         allowed || c == '.' ? MAILBUS_OK : MAILBUS_EINVAL);
        assert_int_equal(mailbus_topic_check(inside, 2, NULL),
                         allowed ? MAILBUS_OK : MAILBUS_EINVAL);
        assert_int_equal(mailbus_topic_check(inside + 1, 2, NULL),
                         allowed ? MAILBUS_OK : MAILBUS_EINVAL);
    }
    assert_int_equal(check_topic(""), MAILBUS_EINVAL);
    assert_int_equal(check_topic("."), MAILBUS_EINVAL);
    assert_int_equal(check_topic("a..b"), MAILBUS_EINVAL);
    assert_int_equal(check_topic("calendar.event.created"), MAILBUS_OK);
}

static void test_topics_have_a_length_limit(void **state)
{
    (void)state;
    char topic[MAILBUS_TOPIC_MAX + 2];
    memset(topic, 'a', sizeof topic);
    assert_int_equal(mailbus_topic_check(topic, MAILBUS_TOPIC_MAX, NULL), MAILBUS_OK);
    assert_int_equal(mailbus_topic_check(topic, MAILBUS_TOPIC_MAX + 1, NULL), MAILBUS_EINVAL);
}

static void test_reserved_topics_are_told_apart_from_malformed_ones(void **state)
{
    (void)state;
    mailbus_error_t error;
    assert_int_equal(mailbus_topic_check("bus.heads", 9, &error), MAILBUS_EACCESS);
    assert_int_equal(check_topic("bus.x"), MAILBUS_EACCESS);
    assert_int_equal(check_topic("bus."), MAILBUS_EINVAL);
    assert_int_equal(check_topic("bus"), MAILBUS_OK);
    assert_int_equal(check_topic("busy.now"), MAILBUS_OK);
    assert_int_equal(check_topic("bus_.x"), MAILBUS_OK);
}

static void assert_header(const mailbus_event_t *event, const char *wanted)
{
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_header_encode(event, &header, NULL), MAILBUS_OK);
    assert_string_equal(header.data, wanted);
    mailbus_buf_free(&header);
}

static void test_header_has_one_form(void **state)
{
    (void)state;
    mailbus_event_t event = sample();
    assert_header(
        &event, "{\"specversion\":\"1.0\",\"id\":\"evt_1\",\"source\":\"/agentmail/inboxes/a@b.c\","
                "\"type\":\"message.received\",\"subject\":\"<m@b.c>\","
                "\"time\":\"2026-10-12T09:31:04Z\",\"datacontenttype\":\"application/json\","
                "\"sequence\":\"42\",\"previous\":\"40\",\"stream\":\"" STREAM "\","
                "\"webhookid\":\"msg_1\",\"recordedtime\":\"2026-10-12T09:31:05.000Z\"}");
    event.subject = NULL;
    event.webhook_id = NULL;
    assert_header(
        &event, "{\"specversion\":\"1.0\",\"id\":\"evt_1\",\"source\":\"/agentmail/inboxes/a@b.c\","
                "\"type\":\"message.received\","
                "\"time\":\"2026-10-12T09:31:04Z\",\"datacontenttype\":\"application/json\","
                "\"sequence\":\"42\",\"previous\":\"40\",\"stream\":\"" STREAM "\","
                "\"recordedtime\":\"2026-10-12T09:31:05.000Z\"}");
}

static void test_header_is_appended_and_bounded(void **state)
{
    (void)state;
    mailbus_event_t event = sample();
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_error_t error;
    mailbus_buf_text(&out, "before ");
    assert_int_equal(mailbus_header_encode(&event, &out, &error), MAILBUS_OK);
    assert_memory_equal(out.data, "before {\"specversion\"", 21);

    char source[MAILBUS_HEADER_MAX];
    memset(source, 's', sizeof source - 1);
    source[sizeof source - 1] = '\0';
    event.source = source;
    assert_int_equal(mailbus_header_encode(&event, &out, &error), MAILBUS_ETOOBIG);
    mailbus_buf_free(&out);

    event = sample();
    out.limit = 64;
    assert_int_equal(mailbus_header_encode(&event, &out, &error), MAILBUS_ENOMEM);
    mailbus_buf_free(&out);
}

static void test_encoding_needs_no_allocation_but_the_buffer(void **state)
{
    (void)state;
    mailbus_event_t event = sample();
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_header_encode(&event, &out, NULL), MAILBUS_OK);
    const char *data = out.data;
    const size_t capacity = out.capacity;
    for (int i = 0; i < 100; i++) {
        mailbus_buf_clear(&out);
        assert_int_equal(mailbus_header_encode(&event, &out, NULL), MAILBUS_OK);
        assert_ptr_equal(out.data, data);
        assert_int_equal(out.capacity, capacity);
    }
    mailbus_buf_free(&out);
}

typedef struct {
    const char *topic;
    size_t topic_size;
    const char *header;
    size_t header_size;
} frames_t;

static bool decode(const void *topic, size_t topic_size, const void *header, size_t header_size)
{
    mailbus_event_t *event = NULL;
    mailbus_error_t error = {.code = MAILBUS_OK};
    mailbus_code_t code =
        mailbus_event_decode(topic, topic_size, header, header_size, "body", 4, &event, &error);
    assert_true((code == MAILBUS_OK) == (event != NULL));
    assert_int_equal(error.code, code);
    for (const char *c = error.text; code != MAILBUS_OK && *c != '\0'; c++) {
        assert_in_range(*c, ' ', '~');
    }
    mailbus_event_free(&event);
    return code == MAILBUS_OK;
}

static bool decode_header(void *arg, const char *data, size_t size)
{
    const frames_t *frames = arg;
    return decode(frames->topic, frames->topic_size, data, size);
}

static bool decode_topic(void *arg, const char *data, size_t size)
{
    const frames_t *frames = arg;
    return decode(data, size, frames->header, frames->header_size);
}

static void test_damaged_events_are_refused_or_harmless(void **state)
{
    (void)state;
    mailbus_event_t event = sample();
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_header_encode(&event, &header, NULL), MAILBUS_OK);
    frames_t frames = {event.topic, strlen(event.topic), header.data, header.size};
    assert_true(decode_header(&frames, header.data, header.size));
    assert_int_equal(hostile_truncations(header.data, header.size, decode_header, &frames), 0);
    hostile_changes(header.data, header.size, decode_header, &frames);
    hostile_shifts(header.data, header.size, decode_header, &frames);
    /* The topic must be the type, to the byte. */
    assert_int_equal(hostile_truncations(event.topic, frames.topic_size, decode_topic, &frames), 0);
    assert_int_equal(hostile_changes(event.topic, frames.topic_size, decode_topic, &frames), 0);
    assert_int_equal(hostile_shifts(event.topic, frames.topic_size, decode_topic, &frames), 0);
    mailbus_buf_free(&header);
}

static void test_random_documents_are_no_events(void **state)
{
    (void)state;
    frames_t frames = {"a", 1, NULL, 0};
    hostile_tokens(100000, decode_header, &frames);
}

static void test_errors_name_the_field_and_repeat_nothing_hostile(void **state)
{
    (void)state;
    const struct {
        const char *key;
        const char *value;
        const char *why;
    } cases[] = {
        {"specversion", "\"2.0\"", "\"specversion\" is not \"1.0\""},
        {"id", "\"\"", "\"id\" is empty"},
        {"id", "[]", "\"id\" is not a string"},
        {"id", "\"\\u001b[31m\"", "\"id\" holds something else than printable ASCII"},
        {"source", "\"a b\"", "\"source\" holds something else than printable ASCII"},
        {"type", "\"message.sent\"", "\"type\" differs from the topic frame"},
        {"subject", "\"a\\r\\nb\"", "\"subject\" holds a control character"},
        {"time", "\"now\"", "\"time\" is not an RFC 3339 time"},
        {"datacontenttype", "\"text/html\"", "\"datacontenttype\" is not \"application/json\""},
        {"sequence", "\"0\"", "\"sequence\" is below 1"},
        {"sequence", "42", "\"sequence\" is not a string"},
        {"sequence", "\"4x\"", "\"sequence\" is not a decimal number"},
        {"sequence", "\"123456789012345678901\"", "\"sequence\" is too long"},
        {"previous", "\"42\"", "\"previous\" is not below \"sequence\""},
        {"stream", "\"x\"", "\"stream\" is not a UUID in lower case"},
        {"webhookid", "7", "\"webhookid\" is not a string"},
        {"recordedtime", "\"2026-13-01T00:00:00Z\"", "\"recordedtime\" is not an RFC 3339 time"},
    };
    mailbus_event_t event = sample();
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_header_encode(&event, &header, NULL), MAILBUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* Replace the value in the text. */
        char key[64];
        snprintf(key, sizeof key, "\"%s\":", cases[i].key);
        const char *at = strstr(header.data, key);
        assert_non_null(at);
        at += strlen(key);
        const char *end = strchr(at + 1, '"');
        assert_non_null(end);
        mailbus_buf_t text = MAILBUS_BUF_INIT;
        mailbus_buf_append(&text, header.data, (size_t)(at - header.data));
        mailbus_buf_text(&text, cases[i].value);
        mailbus_buf_text(&text, end + 1);
        mailbus_event_t *decoded = NULL;
        mailbus_error_t error;
        assert_int_equal(mailbus_event_decode(event.topic, strlen(event.topic), text.data,
                                              text.size, NULL, 0, &decoded, &error),
                         MAILBUS_EINVAL);
        assert_string_equal(error.text, cases[i].why);
        mailbus_buf_free(&text);
    }
    mailbus_buf_free(&header);
}

static void test_an_event_outlives_its_frames(void **state)
{
    (void)state;
    mailbus_event_t event = sample();
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_header_encode(&event, &header, NULL), MAILBUS_OK);
    char *body = malloc(3);
    assert_non_null(body);
    memcpy(body, "a\0b", 3);
    mailbus_event_t *decoded = NULL;
    assert_int_equal(mailbus_event_decode(event.topic, strlen(event.topic), header.data,
                                          header.size, body, 3, &decoded, NULL),
                     MAILBUS_OK);
    free(body);
    mailbus_buf_free(&header);
    assert_string_equal(decoded->subject, "<m@b.c>");
    assert_int_equal(decoded->body_size, 3);
    assert_memory_equal(decoded->body, "a\0b", 4); /* and a NUL behind it */
    mailbus_event_free(&decoded);
    assert_null(decoded);
    mailbus_event_free(&decoded);
}

static void test_sources_are_one_path_segment(void **state)
{
    (void)state;
    const struct {
        const char *inbox;
        const char *source;
    } cases[] = {
        {NULL, "/agentmail"},
        {"", "/agentmail"},
        {"agent@agentmail.to", "/agentmail/inboxes/agent@agentmail.to"},
        {"a/b?c#d e%\"<>\\", "/agentmail/inboxes/a%2Fb%3Fc%23d%20e%25%22%3C%3E%5C"},
        {"ü@x", "/agentmail/inboxes/%C3%BC@x"},
        {"a\x01\x7f", "/agentmail/inboxes/a%01%7F"},
        {"~-._!$&'()*+,;=:@", "/agentmail/inboxes/~-._!$&'()*+,;=:@"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_source_encode(cases[i].inbox, &out);
        assert_string_equal(out.data, cases[i].source);
        mailbus_buf_free(&out);
    }
}

static void test_sequences_have_one_decimal_form(void **state)
{
    (void)state;
    uint64_t number = 7;
    assert_int_equal(mailbus_sequence_parse("0", &number), MAILBUS_OK);
    assert_true(number == 0);
    assert_int_equal(mailbus_sequence_parse("18446744073709551615", &number), MAILBUS_OK);
    assert_true(number == UINT64_MAX);
    const char *const bad[] = {"",
                               "00",
                               "01",
                               "-1",
                               "+1",
                               " 1",
                               "1 ",
                               "1a",
                               "0x1",
                               "1.",
                               "1e3",
                               "18446744073709551616",
                               "99999999999999999999",
                               "184467440737095516150"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mailbus_sequence_parse(bad[i], &number), MAILBUS_EINVAL);
        assert_true(number == UINT64_MAX);
    }
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    for (uint64_t n = 1; n < UINT64_MAX / 3; n = n * 3 + 1) {
        mailbus_buf_clear(&text);
        mailbus_buf_u64(&text, n);
        assert_int_equal(mailbus_sequence_parse(text.data, &number), MAILBUS_OK);
        assert_true(number == n);
    }
    mailbus_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics_are_lower_case_parts_with_dots_between),
        cmocka_unit_test(test_topics_have_a_length_limit),
        cmocka_unit_test(test_reserved_topics_are_told_apart_from_malformed_ones),
        cmocka_unit_test(test_header_has_one_form),
        cmocka_unit_test(test_header_is_appended_and_bounded),
        cmocka_unit_test(test_encoding_needs_no_allocation_but_the_buffer),
        cmocka_unit_test(test_damaged_events_are_refused_or_harmless),
        cmocka_unit_test(test_random_documents_are_no_events),
        cmocka_unit_test(test_errors_name_the_field_and_repeat_nothing_hostile),
        cmocka_unit_test(test_an_event_outlives_its_frames),
        cmocka_unit_test(test_sources_are_one_path_segment),
        cmocka_unit_test(test_sequences_have_one_decimal_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
