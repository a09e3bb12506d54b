/* outgoing/guards.h: one test a rule, each with what it stops and what it lets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mails.h"
#include "outgoing/guards.h"

/* The guard that stops a mail with these members; "" where none does. */
static void check_mail(const char *members, guards_mail_t mail, const char *expected)
{
    own_t own = OWN_INIT;
    const char *detail = NULL;
    assert_int_equal(own_parse("sales@agentmail.to *@ours.example", &own, NULL), MAILBUS_OK);
    mail.message = mail_with(members);
    mail.headers = &mail.message->headers;
    const agentmail_address_t *recipient = guards_recipient(mail.message);
    if (mail.kind == OUTGOING_REPLY) {
        mail.to = recipient == NULL ? NULL : recipient->address;
    }
    mail.own = &own;
    mail.max_age_ms = 1000;
    const char *guard = guards_of_message(&mail, &detail);
    if (guard == NULL) {
        guard = guards_of_headers(&mail, &detail);
    }
    if (strcmp(guard == NULL ? "" : guard, expected) != 0) {
        fail_msg("%s: \"%s\" instead of \"%s\"", members, guard == NULL ? "" : guard, expected);
    }
    agentmail_message_t *message = (agentmail_message_t *)mail.message;
    agentmail_message_free(&message);
    own_free(&own);
}

static void check(const char *members, const char *expected)
{
    check_mail(members, (guards_mail_t){.age_ms = 0}, expected);
}

static void check_header(const char *name, const char *value, const char *expected)
{
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&json, "\"headers\":{\"Subject\":\"x\",\"%s\":\"%s\"}", name, value);
    check(json.data, expected);
    mailbus_buf_free(&json);
}

static void test_a_plain_mail_is_answered(void **state)
{
    (void)state;
    check("", "");
    check("\"headers\":{\"Return-Path\":\"<jane@example.com>\",\"Content-Type\":\"text/plain\","
          "\"MIME-Version\":\"1.0\",\"X-Mailer\":\"x\"}",
          "");
}

static void test_no_sender(void **state)
{
    (void)state;
    check("\"from\":null", "no-sender");
    check("\"from\":\"\"", "no-sender");
    check("\"from\":\"<>\"", "no-sender");
    check("\"from\":[]", "no-sender");
    check("\"from\":[\"jane@example.com\",\"broken\"]", "no-sender");
    check("\"from\":\"a@b.c\\r\\nBcc: d@e.f\"", "no-sender");
    check("\"reply_to\":[\"<>\"]", "no-sender");
}

static void test_own_sender(void **state)
{
    (void)state;
    check("\"from\":\"Support@AgentMail.to\"", "own-sender");
    check("\"from\":\"sales@agentmail.to\"", "own-sender");
    check("\"from\":\"x@ours.example\"", "own-sender");
    check("\"from\":[\"jane@example.com\",\"sales@agentmail.to\"]", "own-sender");
    check("\"reply_to\":\"support@agentmail.to\"", "own-sender");
    check("\"from\":\"other@agentmail.to\"", "");
    check_mail("\"from\":\"other@agentmail.to\"", (guards_mail_t){.from_is_inbox = true},
               "own-sender");
    check_mail("\"reply_to\":\"other@agentmail.to\"", (guards_mail_t){.to_is_inbox = true},
               "own-sender");
}

static void test_robot_sender(void **state)
{
    (void)state;
    static const char *const robots[] = {
        "MAILER-DAEMON", "Postmaster", "listserv",   "majordomo",    "noreply",
        "no-reply",      "NoReply",    "donotreply", "do-not-reply", "no_reply",
        "noreply+tag",   "owner-list", "bounce",     "bounces+123",  "bounce-5",
        "list-request",  "-request",   "no.reply",   "do_not_reply"};
    static const char *const people[] = {"jane",  "jane+noreply", "request", "requests",  "owner",
                                         "reply", "postmasters",  "abounce", "notnoreply"};
    for (size_t i = 0; i < sizeof robots / sizeof robots[0]; i++) {
        mailbus_buf_t json = MAILBUS_BUF_INIT;
        mailbus_buf_printf(&json, "\"from\":\"X <%s@example.com>\"", robots[i]);
        check(json.data, "robot-sender");
        mailbus_buf_clear(&json);
        mailbus_buf_printf(&json, "\"reply_to\":\"%s@example.com\"", robots[i]);
        check(json.data, "robot-sender");
        mailbus_buf_free(&json);
    }
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        mailbus_buf_t json = MAILBUS_BUF_INIT;
        mailbus_buf_printf(&json, "\"from\":\"%s@example.com\"", people[i]);
        check(json.data, "");
        mailbus_buf_free(&json);
    }
}

static void test_not_addressed(void **state)
{
    (void)state;
    check("\"to\":[\"everybody@list.example\"]", "not-addressed");
    check("\"to\":null", "not-addressed");
    check("\"to\":\"undisclosed-recipients:;\"", "not-addressed");
    check("\"to\":\"x@list.example\",\"bcc\":\"support@agentmail.to\"", "not-addressed");
    check("\"to\":\"x@list.example\",\"cc\":[\"SUPPORT@agentmail.to\"]", "");
    check("\"to\":\"info@ours.example\"", "");
    check("\"to\":[\"broken\",\"support@agentmail.to\"]", "");
}

static void test_answers_us(void **state)
{
    (void)state;
    check_mail("\"in_reply_to\":\"<ours@x>\"", (guards_mail_t){.answers_ours = true}, "answers-us");
    check("\"in_reply_to\":\"<theirs@x>\"", "");
}

static void test_too_old(void **state)
{
    (void)state;
    check_mail("", (guards_mail_t){.age_ms = 1000}, "");
    check_mail("", (guards_mail_t){.age_ms = 1001}, "too-old");
}

static void test_auto_submitted(void **state)
{
    (void)state;
    check_header("Auto-Submitted", "auto-replied", "auto-submitted");
    check_header("auto-submitted", "AUTO-GENERATED; type=x", "auto-submitted");
    check_header("Auto-Submitted", "auto-notified", "auto-submitted");
    check_header("Auto-Submitted", "no", "");
    check_header("Auto-Submitted", "No; comment=auto-replied", "");
    check_header("Auto-Submitted", " (a (nested) comment) no (x)", "");
    check_header("Auto-Submitted", "(no) auto-replied", "auto-submitted");
    check_header("Auto-Submitted", "none", "auto-submitted");
    check_header("Auto-Submitted", "", "auto-submitted");
    check("\"headers\":{\"Auto-Submitted\":[\"no\",\"auto-replied\"]}", "auto-submitted");
}

static void test_precedence(void **state)
{
    (void)state;
    check_header("Precedence", "bulk", "precedence");
    check_header("Precedence", "Junk", "precedence");
    check_header("Precedence", "list", "precedence");
    check_header("Precedence", "auto_reply", "precedence");
    check_header("Precedence", "first-class", "");
    check_header("Precedence", "bulky", "");
}

static void test_list(void **state)
{
    (void)state;
    check_header("List-Id", "<x.example>", "list");
    check_header("list-unsubscribe", "<mailto:x@y.z>", "list");
    check_header("List-Help", "", "list");
    check_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click", "list");
    check_header("X-List-Id", "x", "");
    check_header("Listen", "x", "");
}

static void test_auto_response_suppress(void **state)
{
    (void)state;
    check_header("X-Auto-Response-Suppress", "All", "auto-response-suppress");
    check_header("X-Auto-Response-Suppress", "DR, RN, OOF, AutoReply", "auto-response-suppress");
    check_header("X-Auto-Response-Suppress", "oof", "auto-response-suppress");
    check_header("X-Auto-Response-Suppress", "DR, NDR", "");
    check_header("X-Auto-Response-Suppress", "None", "");
    check_header("X-Auto-Response-Suppress", "", "");
}

static void test_auto_reply_mark(void **state)
{
    (void)state;
    check_header("X-Autoreply", "yes", "auto-reply-mark");
    check_header("X-AutoRespond", "", "auto-reply-mark");
    check_header("X-Autoresponder", "x", "auto-reply-mark");
    check_header("X-Auto", "x", "");
}

static void test_loop_mark(void **state)
{
    (void)state;
    check_header("X-Loop", "x@y.z", "loop-mark");
    check_header("X-Loops", "x", "");
}

static void test_report(void **state)
{
    (void)state;
    check_header("Content-Type", "multipart/report; report-type=delivery-status", "report");
    check_header("Content-Type", "Multipart/Report", "report");
    check_header("Content-Type", "message/delivery-status", "report");
    check_header("Content-Type", "message/disposition-notification", "report");
    check_header("Content-Type", "multipart/reporting", "");
    check_header("Content-Type", "multipart/mixed; x=multipart/report", "");
}

static void test_null_return_path(void **state)
{
    (void)state;
    check_header("Return-Path", "<>", "null-return-path");
    check_header("Return-Path", "<jane@example.com>", "");
}

/* --- passing on ---------------------------------------------------------------------------------
 */

static void check_forward(const char *members, const char *to, const char *expected)
{
    check_mail(members, (guards_mail_t){.kind = OUTGOING_FORWARD, .to = to, .age_ms = 99999999},
               expected);
}

/* Also what no answer may go to: lists, old mails, mails without a sender. */
static void test_a_forward_may_pass_lists_on(void **state)
{
    (void)state;
    check_forward("", "team@corp.example", "");
    check_forward("\"from\":null", "team@corp.example", "");
    check_forward("\"to\":\"x@list.example\"", "team@corp.example", "");
    check_forward("\"from\":\"noreply@shop.example\"", "team@corp.example", "");
    check_forward("\"headers\":{\"List-Id\":\"<x>\",\"Precedence\":\"bulk\",\"X-Loop\":\"l@x.y\","
                  "\"Auto-Submitted\":\"auto-generated\"}",
                  "team@corp.example", "");
}

static void test_a_forward_goes_to_nobody_who_sends_it_back(void **state)
{
    (void)state;
    check_forward("", "Support@agentmail.to", "own-recipient");
    check_forward("", "sales@agentmail.to", "own-recipient");
    check_forward("", "x@ours.example", "own-recipient");
    check_forward("", "JANE@example.com", "from-recipient");
    check_forward("\"from\":\"sales@agentmail.to\"", "team@corp.example", "own-sender");
    check_mail(
        "", (guards_mail_t){.kind = OUTGOING_FORWARD, .to = "t@corp.example", .to_is_inbox = true},
        "own-recipient");
    check_mail(
        "",
        (guards_mail_t){.kind = OUTGOING_FORWARD, .to = "t@corp.example", .from_is_inbox = true},
        "own-sender");
}

static void test_a_forward_is_not_passed_on_again(void **state)
{
    (void)state;
    check_forward("\"headers\":{\"X-Loop\":\"Support@agentmail.to\"}", "team@corp.example",
                  "loop-mark");
    check_forward("\"headers\":{\"X-Loop\":[\"l@x.y\",\"sales@agentmail.to\"]}",
                  "team@corp.example", "loop-mark");
    check_mail(
        "\"in_reply_to\":\"<ours@x>\"",
        (guards_mail_t){.kind = OUTGOING_FORWARD, .to = "t@corp.example", .answers_ours = true},
        "answers-us");
}

static void test_a_forward_tells_who_passed_it_on(void **state)
{
    (void)state;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_message_t *message =
        mail_with("\"headers\":{\"x-loop\":[\"a@x.y\",\"b@x.y, c@x.y\"]}");
    guards_loop_mark("in\r\nBcc: box@x", &message->headers, &out);
    assert_string_equal(out.data, "in Bcc: box@x, a@x.y, b@x.y, c@x.y");
    agentmail_message_free(&message);
    mailbus_buf_free(&out);
}

static void test_a_forward_of_a_bounce_would_bounce(void **state)
{
    (void)state;
    check_forward("\"from\":\"MAILER-DAEMON@corp.example\"", "team@corp.example", "robot-sender");
    check_forward("\"from\":\"postmaster@corp.example\"", "team@corp.example", "robot-sender");
    check_forward("\"headers\":{\"Content-Type\":\"multipart/report\"}", "team@corp.example",
                  "report");
    check_forward("\"headers\":{\"Return-Path\":\"<>\"}", "team@corp.example", "null-return-path");
}

static void test_an_answer_goes_to_one_reply_to_address_or_the_sender(void **state)
{
    (void)state;
    agentmail_message_t *message = mail_with("\"reply_to\":[\"a@b.c\",\"d@e.f\"]");
    assert_string_equal(guards_recipient(message)->address, "a@b.c");
    agentmail_message_free(&message);
    message = mail_with("");
    assert_string_equal(guards_recipient(message)->address, "jane@example.com");
    agentmail_message_free(&message);
    message = mail_with("\"from\":null");
    assert_null(guards_recipient(message));
    agentmail_message_free(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_mail_is_answered),
        cmocka_unit_test(test_no_sender),
        cmocka_unit_test(test_own_sender),
        cmocka_unit_test(test_robot_sender),
        cmocka_unit_test(test_not_addressed),
        cmocka_unit_test(test_answers_us),
        cmocka_unit_test(test_too_old),
        cmocka_unit_test(test_auto_submitted),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_auto_response_suppress),
        cmocka_unit_test(test_auto_reply_mark),
        cmocka_unit_test(test_loop_mark),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_null_return_path),
        cmocka_unit_test(test_a_forward_may_pass_lists_on),
        cmocka_unit_test(test_a_forward_goes_to_nobody_who_sends_it_back),
        cmocka_unit_test(test_a_forward_is_not_passed_on_again),
        cmocka_unit_test(test_a_forward_tells_who_passed_it_on),
        cmocka_unit_test(test_a_forward_of_a_bounce_would_bounce),
        cmocka_unit_test(test_an_answer_goes_to_one_reply_to_address_or_the_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
