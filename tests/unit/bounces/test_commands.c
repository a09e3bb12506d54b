/* commands.h: what people ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

#include "commands.h"
#include "mailbus/json.h"

#define NOW (MONDAY + 10 * DAY)

static int open_filled(void **state)
{
    if (events_open(state) != 0) {
        return -1;
    }
    sqlite3 *db = *state;
    events_bounce(db, "b1", "Dead@a.example", "Permanent", "5.1.1", MONDAY);
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "p%d", i);
        events_bounce(db, id, "paused@b.example", "Transient", "4.2.2", MONDAY + 5 * DAY + i);
    }
    events_bounce(db, "s1", "soft@b.example", "Transient", "4.2.2", MONDAY + 9 * DAY);
    events_bounce(db, "t1", "blocked@sub.a.example", "Permanent", "5.7.1", MONDAY);
    events_sent(db, "o1", "fine@a.example", MONDAY + 9 * DAY);
    events_delivered(db, "o2", "fine@a.example", MONDAY + 9 * DAY);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_filled, events_close)

static mailbus_code_t run(sqlite3 *db, const char *name, const char *request, cJSON **ret_answer,
                          mailbus_error_t *error)
{
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    const mailbus_command_t *command = bounces_commands;
    while (strcmp(command->name, name) != 0) {
        command++;
        assert_non_null(command->name);
    }
    mailbus_code_t code = command->run(db, request, strlen(request), NOW, &answer, error);
    if (code == MAILBUS_OK) {
        mailbus_error_t why = {0};
        if (mailbus_json_parse_object(answer.data, answer.size, ret_answer, &why) != MAILBUS_OK) {
            fail_msg("%s: %s", why.text, answer.data);
        }
    }
    mailbus_buf_free(&answer);
    return code;
}

static cJSON *ask(sqlite3 *db, const char *name, const char *request)
{
    cJSON *answer = NULL;
    mailbus_error_t error = {0};
    if (run(db, name, request, &answer, &error) != MAILBUS_OK) {
        fail_msg("%s %s: %s", name, request, error.text);
    }
    return answer;
}

/* The addresses of a list, in one text. */
static void check_list(sqlite3 *db, const char *request, const char *expected)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    cJSON *answer = ask(db, "list", request);
    const cJSON *row;
    mailbus_buf_text(&text, "");
    cJSON_ArrayForEach(row, mailbus_json_item(answer, "rows"))
    {
        mailbus_buf_printf(&text, "%s:%s ", mailbus_json_string(row, "address"),
                           mailbus_json_string(row, "state"));
    }
    assert_string_equal(text.data, expected);
    cJSON_Delete(answer);
    mailbus_buf_free(&text);
}

static void test_list_shows_what_bounced_and_filters(void **state)
{
    sqlite3 *db = *state;
    check_list(db, "{}",
               "blocked@sub.a.example:ok Dead@a.example:dead paused@b.example:paused "
               "soft@b.example:ok ");
    check_list(db, "{\"only\":\"dead\"}", "Dead@a.example:dead ");
    check_list(db, "{\"only\":\"paused\"}", "paused@b.example:paused ");
    check_list(db, "{\"only\":\"ok\"}",
               "blocked@sub.a.example:ok fine@a.example:ok soft@b.example:ok ");
    check_list(db, "{\"only\":\"all\",\"domain\":\"A.Example\"}",
               "Dead@a.example:dead fine@a.example:ok ");
    check_list(db, "{\"domain\":\"@b.example\"}", "paused@b.example:paused soft@b.example:ok ");
    check_list(db, "{\"inbox\":\"HELP@agentmail.to\",\"only\":\"dead\"}", "Dead@a.example:dead ");
    check_list(db, "{\"inbox\":\"other@agentmail.to\"}", "");
}

static void test_list_comes_in_pages(void **state)
{
    sqlite3 *db = *state;
    char request[200] = "{\"only\":\"all\",\"limit\":2}";
    int rows = 0;
    int pages = 0;
    for (bool more = true; more; pages++) {
        cJSON *answer = ask(db, "list", request);
        const char *next = mailbus_json_string(answer, "next");
        int here = cJSON_GetArraySize(mailbus_json_item(answer, "rows"));
        assert_true(here <= 2 && pages < 10);
        rows += here;
        more = next != NULL;
        snprintf(request, sizeof request, "{\"only\":\"all\",\"limit\":2,\"after\":\"%s\"}",
                 more ? next : "");
        cJSON_Delete(answer);
    }
    assert_int_equal(rows, 5);
    assert_true(pages >= 3);
}

static void check_text(const cJSON *object, const char *key, const char *expected)
{
    const char *text = mailbus_json_string(object, key);
    if (expected == NULL ? text != NULL : text == NULL || strcmp(text, expected) != 0) {
        fail_msg("%s is %s", key, text);
    }
}

static void test_show_tells_all_of_one(void **state)
{
    sqlite3 *db = *state;
    cJSON *answer = ask(db, "show", "{\"address\":\"PAUSED@b.example\"}");
    check_text(answer, "address", "paused@b.example");
    check_text(answer, "state", "paused");
    check_text(answer, "since", "2026-10-17T00:00:00.002Z");
    check_text(answer, "until", "2026-10-24T00:00:00.002Z");
    check_text(answer, "reason", "4.2.2 Transient/General");
    assert_int_equal(mailbus_json_item(answer, "soft")->valueint, 3);
    assert_int_equal(mailbus_json_item(answer, "counting")->valueint, 3);
    const cJSON *history = mailbus_json_item(answer, "history");
    assert_int_equal(cJSON_GetArraySize(history), 3);
    check_text(history->child, "event", "p2"); /* the newest first */
    check_text(history->child, "what", "soft");
    check_text(history->child, "status", "4.2.2");
    check_text(history->child, "inbox", "help@agentmail.to");
    check_text(history->child, "message", "<m@x>");
    cJSON_Delete(answer);
}

static void test_clear_wants_a_reason_and_keeps_it(void **state)
{
    sqlite3 *db = *state;
    cJSON *answer = NULL;
    mailbus_error_t error = {0};
    static const char *const without[] = {
        "{\"address\":\"dead@a.example\"}", "{\"address\":\"dead@a.example\",\"reason\":\"\"}",
        "{\"address\":\"dead@a.example\",\"reason\":\" \\r\\n \"}"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(run(db, "clear", without[i], &answer, &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, "why"));
    }
    answer = ask(db, "clear",
                 "{\"address\":\"Dead@A.example\",\"reason\":\"asked\\r\\nher \\u001b[2J\"}");
    check_text(answer, "state", "ok");
    check_text(mailbus_json_item(answer, "history")->child, "what", "cleared");
    check_text(mailbus_json_item(answer, "history")->child, "reason", "asked her [2J");
    cJSON_Delete(answer);
}

static void test_wrong_requests_are_refused_with_what_would_be_right(void **state)
{
    sqlite3 *db = *state;
    static const struct {
        const char *command, *request, *says;
        mailbus_code_t code;
    } rows[] = {
        {"list", "{\"only\":\"lost\"}", "bounced, ok", MAILBUS_EINVAL},
        {"list", "{\"only\":7}", "only", MAILBUS_EINVAL},
        {"list", "{\"domain\":[]}", "domain", MAILBUS_EINVAL},
        {"list", "{\"limit\":0}", "limit", MAILBUS_EINVAL},
        {"list", "{\"limit\":\"x\"}", "limit", MAILBUS_EINVAL},
        {"list", "[]", "", MAILBUS_EINVAL},
        {"show", "{}", "one mail address", MAILBUS_EINVAL},
        {"show", "{\"address\":\"no\"}", "one mail address", MAILBUS_EINVAL},
        {"show", "{\"address\":\"a@x.example, b@x.example\"}", "one mail address", MAILBUS_EINVAL},
        {"show", "{\"address\":\"nobody@x.example\"}", "nobody@x.example", MAILBUS_ENOTFOUND},
        {"clear", "{\"address\":\"nobody@x.example\",\"reason\":\"x\"}", "nobody@x.example",
         MAILBUS_ENOTFOUND},
        {"rates", "{\"inbox\":{}}", "inbox", MAILBUS_EINVAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *answer = NULL;
        mailbus_error_t error = {0};
        mailbus_code_t code = run(db, rows[i].command, rows[i].request, &answer, &error);
        if (code != rows[i].code || strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s %s: %s", rows[i].command, rows[i].request, error.text);
        }
    }
}

static void test_rates_are_listed_with_their_verdict(void **state)
{
    sqlite3 *db = *state;
    mailbus_buf_t recipients = MAILBUS_BUF_INIT;
    for (int i = 0; i < 99; i++) {
        mailbus_buf_printf(&recipients, "%s\"u%d@x.example\"", i == 0 ? "[" : ",", i);
    }
    mailbus_buf_text(&recipients, "]");
    events_add(db, &(events_t){.id = "many",
                               .body_key = "send",
                               .inbox = "help@agentmail.to",
                               .recipients = recipients.data,
                               .time_ms = NOW - DAY});
    events_sent(db, "other", "a@x.example", NOW - DAY);
    events_add(db, &(events_t){.id = "no inbox",
                               .body_key = "send",
                               .recipients = "[\"a@x.example\"]",
                               .time_ms = NOW - DAY});
    cJSON *answer = ask(db, "rates", "{}");
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(answer, "rows")), 2);
    check_text(mailbus_json_item(answer, "rows")->child, "inbox", "");
    check_text(mailbus_json_item(answer, "rows")->child, "verdict", "few");
    cJSON_Delete(answer);
    answer = ask(db, "rates", "{\"inbox\":\"Help@agentmail.to\"}");
    const cJSON *row = mailbus_json_item(answer, "rows")->child;
    assert_null(row->next);
    check_text(row, "inbox", "help@agentmail.to");
    check_text(row, "verdict", "high");
    assert_int_equal(mailbus_json_item(row, "sent")->valueint, 101);
    assert_int_equal(mailbus_json_item(row, "bounced")->valueint, 4); /* of the last seven days */
    assert_int_equal((int)(mailbus_json_item(row, "percent")->valuedouble * 100), 397);
    cJSON_Delete(answer);
    mailbus_buf_free(&recipients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list_shows_what_bounced_and_filters),
        TEST(test_list_comes_in_pages),
        TEST(test_show_tells_all_of_one),
        TEST(test_clear_wants_a_reason_and_keeps_it),
        TEST(test_wrong_requests_are_refused_with_what_would_be_right),
        TEST(test_rates_are_listed_with_their_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
