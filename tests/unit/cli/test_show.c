/* What strangers wrote must not act on a terminal, and must come through a pipe unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "show.h"

static const char HEADER[] = "{\"sequence\":\"7\"}";

static mailbus_event_t event_of(const char *topic, const char *body)
{
    return (mailbus_event_t){.topic = topic,
                             .id = "evt_1",
                             .source = "/agentmail",
                             .time = "2026-10-12T11:31:04+02:00",
                             .stream = "x",
                             .recorded_time = "2026-10-12T09:31:05Z",
                             .sequence = 7,
                             .body = body,
                             .body_size = strlen(body)};
}

static char *show(show_form_t form, bool colour, const char *topic, const char *body)
{
    const show_options_t options = {.form = form, .colour = colour};
    const mailbus_event_t event = event_of(topic, body);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    show_event(&options, &event, HEADER, sizeof HEADER - 1, &out);
    assert_false(out.failed);
    return mailbus_buf_take(&out, NULL);
}

#define RECEIVED(subject, text)                                                                    \
    "{\"event_type\":\"message.received\",\"message\":{\"inbox_id\":\"s@agentmail.to\","           \
    "\"message_id\":\"<1@x>\",\"from\":\"Jane Doe <jane@example.com>\",\"subject\":\"" subject     \
    "\",\"text\":\"" text "\"}}"

/* ESC, BEL, CR, backspace, DEL, CSI as one byte of Latin-1 and as U+009B, right-to-left override,
 * line separator: as JSON escapes, and raw where JSON lets them stand. */
#define HOSTILE                                                                                    \
    "a\\u001b[2J\\u0007\\r\\n\\b\\u007f\\u009b\\u202e\\u2028"                                      \
    "\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\xa8"                                                         \
    "\xe2\x81\xa6\xd8\x9c"                                                                         \
    "z"

static void check_harmless(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        bool last = at[1] == '\0';
        if ((*at < ' ' && !(*at == '\n' && last)) || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0) ||
            (*at == 0xe2 && at[1] == 0x80 && (at[2] == 0xae || at[2] == 0xa8)) ||
            (*at == 0xe2 && at[1] == 0x81 && at[2] == 0xa6) || (*at == 0xd8 && at[1] == 0x9c)) {
            fail_msg("byte %02x at %td of: %s", *at, (const char *)at - text, text);
        }
    }
}

static void test_line_says_who_and_what(void **state)
{
    (void)state;
    char *line = show(SHOW_LINE, false, "message.received", RECEIVED("A question", "x"));
    assert_string_equal(line,
                        "2026-10-12 09:31:04Z #7 message.received       s@agentmail.to \xe2\x86\x90"
                        " Jane Doe <jane@example.com>: A question\n");
    free(line);
    line = show(SHOW_LINE, false, "message.bounced",
                "{\"bounce\":{\"inbox_id\":\"s@agentmail.to\",\"type\":\"Permanent\",\"recipients\""
                ":[{\"address\":\"a@x\"},{\"address\":\"b@x\"},\"c@x\",\"d@x\",\"e@x\"]}}");
    assert_non_null(strstr(line, "\xe2\x86\x92 a@x, b@x, c@x and 2 more: Permanent\n"));
    free(line);
}

static void test_line_without_a_readable_body_names_the_event(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "no json", "[]", "{}", "{\"a\":[]}", "{\"message\":7}", "{\"message\":{}}", "null"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char *line = show(SHOW_LINE, false, "message.received", bodies[i]);
        assert_non_null(strstr(line, "evt_1\n"));
        free(line);
    }
}

static void test_hostile_text_does_nothing_to_a_terminal(void **state)
{
    (void)state;
    static const char *const topics[] = {"message.received", "message.sent", "domain.verified"};
    static const char *const bodies[] = {
        RECEIVED(HOSTILE, HOSTILE),
        "{\"send\":{\"inbox_id\":\"" HOSTILE "\",\"recipients\":[\"" HOSTILE "\"]}}",
        "{\"domain\":{\"domain\":\"" HOSTILE "\",\"status\":\"" HOSTILE "\",\"" HOSTILE "\":1}}",
    };
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        char *line = show(SHOW_LINE, false, topics[i], bodies[i]);
        check_harmless(line);
        free(line);
        line = show(SHOW_JSON, false, topics[i], bodies[i]);
        check_harmless(line);
        free(line);
        line = show(SHOW_BODY, false, topics[i], bodies[i]);
        for (char *at = strchr(line, '\n'); at != NULL; at = strchr(at, '\n')) {
            *at = ' '; /* its own line breaks */
        }
        check_harmless(line);
        free(line);
    }
}

static void test_colours_are_ours_alone(void **state)
{
    (void)state;
    char *plain = show(SHOW_LINE, false, "message.received", RECEIVED("\\u001b[31mred", "x"));
    char *colour = show(SHOW_LINE, true, "message.received", RECEIVED("\\u001b[31mred", "x"));
    assert_null(strchr(plain, '\x1b'));
    assert_non_null(strstr(colour, "\x1b[32mmessage.received"));
    assert_null(strstr(colour, "\x1b[31m"));
    free(plain);
    free(colour);
}

static void test_json_means_the_same_on_one_line(void **state)
{
    (void)state;
    static const char body[] =
        "{\n \"a\" : [ 1e3, 12345678901234567890, \"x\xc2\x9by \\n \x7f\" ],\r\n"
        "\t\"u\": \"\xe2\x80\xae\xe2\x82\xac\" }\n";
    char *line = show(SHOW_JSON, false, "a.b", body);
    assert_string_equal(line, "{\"header\":{\"sequence\":\"7\"},\"body\":{\"a\":[1e3,"
                              "12345678901234567890,\"x\\u009by \\n \\u007f\"],\"u\":\"\\u202e"
                              "\xe2\x82\xac\"}}\n");
    free(line);
}

static void test_body_that_is_no_json_comes_through_as_base64(void **state)
{
    (void)state;
    char *line = show(SHOW_JSON, false, "a.b", "\x01\xff not json");
    assert_non_null(strstr(line, ",\"body_base64\":\"Af8gbm90IGpzb24=\"}\n"));
    free(line);
}

static void test_body_is_indented_to_read(void **state)
{
    (void)state;
    char *text = show(SHOW_BODY, false, "a.b", "{\"a\":{\"b\":[1,{\"c\":\"\\t\"}]}}");
    const char *body = strchr(text, '\n') + 1;
    assert_string_equal(body, "    {\n"
                              "      \"a\": {\n"
                              "        \"b\": [1, {\n"
                              "            \"c\": \"\\t\"\n"
                              "          }]\n"
                              "      }\n"
                              "    }\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_says_who_and_what),
        cmocka_unit_test(test_line_without_a_readable_body_names_the_event),
        cmocka_unit_test(test_hostile_text_does_nothing_to_a_terminal),
        cmocka_unit_test(test_colours_are_ours_alone),
        cmocka_unit_test(test_json_means_the_same_on_one_line),
        cmocka_unit_test(test_body_that_is_no_json_comes_through_as_base64),
        cmocka_unit_test(test_body_is_indented_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
