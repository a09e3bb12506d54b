/* report.h: what an event says, whatever it looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

static report_t *read_or_fail(const events_t *event)
{
    report_t *report = NULL;
    mailbus_error_t error = {0};
    if (events_report(event, &report, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return report;
}

static void test_the_guides_bounce_has_no_ids_and_works(void **state)
{
    (void)state;
    report_t *report = read_or_fail(&(events_t){
        .type = "Permanent",
        .sub_type = "General",
        .recorded_ms = MONDAY,
        .recipients = "[{\"address\":\"invalid@example.com\",\"status\":\"bounced\"}]"});
    assert_int_equal(report->count, 1);
    assert_string_equal(report->entries[0].key, "invalid@example.com");
    assert_int_equal(report->entries[0].kind, FACT_HARD);
    assert_string_equal(report->inbox, "");
    assert_null(report->message_id);
    assert_int_equal(report->time_ms, MONDAY); /* when the journal took it */
    report_free(&report);
    assert_null(report);
}

static void test_an_events_own_time_is_taken_but_never_from_the_future(void **state)
{
    (void)state;
    static const struct {
        const char *timestamp;
        int64_t time_ms;
    } rows[] = {
        {"2026-10-11T00:00:00Z", MONDAY - DAY},
        {"2026-10-11T02:00:00.000+02:00", MONDAY - DAY},
        {"2026-10-12T00:00:01Z", MONDAY},
        {"2999-01-01T00:00:00Z", MONDAY},
        {"1960-01-01T00:00:00Z", 1},
        {"yesterday", MONDAY},
        {"", MONDAY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        report_t *report =
            read_or_fail(&(events_t){.timestamp = rows[i].timestamp, .recorded_ms = MONDAY});
        assert_int_equal(report->time_ms, rows[i].time_ms);
        report_free(&report);
    }
}

static void test_addresses_are_folded_for_the_key_and_shown_as_they_came(void **state)
{
    (void)state;
    report_t *report = read_or_fail(&(events_t){
        .inbox = "Help@AgentMail.TO",
        .body_key = "delivery",
        .recipients = "[\"Jane Doe <Jane+Tag@EXAMPLE.com>\",\"k@m\u00fcller.example\"]"});
    assert_int_equal(report->count, 2);
    assert_string_equal(report->entries[0].key, "jane+tag@example.com");
    assert_string_equal(report->entries[0].shown, "Jane+Tag@EXAMPLE.com");
    assert_string_equal(report->entries[1].key, "k@xn--mller-kva.example");
    assert_string_equal(report->entries[1].shown, "k@m\xc3\xbcller.example");
    assert_int_equal(report->entries[1].kind, FACT_DELIVERED);
    assert_string_equal(report->inbox, "help@agentmail.to");
    report_free(&report);
}

static void test_an_address_counts_once_by_the_heaviest_that_is_said(void **state)
{
    (void)state;
    report_t *report = read_or_fail(
        &(events_t){.type = "Transient",
                    .recipients = "[{\"address\":\"a@x.example\",\"status\":\"4.2.2\"},"
                                  "{\"address\":\"b@x.example\",\"status\":\"5.7.1\"},"
                                  "{\"address\":\"A@X.example\",\"status\":\"5.1.1\"},"
                                  "{\"address\":\"a@x.example\",\"status\":\"5.7.1\"},"
                                  "{\"address\":\"b@x.example\",\"status\":\"2.0.0\"}]"});
    assert_int_equal(report->count, 2);
    assert_int_equal(report->entries[0].kind, FACT_HARD);
    assert_string_equal(report->entries[0].shown, "A@X.example");
    assert_int_equal(report->entries[1].kind, FACT_SENDER);
    report_free(&report);
}

static void test_hostile_texts_become_one_bounded_line(void **state)
{
    (void)state;
    char status[5000];
    memset(status, 'x', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    mailbus_buf_t recipients = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&recipients,
                       "[{\"address\":\"a@x.example\",\"status\":\"5.1.1\\r\\nBcc: \\u001b[2J%s\"},"
                       "{\"address\":\"no address\"},{\"address\":\"b\\r\\n@x\"},7,null,{}]",
                       status);
    report_t *report = read_or_fail(&(events_t){.type = "Permanent\r\nX: y",
                                                .sub_type = "\x1b]0;title\a",
                                                .message_id = "<a\r\nb@x>",
                                                .reason = "because\n\n\tof   it",
                                                .recipients = recipients.data});
    assert_int_equal(report->count, 1);
    assert_true(strlen(report->entries[0].status) <= REPORT_STATUS_MAX);
    assert_memory_equal(report->entries[0].status, "5.1.1 Bcc: [2Jxx", 16);
    assert_int_equal(report->entries[0].kind, FACT_SOFT); /* no type that is known */
    assert_string_equal(report->type, "Permanent X: y");
    assert_string_equal(report->sub_type, "]0;title");
    assert_string_equal(report->message_id, "<a b@x>");
    assert_string_equal(report->reason, "because of it");
    report_free(&report);
    mailbus_buf_free(&recipients);
}

static void recipients_of(size_t count, mailbus_buf_t *out)
{
    mailbus_buf_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        mailbus_buf_printf(out, "%s\"u%zu@x.example\"", i > 0 ? "," : "", i);
    }
    mailbus_buf_char(out, ']');
}

static void test_ten_thousand_recipients_are_read_and_more_are_refused(void **state)
{
    (void)state;
    mailbus_buf_t most = MAILBUS_BUF_INIT;
    mailbus_buf_t more = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    report_t *report = NULL;
    recipients_of(AGENTMAIL_RECIPIENTS_MAX, &most);
    recipients_of(AGENTMAIL_RECIPIENTS_MAX + 1, &more);
    report = read_or_fail(&(events_t){.type = "Permanent", .recipients = most.data});
    assert_int_equal(report->count, AGENTMAIL_RECIPIENTS_MAX);
    report_free(&report);
    assert_int_equal(events_report(&(events_t){.recipients = more.data}, &report, &error),
                     MAILBUS_ETOOBIG);
    assert_null(report);
    mailbus_buf_free(&most);
    mailbus_buf_free(&more);
}

static void test_what_is_not_counted_here_is_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"complaint", "open", "message"};
    for (size_t i = 0; i < 3; i++) {
        report_t *report = NULL;
        assert_int_equal(events_report(&(events_t){.body_key = keys[i]}, &report, NULL),
                         MAILBUS_EINVAL);
        assert_null(report);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_guides_bounce_has_no_ids_and_works),
        cmocka_unit_test(test_an_events_own_time_is_taken_but_never_from_the_future),
        cmocka_unit_test(test_addresses_are_folded_for_the_key_and_shown_as_they_came),
        cmocka_unit_test(test_an_address_counts_once_by_the_heaviest_that_is_said),
        cmocka_unit_test(test_hostile_texts_become_one_bounded_line),
        cmocka_unit_test(test_ten_thousand_recipients_are_read_and_more_are_refused),
        cmocka_unit_test(test_what_is_not_counted_here_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
