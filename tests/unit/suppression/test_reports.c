/* reports.h: events in every shape, as facts about addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "suppression/reports.h"

static mailbus_event_t event_of(const char *topic, const char *body)
{
    return (mailbus_event_t){.topic = topic,
                             .id = "evt_9",
                             .source = "/agentmail",
                             .time = "2026-10-12T11:00:00.000Z",
                             .stream = "6f4b6d1e-8a55-4a9b-8f55-6a6a1a0a3f10",
                             .recorded_time = "2026-10-12T11:00:05.000Z",
                             .sequence = 1,
                             .body = body,
                             .body_size = strlen(body)};
}

static reports_t read_or_fail(const char *topic, const char *body, const char *expected_why)
{
    mailbus_event_t event = event_of(topic, body);
    reports_t reports = {.facts = NULL};
    const char *why = "?";
    mailbus_error_t error = {0};
    if (reports_read(&event, &reports, &why, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", error.text, body);
    }
    assert_string_equal(why, expected_why);
    return reports;
}

static void test_a_complaint_is_about_all_its_recipients(void **state)
{
    (void)state;
    reports_t reports = read_or_fail(
        "message.complained",
        "{\"complaint\":{\"inbox_id\":\"help@x.y\",\"message_id\":\"<m@x>\",\"type\":\"abuse\","
        "\"sub_type\":\"spam\",\"recipients\":[\"A@x.y\",\"B <b@x.y>\",{\"email\":\"c@x.y\"},"
        "\"a@X.Y\"]}}",
        "");
    assert_int_equal(reports.count, 3); /* one came twice, in two spellings */
    assert_string_equal(reports.keys[0], "a:a@x.y");
    assert_string_equal(reports.facts[0].address, "A@x.y");
    for (size_t i = 0; i < reports.count; i++) {
        const fact_t *fact = &reports.facts[i];
        assert_int_equal(fact->said, SAID_COMPLAINT);
        assert_int_equal(fact->candidates, 3);
        assert_string_equal(fact->type, "abuse");
        assert_string_equal(fact->sub_type, "spam");
        assert_string_equal(fact->message_id, "<m@x>");
        assert_string_equal(fact->inbox, "help@x.y");
        assert_string_equal(fact->event_id, "evt_9");
    }
    reports_free(&reports);
    assert_null(reports.facts);
}

static void test_the_same_recipient_twice_is_no_ambiguity(void **state)
{
    (void)state;
    reports_t reports = read_or_fail("message.complained",
                                     "{\"complaint\":{\"recipients\":[\"a@x.y\",\"A@X.y\"]}}", "");
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.facts[0].candidates, 1);
    reports_free(&reports);
}

static void test_the_guides_own_events(void **state)
{
    (void)state;
    reports_t reports = read_or_fail(
        "message.bounced",
        "{\"type\":\"event\",\"event_type\":\"message.bounced\",\"bounce\":{\"type\":\"Permanent\","
        "\"sub_type\":\"General\",\"recipients\":[{\"address\":\"invalid@example.com\",\"status\":"
        "\"bounced\"}]}}",
        "");
    assert_int_equal(reports.count, 1);
    assert_string_equal(reports.keys[0], "a:invalid@example.com");
    assert_string_equal(reports.facts[0].status, "bounced");
    assert_string_equal(reports.facts[0].message_id, "");
    reports_free(&reports);
}

static void test_each_recipient_of_a_bounce_has_its_own_status(void **state)
{
    (void)state;
    reports_t reports =
        read_or_fail("message.bounced",
                     "{\"bounce\":{\"type\":\"Permanent\",\"recipients\":["
                     "{\"address\":\"a@x.y\",\"status\":\"5.1.1\"},{\"address\":\"b@x.y\"},"
                     "{\"address\":\"c@x.y\",\"status\":\"smtp; 550 5.7.1\\r\\nno\"}]}}",
                     "");
    assert_int_equal(reports.count, 3);
    assert_string_equal(reports.facts[0].status, "5.1.1");
    assert_string_equal(reports.facts[1].status, "");
    assert_string_equal(reports.facts[2].status, "smtp; 550 5.7.1 no");
    assert_int_equal(reports.facts[0].candidates, 1);
    reports_free(&reports);
}

static void test_events_that_are_about_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *body, *why;
    } rows[] = {
        {"message.bounced", "{\"bounce\":{\"type\":\"Transient\",\"recipients\":[\"a@x.y\"]}}",
         "bounce-not-permanent"},
        {"message.bounced", "{\"bounce\":{\"recipients\":[\"a@x.y\"]}}", "bounce-not-permanent"},
        {"message.complained", "{\"complaint\":{}}", "no-recipients"},
        {"message.complained", "{\"complaint\":{\"recipients\":[5,null,\"nobody\"]}}",
         "no-recipients"},
        {"message.rejected", "{\"reject\":{\"reason\":\"Bad content\",\"recipients\":[\"a@x.y\"]}}",
         "reject-for-another-reason"},
        {"message.rejected", "{\"reject\":{}}", "reject-for-another-reason"},
        {"message.rejected", "{\"reject\":{\"reason\":\"recipient is suppressed\"}}",
         "reject-names-nobody"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reports_t reports = read_or_fail(rows[i].topic, rows[i].body, rows[i].why);
        assert_int_equal(reports.count, 0);
        reports_free(&reports);
    }
}

static void test_a_reject_that_names_suppressed_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        size_t count;
        const char *first;
    } rows[] = {
        {"a@x.y is suppressed", 1, "a@x.y"},
        {"Recipient <A@x.y> is on the suppression list.", 1, "A@x.y"},
        {"Address(es) suppressed: a@x.y, b@x.y.", 2, "a@x.y"},
        {"SUPPRESSED: \"a@x.y\"; 'b@x.y'!", 2, "a@x.y"},
        {"a@x.y is not suppressed", 0, NULL},
        {"a@x.y is on the send block list", 0, NULL},
        {"Bad content from a@x.y", 0, NULL},
        {"suppressed @ x@ @y a@@b", 0, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
        assert_int_equal(reports_named(rows[i].reason, &list, NULL), MAILBUS_OK);
        if (list.count != rows[i].count) {
            fail_msg("%zu addresses in: %s", list.count, rows[i].reason);
        }
        if (list.count > 0) {
            assert_string_equal(list.items[0].address, rows[i].first);
        }
        agentmail_addresses_free(&list);
    }
    reports_t reports = read_or_fail(
        "message.rejected",
        "{\"reject\":{\"reason\":\"b@x.y is suppressed\",\"recipients\":[\"a@x.y\",\"b@x.y\"]}}",
        "");
    assert_int_equal(reports.count, 1);
    assert_string_equal(reports.keys[0], "a:b@x.y");
    assert_int_equal(reports.facts[0].candidates, 1);
    assert_string_equal(reports.facts[0].note, "b@x.y is suppressed");
    reports_free(&reports);
    reports = read_or_fail("message.rejected",
                           "{\"reject\":{\"reason\":\"a recipient is suppressed\",\"recipients\":"
                           "[\"a@x.y\",\"b@x.y\"]}}",
                           "");
    assert_int_equal(reports.count, 2);
    assert_int_equal(reports.facts[0].candidates, 2);
    reports_free(&reports);
}

static void test_a_reason_full_of_addresses_is_bounded(void **state)
{
    (void)state;
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_buf_text(&reason, "suppressed:");
    for (int i = 0; i < 3000; i++) {
        mailbus_buf_printf(&reason, " a%d@x.y", i);
    }
    assert_int_equal(reports_named(reason.data, &list, NULL), MAILBUS_OK);
    assert_int_equal(list.count, REPORTS_NAMED_MAX);
    agentmail_addresses_free(&list);
    mailbus_buf_free(&reason);
}

static void test_an_event_that_is_not_what_its_topic_says_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *body;
    } rows[] = {
        {"message.complained", "{\"bounce\":{\"type\":\"Permanent\",\"recipients\":[\"a@x.y\"]}}"},
        {"message.bounced", "{\"complaint\":{\"recipients\":[\"a@x.y\"]}}"},
        {"message.complained", "{\"message\":{}}"},
        {"message.complained", "not JSON"},
        {"message.complained", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_event_t event = event_of(rows[i].topic, rows[i].body);
        reports_t reports = {.facts = NULL};
        const char *why = "";
        mailbus_error_t error = {0};
        assert_int_equal(reports_read(&event, &reports, &why, &error), MAILBUS_EINVAL);
        assert_true(error.text[0] != '\0');
        assert_null(reports.facts);
    }
}

static void test_texts_of_strangers_are_one_line(void **state)
{
    (void)state;
    reports_t reports = read_or_fail(
        "message.complained",
        "{\"complaint\":{\"message_id\":\"<m\\r\\nBcc: q@r.s>\",\"type\":\"a\\u001b[31mbuse\","
        "\"inbox_id\":\"i\\u202eb@x\",\"recipients\":[\"a@x.y\",\"b@x.y\\r\\nBcc: c@x.y\"]}}",
        "");
    assert_int_equal(reports.count, 1);
    assert_null(strpbrk(reports.facts[0].message_id, "\r\n"));
    assert_null(strchr(reports.facts[0].type, '\x1b'));
    assert_null(strstr(reports.facts[0].inbox, "\xe2\x80\xae"));
    reports_free(&reports);
}

static void test_no_event_is_dated_into_the_future(void **state)
{
    (void)state;
    mailbus_event_t event = event_of("message.complained", "{}");
    int64_t usual = reports_time(&event);
    event.time = "2099-01-01T00:00:00Z"; /* later than the gateway took it */
    assert_int_equal(reports_time(&event), usual + 5000);
    event.time = "1999-01-01T00:00:00Z";
    assert_true(reports_time(&event) < usual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_complaint_is_about_all_its_recipients),
        cmocka_unit_test(test_the_same_recipient_twice_is_no_ambiguity),
        cmocka_unit_test(test_the_guides_own_events),
        cmocka_unit_test(test_each_recipient_of_a_bounce_has_its_own_status),
        cmocka_unit_test(test_events_that_are_about_nobody),
        cmocka_unit_test(test_a_reject_that_names_suppressed_addresses),
        cmocka_unit_test(test_a_reason_full_of_addresses_is_bounded),
        cmocka_unit_test(test_an_event_that_is_not_what_its_topic_says_is_refused),
        cmocka_unit_test(test_texts_of_strangers_are_one_line),
        cmocka_unit_test(test_no_event_is_dated_into_the_future),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
