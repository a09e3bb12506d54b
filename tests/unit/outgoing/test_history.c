/* outgoing/history.h: what was done with each mail, as people ask for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mailbus/json.h"
#include "outgoing/history.h"
#include "outgoing/records.h"

#define NOW 1791797464000LL /* 2026-10-12T09:31:04Z */

static void note(sqlite3 *db, const char *event, const char *sender, const char *recipient,
                 const char *action, int64_t now)
{
    const records_history_t line = {.key = {.event_id = event, .part = ""},
                                    .inbox = "support@agentmail.to",
                                    .message_id = "<m@x>",
                                    .sender = sender,
                                    .recipient = recipient,
                                    .subject = "\"Hi\"",
                                    .action = action,
                                    .reason = "because",
                                    .now_ms = now};
    assert_int_equal(records_note(db, &line, NULL), MAILBUS_OK);
}

static int open_db(void **state)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_exec(db, outgoing_schema, NULL, NULL, NULL) != SQLITE_OK) {
        return -1;
    }
    note(db, "e1", "Jane@Example.com", "jane@example.com", "answered", NOW);
    note(db, "e2", "john@example.com", NULL, "silent", NOW + 1000);
    note(db, "e3", "jane@example.com", NULL, "silent", NOW + 2000);
    note(db, "e4", "june@example.com", "jane@example.com", "answered", NOW + 3000);
    note(db, "e5", NULL, NULL, "rejected", NOW + 4000);
    *state = db;
    return 0;
}

static int close_db(void **state)
{
    return sqlite3_close(*state) == SQLITE_OK ? 0 : -1;
}

/* The events of the answer, blank-separated, and its "next" (0: null). */
static void check(sqlite3 *db, const char *request, const char *expected, int next)
{
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    mailbus_buf_t events = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    cJSON *tree = NULL;
    if (history_run(db, request, strlen(request), NOW, &answer, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", request, error.text);
    }
    assert_int_equal(mailbus_json_parse_object(answer.data, answer.size, &tree, NULL), MAILBUS_OK);
    mailbus_buf_text(&events, "");
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, mailbus_json_item(tree, "rows"))
    {
        mailbus_buf_printf(&events, events.size == 0 ? "%s" : " %s",
                           mailbus_json_string(row, "event_id"));
    }
    assert_string_equal(events.data, expected);
    const cJSON *after = mailbus_json_item(tree, "next");
    assert_int_equal(cJSON_IsNull(after) ? 0 : (int)after->valuedouble, next);
    cJSON_Delete(tree);
    mailbus_buf_free(&events);
    mailbus_buf_free(&answer);
}

static void test_newest_first_page_by_page(void **state)
{
    check(*state, "{}", "e5 e4 e3 e2 e1", 0);
    check(*state, "{\"limit\":2}", "e5 e4", 4);
    check(*state, "{\"limit\":2,\"after\":4}", "e3 e2", 2);
    check(*state, "{\"limit\":2,\"after\":2}", "e1", 0);
    check(*state, "{\"limit\":5}", "e5 e4 e3 e2 e1", 1);
    check(*state, "{\"limit\":5,\"after\":1}", "", 0);
    check(*state, "{\"limit\":100000,\"after\":null}", "e5 e4 e3 e2 e1", 0);
}

static void test_filters(void **state)
{
    check(*state, "{\"address\":\"JANE@example.com\"}", "e4 e3 e1", 0);
    check(*state, "{\"address\":\"jane\"}", "", 0);
    check(*state, "{\"address\":\"' OR 1=1 --\"}", "", 0);
    check(*state, "{\"action\":\"silent\"}", "e3 e2", 0);
    check(*state, "{\"action\":\"silent\",\"address\":\"jane@example.com\"}", "e3", 0);
    check(*state, "{\"since_ms\":1791797466000}", "e5 e4 e3", 0);
}

static void test_a_row_has_everything(void **state)
{
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    assert_int_equal(history_run(*state, "{\"after\":2}", 11, NOW, &answer, NULL), MAILBUS_OK);
    assert_string_equal(
        answer.data,
        "{\"rows\":[{\"time\":\"2026-10-12T09:31:04.000Z\",\"action\":\"answered\",\"reason\":"
        "\"because\",\"sender\":\"Jane@Example.com\",\"recipient\":\"jane@example.com\","
        "\"subject\":\"\\\"Hi\\\"\",\"inbox\":\"support@agentmail.to\",\"message_id\":\"<m@x>\","
        "\"event_id\":\"e1\",\"part\":\"\"}],\"next\":null}");
    mailbus_buf_free(&answer);
}

static void test_wrong_questions_are_named(void **state)
{
    static const char *const bad[][2] = {
        {"", "the document"},          {"[]", "object"},
        {"{\"limit\":0}", "limit"},    {"{\"limit\":1.5}", "limit"},
        {"{\"after\":-1}", "after"},   {"{\"address\":7}", "address"},
        {"{\"action\":[]}", "action"}, {"{\"since_ms\":\"yesterday\"}", "since_ms"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mailbus_buf_t answer = MAILBUS_BUF_INIT;
        mailbus_error_t error = {0};
        mailbus_code_t code =
            history_run(*state, bad[i][0], strlen(bad[i][0]), NOW, &answer, &error);
        if (code != MAILBUS_EINVAL || (i > 1 && strstr(error.text, bad[i][1]) == NULL)) {
            fail_msg("%s: %d %s", bad[i][0], code, error.text);
        }
        mailbus_buf_free(&answer);
    }
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_newest_first_page_by_page),
        DB_TEST(test_filters),
        DB_TEST(test_a_row_has_everything),
        DB_TEST(test_wrong_questions_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
