/* route/slack.h: messages that do nothing by themselves, and what answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "mails.h"
#include "route/slack.h"

static cJSON *render(const char *json, const char *note, const char *channel)
{
    card_t card;
    cJSON *tree = NULL;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_message_t *message = mail_with(json);
    assert_int_equal(card_new(message, "r", note, "route-e~r:u", &card, NULL), MAILBUS_OK);
    slack_render(&card, channel, &out);
    assert_false(out.failed);
    assert_int_equal(mailbus_json_parse(out.data, out.size, &tree, NULL), MAILBUS_OK);
    mailbus_buf_free(&out);
    card_free(&card);
    agentmail_message_free(&message);
    return tree;
}

static const cJSON *block(const cJSON *tree, int index)
{
    return cJSON_GetArrayItem(mailbus_json_item(tree, "blocks"), index);
}

static const char *text_of(const cJSON *item)
{
    const cJSON *text = mailbus_json_item(item, "text");
    if (text == NULL) {
        text = mailbus_json_item(item, "elements")->child;
    }
    return mailbus_json_string(text, "text");
}

static void test_a_message_is_plain_text(void **state)
{
    (void)state;
    cJSON *tree =
        render("\"subject\":\"<!channel> & @here\",\"text\":\"a <b>\\nc\"", NULL, "#team");
    assert_string_equal(mailbus_json_string(tree, "channel"), "#team");
    assert_string_equal(text_of(block(tree, 0)), "&lt;!channel&gt; &amp; @here");
    assert_string_equal(
        text_of(block(tree, 1)),
        "From Jane Doe &lt;jane@example.com&gt; to Support &lt;support@agentmail.to&gt;");
    assert_string_equal(text_of(block(tree, 2)), "a &lt;b&gt;\nc");
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(tree, "blocks")), 3);
    assert_string_equal(mailbus_json_string(tree, "text"),
                        "Jane Doe &lt;jane@example.com&gt;: &lt;!channel&gt; &amp; @\xE2\x80\x8B"
                        "here");
    const cJSON *metadata = mailbus_json_item(tree, "metadata");
    assert_string_equal(mailbus_json_string(mailbus_json_item(metadata, "event_payload"), "mark"),
                        "route-e~r:u");
    cJSON_Delete(tree);
}

static void test_the_operators_note_stands_above_as_it_is(void **state)
{
    (void)state;
    cJSON *tree = render("\"text\":\"x\"", "<!here> *look*", NULL);
    const cJSON *note = mailbus_json_item(block(tree, 0), "text");
    assert_string_equal(mailbus_json_string(note, "type"), "mrkdwn");
    assert_string_equal(mailbus_json_string(note, "text"), "<!here> *look*");
    assert_null(mailbus_json_item(tree, "channel"));
    assert_null(mailbus_json_item(tree, "metadata"));
    cJSON_Delete(tree);
}

static void test_escaping_counts_what_slack_gets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max, taken;
        const char *expected;
    } rows[] = {
        {"a&b", 7, 3, "a&amp;b"}, {"a&b", 6, 2, "a&amp;"}, {"a&b", 5, 1, "a"},
        {"<>", 8, 2, "&lt;&gt;"}, {"<>", 7, 1, "&lt;"},    {"äb", 1, 2, "ä"},
        {"🙂x", 2, 4, "🙂"},  {"🙂x", 1, 0, ""},     {"", 5, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_buf_text(&out, "");
        assert_int_equal(slack_escape(rows[i].text, strlen(rows[i].text), rows[i].max, &out),
                         rows[i].taken);
        assert_string_equal(out.data, rows[i].expected);
        mailbus_buf_free(&out);
    }
}

static void test_a_long_text_is_cut_between_lines_and_says_so(void **state)
{
    (void)state;
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_buf_text(&json, "\"text\":\"");
    for (int i = 0; i < 500; i++) {
        mailbus_buf_printf(&json, "line %04d & so on, quite long\\n", i);
    }
    mailbus_buf_char(&json, '"');
    cJSON *tree = render(json.data, NULL, "#team");
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(tree, "blocks")), 6);
    for (int i = 2; i < 5; i++) {
        const char *text = text_of(block(tree, i));
        assert_true(strlen(text) <= SLACK_SECTION_MAX);
        assert_true(strlen(text) > SLACK_SECTION_MAX - 100);
        assert_true(text[strlen(text) - 1] == '\n');
    }
    assert_string_equal(mailbus_json_string(block(tree, 5), "type"), "context");
    assert_true(strncmp(text_of(block(tree, 5)), "Cut: ", 5) == 0);
    cJSON_Delete(tree);
    mailbus_buf_free(&json);
}

static void test_sections_of_blanks_are_left_out(void **state)
{
    (void)state;
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_buf_text(&json, "\"text\":\"a");
    for (int i = 0; i < 7000; i++) {
        mailbus_buf_text(&json, "\\n ");
    }
    mailbus_buf_text(&json, "b\"");
    cJSON *tree = render(json.data, NULL, "#team");
    const cJSON *item;
    cJSON_ArrayForEach(item, mailbus_json_item(tree, "blocks"))
    {
        const char *text = text_of(item);
        assert_true(strspn(text, " \n") < strlen(text));
    }
    assert_string_equal(mailbus_json_string(block(tree, 3), "type"), "section");
    cJSON_Delete(tree);
    mailbus_buf_free(&json);
}

typedef struct {
    long status;
    const char *body;
    double retry_after;
    agentmail_verdict_t verdict;
    bool maybe_done, operator_error;
    double wait;
} row_t;

static void check(const row_t *row, bool webhook)
{
    agentmail_result_t result;
    if (webhook) {
        slack_webhook_judge(row->status, row->body, strlen(row->body), row->retry_after, &result);
    } else {
        slack_judge("post", row->status, row->body, strlen(row->body), row->retry_after, &result);
    }
    if (result.verdict != row->verdict || result.maybe_done != row->maybe_done ||
        result.operator_error != row->operator_error || result.retry_after != row->wait) {
        fail_msg("%ld %s: verdict %d, maybe %d, operator %d, wait %g: %s", row->status, row->body,
                 (int)result.verdict, result.maybe_done, result.operator_error, result.retry_after,
                 result.text);
    }
    assert_true((result.json != NULL) == (row->verdict == AGENTMAIL_DONE && !webhook));
    assert_null(strchr(result.text, '\n'));
    agentmail_result_free(&result);
}

#define DONE        AGENTMAIL_DONE
#define RETRY       AGENTMAIL_RETRY
#define REJECT      AGENTMAIL_REJECT
#define ERROR(word) "{\"ok\":false,\"error\":\"" word "\"}"

static void test_answers_of_the_web_api(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {200, "{\"ok\":true,\"ts\":\"1.2\"}", 0, DONE, false, false, 0},
        {200, ERROR("invalid_auth"), 0, RETRY, false, true, 0},
        {200, ERROR("token_revoked"), 0, RETRY, false, true, 0},
        {200, ERROR("missing_scope"), 0, RETRY, false, true, 0},
        {200, ERROR("org_login_required"), 0, RETRY, false, true, 0},
        {200, ERROR("ratelimited"), 0, RETRY, false, false, 30},
        {200, ERROR("rate_limited"), 7, RETRY, false, false, 7},
        {200, ERROR("channel_not_found"), 0, REJECT, false, false, 0},
        {200, ERROR("not_in_channel"), 0, REJECT, false, false, 0},
        {200, ERROR("is_archived"), 0, REJECT, false, false, 0},
        {200, ERROR("msg_too_long"), 0, REJECT, false, false, 0},
        {200, ERROR("invalid_blocks"), 0, REJECT, false, false, 0},
        {200, ERROR("some\\nthing\\u001b new"), 0, REJECT, false, false, 0},
        {200, ERROR("fatal_error"), 0, RETRY, true, false, 0},
        {200, ERROR("internal_error"), 0, RETRY, true, false, 0},
        {200, "{\"ok\":false}", 0, RETRY, true, false, 0},
        {200, "{}", 0, RETRY, true, false, 0},
        {200, "", 0, RETRY, true, false, 0},
        {200, "<html>", 0, RETRY, true, false, 0},
        {200, "{\"ok\":true}garbage", 0, RETRY, true, false, 0},
        {302, "", 0, RETRY, false, true, 0},
        {401, "<html>", 0, RETRY, false, true, 0},
        {429, ERROR("ratelimited"), 3, RETRY, false, false, 3},
        {429, "", 0, RETRY, false, false, 30},
        {500, "", 0, RETRY, true, false, 0},
        {503, "", 9, RETRY, true, false, 9},
        {100, "", 0, RETRY, true, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i], false);
    }
}

static void test_answers_of_incoming_webhooks(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {200, "ok", 0, DONE, false, false, 0},
        {200, "<html>", 0, RETRY, true, false, 0},
        {200, "", 0, RETRY, true, false, 0},
        {400, "invalid_payload", 0, REJECT, false, false, 0},
        {403, "action_prohibited", 0, REJECT, false, false, 0},
        {403, "invalid_token", 0, RETRY, false, true, 0},
        {404, "channel_not_found", 0, REJECT, false, false, 0},
        {404, "no_service", 0, RETRY, false, true, 0},
        {404, "no_team", 0, RETRY, false, true, 0},
        {410, "channel_is_archived", 0, REJECT, false, false, 0},
        {429, "rate_limited", 1, RETRY, false, false, 1},
        {500, "rollup_error", 0, RETRY, true, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i], true);
    }
}

static void test_pages_are_searched(void **state)
{
    (void)state;
    cJSON *page = cJSON_Parse(
        "{\"messages\":[{\"ts\":\"1\"},{\"ts\":\"2\",\"text\":\"m\",\"metadata\":{\"event_"
        "payload\":{\"mark\":\"n\"}}},"
        "{\"ts\":\"3\",\"metadata\":{\"event_payload\":{\"mark\":\"m\"}}}],"
        "\"channels\":[{\"id\":\"C1\",\"name\":\"a\"},{\"id\":\"C2\",\"name\":\"team\"}],"
        "\"response_metadata\":{\"next_cursor\":\"abc=\"}}");
    assert_string_equal(slack_find_mark(page, "m"), "3");
    assert_null(slack_find_mark(page, "o"));
    assert_string_equal(slack_find_channel(page, "#team"), "C2");
    assert_string_equal(slack_find_channel(page, "team"), "C2");
    assert_null(slack_find_channel(page, "#tea"));
    assert_string_equal(slack_next_page(page), "abc=");
    cJSON_Delete(page);
    page = cJSON_Parse("{\"response_metadata\":{\"next_cursor\":\"\"},\"messages\":7}");
    assert_null(slack_next_page(page));
    assert_null(slack_find_mark(page, "m"));
    cJSON_Delete(page);
    assert_true(slack_is_channel_id("C024BE91L"));
    assert_true(slack_is_channel_id("G0123456789"));
    assert_false(slack_is_channel_id("CHANNEL"));
    assert_false(slack_is_channel_id("#C024BE91L"));
    assert_false(slack_is_channel_id("company-wide"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_is_plain_text),
        cmocka_unit_test(test_the_operators_note_stands_above_as_it_is),
        cmocka_unit_test(test_escaping_counts_what_slack_gets),
        cmocka_unit_test(test_a_long_text_is_cut_between_lines_and_says_so),
        cmocka_unit_test(test_sections_of_blanks_are_left_out),
        cmocka_unit_test(test_answers_of_the_web_api),
        cmocka_unit_test(test_answers_of_incoming_webhooks),
        cmocka_unit_test(test_pages_are_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
