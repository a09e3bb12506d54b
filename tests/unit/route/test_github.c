/* route/github.h: issues in which nothing acts, and what answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "mails.h"
#include "route/github.h"

static cJSON *render(const char *json, const char *note, const char *labels)
{
    card_t card;
    cJSON *tree = NULL;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    agentmail_message_t *message = mail_with(json);
    assert_int_equal(card_new(message, "r", note, "route-e~r:u", &card, NULL), MAILBUS_OK);
    github_render(&card, labels, &out);
    assert_false(out.failed);
    assert_int_equal(mailbus_json_parse(out.data, out.size, &tree, NULL), MAILBUS_OK);
    mailbus_buf_free(&out);
    card_free(&card);
    agentmail_message_free(&message);
    return tree;
}

static void test_an_issue_is_one_block_below_a_mark(void **state)
{
    (void)state;
    cJSON *tree = render("\"subject\":\"It @crashes #1\",\"text\":\"Hi @octocat,\\n<b>\"",
                         "**Note**", "a, b c ,,d");
    assert_string_equal(mailbus_json_string(tree, "title"), "It @\xE2\x80\x8B"
                                                            "crashes #\xE2\x80\x8B"
                                                            "1");
    assert_string_equal(
        mailbus_json_string(tree, "body"),
        "<!-- mailbus:route-e~r:u -->\n**Note**\n\n"
        "```text\nFrom: Jane Doe <jane@example.com>\nTo: Support <support@agentmail.to>\n"
        "Inbox: support@agentmail.to\nSubject: It @\xE2\x80\x8B"
        "crashes #\xE2\x80\x8B"
        "1\nMessage-ID: <m@x>\n\nHi @\xE2\x80\x8B"
        "octocat,\n<b>\n```\n");
    const cJSON *labels = mailbus_json_item(tree, "labels");
    assert_int_equal(cJSON_GetArraySize(labels), 3);
    assert_string_equal(cJSON_GetArrayItem(labels, 1)->valuestring, "b c");
    cJSON_Delete(tree);
    tree = render("\"text\":\"x\"", NULL, NULL);
    assert_null(mailbus_json_item(tree, "labels"));
    cJSON_Delete(tree);
}

static void test_no_text_ends_the_block(void **state)
{
    (void)state;
    cJSON *tree = render("\"text\":\"a\\n```\\n@x\\n`````` text\\n\"", NULL, NULL);
    const char *body = mailbus_json_string(tree, "body");
    const char *fence = strchr(body, '\n') + 1;
    assert_true(strncmp(fence, "```````text\n", 12) == 0); /* one more than the longest run */
    assert_string_equal(body + strlen(body) - 9, "\n```````\n");
    cJSON_Delete(tree);
}

static char *repeated(const char *text, size_t count)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "\"text\":\"");
    for (size_t i = 0; i < count; i++) {
        mailbus_buf_text(&out, text);
    }
    mailbus_buf_text(&out, "\",\"subject\":\"");
    for (size_t i = 0; i < 300; i++) {
        mailbus_buf_text(&out, text);
    }
    mailbus_buf_char(&out, '"');
    return mailbus_buf_take(&out, NULL);
}

static void test_everything_is_within_the_limits(void **state)
{
    (void)state;
    static const char *const texts[] = {"x", "`", "@a ", "ä", "\xF0\x9F\x99\x82", "\\n", "&lt;#"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *json = repeated(texts[i], 90000);
        cJSON *tree = render(json, "Note", NULL);
        const char *body = mailbus_json_string(tree, "body");
        assert_true(strlen(body) <= GITHUB_BODY_MAX);
        bool cut = strstr(body, "*Cut: the text has") != NULL;
        assert_int_equal(cut, strcmp(texts[i], "\\n") != 0); /* nothing but line ends is no text */
        assert_true(strlen(mailbus_json_string(tree, "title")) <= (size_t)GITHUB_TITLE_MAX * 4);
        cJSON_Delete(tree);
        free(json);
    }
}

typedef struct {
    long status;
    const char *body;
    github_limits_t limits;
    agentmail_verdict_t verdict;
    bool maybe_done, operator_error, strike;
    double wait;
} row_t;

#define NOW 1700000000
#define NONE                                                                                       \
    {                                                                                              \
        0, "", ""                                                                                  \
    }
#define DONE       AGENTMAIL_DONE
#define RETRY      AGENTMAIL_RETRY
#define REJECT     AGENTMAIL_REJECT
#define SAYS(text) "{\"message\":\"" text "\"}"

static void test_answers(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {201, "{\"html_url\":\"x\"}", NONE, DONE, false, false, false, 0},
        {200, "[]", NONE, DONE, false, false, false, 0},
        {201, "", NONE, RETRY, true, false, false, 0},
        {200, "<html>", NONE, RETRY, true, false, false, 0},
        {301, "", NONE, RETRY, false, true, false, 0},
        {401, SAYS("Bad credentials"), NONE, RETRY, false, true, false, 0},
        {403,
         SAYS("Resource not accessible"),
         {0, "4999", "1700003600"},
         RETRY,
         false,
         true,
         false,
         0},
        {403, SAYS("x"), {60, "", ""}, RETRY, false, false, false, 60},
        {403, SAYS("x"), {0, "0", "1700000100"}, RETRY, false, false, false, 101},
        {403, SAYS("x"), {5, "0", "1700000100"}, RETRY, false, false, false, 5},
        {429, SAYS("x"), {0, "0", "1699999000"}, RETRY, false, false, false, 1},
        {429, SAYS("x"), {0, "0", "99999999999999"}, RETRY, false, false, true, 0},
        {429, SAYS("x"), {0, "0", "170000010000"}, RETRY, false, false, false, 86400},
        {429, SAYS("x"), {0, "0", "soon"}, RETRY, false, false, true, 0},
        {429, SAYS("x"), NONE, RETRY, false, false, true, 0},
        {403, SAYS("You have exceeded a secondary rate limit"), NONE, RETRY, false, false, true, 0},
        {403, SAYS("You have triggered an abuse detection mechanism"), NONE, RETRY, false, false,
         true, 0},
        {404, SAYS("Not Found"), NONE, REJECT, false, false, false, 0},
        {410, SAYS("Issues has been disabled"), NONE, REJECT, false, false, false, 0},
        {422, SAYS("Validation Failed"), NONE, REJECT, false, false, false, 0},
        {408, "", NONE, RETRY, true, false, false, 0},
        {500, "", NONE, RETRY, true, false, false, 0},
        {503, "", {9, "", ""}, RETRY, true, false, false, 9},
        {999, "", NONE, RETRY, true, false, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row_t *row = &rows[i];
        agentmail_result_t result;
        bool strike = true;
        github_judge("create", row->status, row->body, strlen(row->body), &row->limits, NOW,
                     &result, &strike);
        if (result.verdict != row->verdict || result.maybe_done != row->maybe_done ||
            result.operator_error != row->operator_error || strike != row->strike ||
            result.retry_after != row->wait) {
            fail_msg("row %zu: verdict %d, maybe %d, operator %d, strike %d, wait %g: %s", i,
                     (int)result.verdict, result.maybe_done, result.operator_error, strike,
                     result.retry_after, result.text);
        }
        agentmail_result_free(&result);
    }
}

static void test_the_mark_counts_in_the_first_line_alone(void **state)
{
    (void)state;
    cJSON *page = cJSON_Parse(
        "[{\"body\":\"> <!-- mailbus:m "
        "-->\\n\",\"html_url\":\"a\"},{\"body\":null,\"html_url\":\"b\"},"
        "{\"body\":\"x\\n<!-- mailbus:m -->\\n\",\"html_url\":\"c\"},"
        "{\"body\":\"<!-- mailbus:m2 -->\",\"html_url\":\"d\"},"
        "{\"body\":\"<!-- mailbus:m "
        "-->\\r\\nedited\",\"html_url\":\"e\",\"created_at\":\"2023-11-14T22:13:20Z\"}]");
    assert_string_equal(github_find_mark(page, "m"), "e");
    assert_null(github_find_mark(page, "n"));
    assert_true(github_is_before(page, 1700000000001));
    assert_false(github_is_before(page, 1700000000000));
    cJSON_Delete(page);
    page = cJSON_Parse("{\"message\":\"not a list\"}");
    assert_null(github_find_mark(page, "m"));
    assert_false(github_is_before(page, 1));
    cJSON_Delete(page);
}

static void check_link(const char *link, const char *expected)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    assert_int_equal(github_next_page(link, &out), expected[0] != '\0');
    assert_string_equal(out.data, expected);
    mailbus_buf_free(&out);
}

static void test_the_next_page_is_the_one_that_is_called_next(void **state)
{
    (void)state;
    check_link("<https://h/a?page=1>; rel=\"prev\", <https://h/a?page=3>; rel=\"next\", "
               "<https://h/a?page=9>; rel=\"last\"",
               "https://h/a?page=3");
    check_link("<https://h/a>; rel=\"last\"", "");
    check_link("<https://h/a", "");
    check_link("", "");
    check_link("rel=\"next\"", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_issue_is_one_block_below_a_mark),
        cmocka_unit_test(test_no_text_ends_the_block),
        cmocka_unit_test(test_everything_is_within_the_limits),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_the_mark_counts_in_the_first_line_alone),
        cmocka_unit_test(test_the_next_page_is_the_one_that_is_called_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
