/* route/card.h: what of a mail people see elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mails.h"
#include "route/card.h"

static card_t card_of(const char *json)
{
    card_t card;
    agentmail_message_t *message = mail_with(json);
    assert_int_equal(card_new(message, "rule", NULL, "mark", &card, NULL), MAILBUS_OK);
    agentmail_message_free(&message);
    return card;
}

static void test_a_card_is_clean(void **state)
{
    (void)state;
    card_t card = card_of(
        "\"subject\":\" a\\r\\nBcc: b@c \\u001b[0m\\u202e\",\"text\":\"x\\r\\ny\\u0007 \\n\\n\","
        "\"from\":\"\\\"@channel\\\" <jane@example.com>\"");
    assert_string_equal(card.subject, "a Bcc: b@c [0m");
    assert_string_equal(card.text, "x\ny");
    assert_true(card.has_text);
    assert_string_equal(card.from, "@channel <jane@example.com>");
    assert_string_equal(card.to, "Support <support@agentmail.to>");
    assert_string_equal(card.inbox, "support@agentmail.to");
    assert_string_equal(card.message_id, "<m@x>");
    card_free(&card);
    card_free(&card);
}

static void test_what_is_missing_is_said(void **state)
{
    (void)state;
    card_t card = card_of("\"subject\":\" \\n\",\"from\":\"\",\"to\":[]");
    assert_string_equal(card.subject, "(no subject)");
    assert_string_equal(card.from, "(nobody)");
    assert_string_equal(card.to, "(nobody)");
    assert_false(card.has_text);
    assert_non_null(strstr(card.text, "the event brings no text"));
    card_free(&card);
    card = card_of("\"text\":\"  \",\"html\":\"<b>x</b>\",\"preview\":\"short\"");
    assert_string_equal(card.text, "short");
    card_free(&card);
    card = card_of("\"html\":\"<b>x</b>\"");
    assert_string_equal(card.text, "(the mail has no text)");
    card_free(&card);
}

static void test_many_recipients_are_counted(void **state)
{
    (void)state;
    card_t card =
        card_of("\"to\":[\"a@x.y\",\"b@x.y\",\"c@x.y\",\"d@x.y\",\"e@x.y\",\"f@x.y\",\"g@x.y\"]");
    assert_string_equal(card.to, "a@x.y, b@x.y, c@x.y, d@x.y, e@x.y and 2 more");
    card_free(&card);
}

static void check_cut(const char *text, size_t max, const char *expected)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    card_cut(text, max, &out);
    assert_string_equal(out.data, expected);
    mailbus_buf_free(&out);
}

static void test_a_cut_counts_characters_and_says_so(void **state)
{
    (void)state;
    check_cut("abc", 3, "abc");
    check_cut("abcd", 3, "ab…");
    check_cut("äöüß", 4, "äöüß");
    check_cut("äöüßx", 4, "äöü…");
    check_cut("🙂🙂", 4, "🙂🙂"); /* two units each, as JavaScript counts */
    check_cut("🙂🙂", 3, "🙂…");
    check_cut("🙂🙂", 2, "…");
    check_cut("", 3, "");
}

static void check_disarm(const char *text, const char *expected)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    card_disarm(text, strlen(text), &out);
    assert_string_equal(out.data, expected);
    mailbus_buf_free(&out);
}

#define ZWS "\xE2\x80\x8B"

static void test_what_begins_a_mention_is_disarmed_and_an_address_is_not(void **state)
{
    (void)state;
    check_disarm("@octocat", "@" ZWS "octocat");
    check_disarm("(@a/b) and @c", "(@" ZWS "a/b) and @" ZWS "c");
    check_disarm("jane@example.com a_@b", "jane@example.com a_@b");
    check_disarm("fixes #1, acme/app#2 x#3", "fixes #" ZWS "1, acme/app#2 x#3");
    check_disarm("é@x", "é@" ZWS "x");
    check_disarm("@@x", "@" ZWS "@" ZWS "x");
    check_disarm("", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_card_is_clean),
        cmocka_unit_test(test_what_is_missing_is_said),
        cmocka_unit_test(test_many_recipients_are_counted),
        cmocka_unit_test(test_a_cut_counts_characters_and_says_so),
        cmocka_unit_test(test_what_begins_a_mention_is_disarmed_and_an_address_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
