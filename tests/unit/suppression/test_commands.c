/* suppression_commands.h: what a person asks, with good and with bad requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desk.h"
#include "mailbus/json.h"

static cJSON *ask(sqlite3 *db, const char *command, const char *request, int64_t now_ms)
{
    cJSON *answer = NULL;
    mailbus_error_t error = {0};
    if (desk_ask(db, command, request, now_ms, &answer, &error) != MAILBUS_OK) {
        fail_msg("%s %s: %s", command, request, error.text);
    }
    return answer;
}

static double number(const cJSON *answer, const char *name)
{
    return cJSON_GetNumberValue(mailbus_json_item(answer, name));
}

static void test_list_pages_and_filters(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    char address[32];
    for (int i = 0; i < 5; i++) {
        snprintf(address, sizeof address, "p%d@example.com", i);
        desk_complaint(db, address, "e1", 1000);
    }
    desk_add(db, "*@rival.example", "no business", 1000);
    cJSON *answer = ask(db, "list", "{\"limit\":4}", 1);
    const cJSON *rows = mailbus_json_item(answer, "rows");
    assert_int_equal(cJSON_GetArraySize(rows), 4);
    assert_string_equal(mailbus_json_string(rows->child, "address"), "p0@example.com");
    assert_string_equal(mailbus_json_string(rows->child, "first"), "1970-01-01T00:00:01.000Z");
    char request[100];
    snprintf(request, sizeof request, "{\"limit\":4,\"after\":\"%s\"}",
             mailbus_json_string(answer, "next"));
    cJSON_Delete(answer);
    answer = ask(db, "list", request, 1);
    rows = mailbus_json_item(answer, "rows");
    assert_int_equal(cJSON_GetArraySize(rows), 2);
    assert_string_equal(mailbus_json_string(rows->child->next, "address"), "*@rival.example");
    assert_true(cJSON_IsNull(mailbus_json_item(answer, "next")));
    cJSON_Delete(answer);
    answer = ask(db, "list", "{\"reason\":\"manual\"}", 1);
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(answer, "rows")), 1);
    cJSON_Delete(answer);
    answer = ask(db, "list", "{\"ambiguous\":true}", 1);
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(answer, "rows")), 0);
    cJSON_Delete(answer);
}

static void test_show_tells_the_entry_and_what_covers_it(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane@rival.example", "e1", 1000);
    desk_add(db, "*@rival.example", "no business", 1000);
    cJSON *answer = ask(db, "show", "{\"address\":\"Jane@rival.example\"}", 1);
    assert_true(cJSON_IsTrue(mailbus_json_item(answer, "suppressed")));
    assert_string_equal(mailbus_json_string(answer, "by"), "*@rival.example");
    assert_string_equal(mailbus_json_string(answer, "reason"), "complaint");
    assert_string_equal(mailbus_json_string(answer, "block_list"), "waiting");
    cJSON_Delete(answer);
    answer = ask(db, "remove", "{\"address\":\"jane@rival.example\",\"reason\":\"r\"}", 2000);
    assert_string_equal(mailbus_json_string(answer, "by"), "*@rival.example");
    cJSON_Delete(answer);
    answer = ask(db, "show", "{\"address\":\"jane@rival.example\"}", 1);
    assert_true(cJSON_IsTrue(mailbus_json_item(answer, "suppressed")));
    assert_null(mailbus_json_item(answer, "reason"));
    assert_string_equal(mailbus_json_string(answer, "removed"), "1970-01-01T00:00:02.000Z");
    cJSON_Delete(answer);
    mailbus_error_t error = {0};
    assert_int_equal(desk_ask(db, "show", "{\"address\":\"a@b.c\"}", 1, NULL, &error),
                     MAILBUS_ENOTFOUND);
    /* covered, and nothing was ever said of it itself */
    answer = ask(db, "show", "{\"address\":\"joe@rival.example\"}", 1);
    assert_true(cJSON_IsTrue(mailbus_json_item(answer, "suppressed")));
    cJSON_Delete(answer);
    assert_int_equal(desk_ask(db, "remove", "{\"address\":\"joe@rival.example\",\"reason\":\"r\"}",
                              1, NULL, &error),
                     MAILBUS_ENOTFOUND);
    assert_non_null(strstr(error.text, "*@rival.example"));
}

static void test_history_has_what_was_before_a_removal(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    static const char *const said[] = {"complaint", "add", "remove", "complaint"};
    desk_complaint(db, "jane@example.com", "e1", 1000);
    desk_add(db, "jane@example.com", "by phone", 2000);
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 3000), MAILBUS_OK);
    desk_complaint(db, "jane@example.com", "e2", 4000);
    char request[160] = "{\"address\":\"jane@example.com\",\"limit\":1}";
    for (size_t i = 0; i < 4; i++) {
        cJSON *answer = ask(db, "history", request, 1);
        const cJSON *rows = mailbus_json_item(answer, "rows");
        assert_int_equal(cJSON_GetArraySize(rows), 1);
        assert_string_equal(mailbus_json_string(rows->child, "said"), said[i]);
        if (i == 2) {
            assert_string_equal(mailbus_json_string(rows->child, "note"), "she asked");
        }
        snprintf(request, sizeof request,
                 "{\"address\":\"jane@example.com\",\"limit\":1,\"after\":\"%s\"}",
                 mailbus_json_string(answer, "next"));
        cJSON_Delete(answer);
    }
    cJSON *answer = ask(db, "history", request, 1);
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(answer, "rows")), 0);
    cJSON_Delete(answer);
}

static void test_a_change_wants_an_address_and_a_reason(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    static const char *const bad[] = {
        "{}",
        "{\"address\":\"jane@example.com\"}",
        "{\"address\":\"jane@example.com\",\"reason\":\"\"}",
        "{\"address\":\"jane@example.com\",\"reason\":\" \\n\\t\"}",
        "{\"address\":\"jane@example.com\",\"reason\":5}",
        "{\"address\":\"nobody\",\"reason\":\"r\"}",
        "{\"address\":\"*@*.com\",\"reason\":\"r\"}",
        "{\"address\":\"a@b.c\\r\\nBcc: d@e.f\",\"reason\":\"r\"}",
        "{\"address\":5,\"reason\":\"r\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mailbus_error_t error = {0};
        assert_int_equal(desk_ask(db, "add", bad[i], 1, NULL, &error), MAILBUS_EINVAL);
        assert_true(error.text[0] != '\0');
        assert_int_equal(desk_ask(db, "remove", bad[i], 1, NULL, &error), MAILBUS_EINVAL);
    }
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM facts"), 0);
    cJSON *answer =
        ask(db, "add", "{\"address\":\"jane@example.com\",\"reason\":\"by\\r\\nphone\\u001b[1m\"}",
            1000);
    assert_false(cJSON_IsTrue(mailbus_json_item(answer, "already")));
    cJSON_Delete(answer);
    answer = ask(db, "add", "{\"address\":\"jane@example.com\",\"reason\":\"again\"}", 2000);
    assert_true(cJSON_IsTrue(mailbus_json_item(answer, "already")));
    cJSON_Delete(answer);
    assert_int_equal(
        desk_integer(db, "SELECT count(*) FROM entries WHERE note = 'by phone [1m' AND count = 2"),
        1);
}

static void test_bad_limits_and_positions(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    static const struct {
        const char *command, *request;
    } rows[] = {
        {"list", "{\"limit\":0}"},
        {"list", "{\"limit\":1001}"},
        {"list", "{\"limit\":\"5\"}"},
        {"list", "{\"reason\":\"spite\"}"},
        {"history", "{\"address\":\"a@b.c\",\"after\":\"nonsense\"}"},
        {"import", "{}"},
        {"import", "{\"rows\":{}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbus_error_t error = {0};
        assert_int_equal(desk_ask(db, rows[i].command, rows[i].request, 1, NULL, &error),
                         MAILBUS_EINVAL);
    }
}

/* --- import
 * ---------------------------------------------------------------------------------------
 */

static const char ROWS[] =
    "{\"rows\":["
    "{\"line\":2,\"address\":\"jane@example.com\",\"reason\":\"complaint\","
    "\"first\":\"2026-01-01T00:00:00Z\",\"last\":\"2026-01-03T00:00:00Z\",\"count\":3,"
    "\"event_id\":\"evt_1\",\"message_id\":\"<m@x>\",\"ambiguous\":true},"
    "{\"line\":3,\"address\":\"gone@example.com\",\"reason\":\"bounce\",\"note\":\"550 no\"},"
    "{\"line\":4,\"address\":\"*@rival.example\",\"reason\":\"manual\",\"note\":\"no business\"},"
    "{\"line\":5,\"address\":\"nobody\",\"reason\":\"bounce\"},"
    "{\"line\":6,\"address\":\"a@b.c\",\"reason\":\"spite\"},"
    "{\"line\":7,\"address\":\"a@b.c\",\"reason\":\"bounce\",\"first\":\"yesterday\"},"
    "{\"line\":8,\"address\":\"a@b.c\",\"reason\":\"bounce\",\"count\":0},"
    "{\"line\":9,\"address\":\"a@b.c\",\"reason\":\"bounce\",\"first\":\"2026-01-02T00:00:00Z\","
    "\"last\":\"2026-01-01T00:00:00Z\"}]}";

static const int64_t NOW_MS = 1800000000000; /* 2027 */

static void test_an_import_takes_good_rows_and_tells_bad_ones(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    cJSON *answer = ask(db, "import", ROWS, NOW_MS);
    assert_int_equal(number(answer, "added"), 3);
    const cJSON *skipped = mailbus_json_item(answer, "skipped");
    assert_int_equal(cJSON_GetArraySize(skipped), 5);
    int line = 5;
    const cJSON *item;
    cJSON_ArrayForEach(item, skipped)
    {
        assert_int_equal(number(item, "line"), line++);
        assert_true(mailbus_json_string(item, "why")[0] != '\0');
        assert_false(cJSON_IsTrue(mailbus_json_item(item, "removed")));
    }
    cJSON_Delete(answer);
    char *entries = desk_entries(db);
    assert_non_null(strstr(entries, "a:jane@example.com complaint 1767225600000-1767398400000 3 "
                                    "ambiguous jane@example.com evt_1 \n"));
    assert_non_null(strstr(entries, "a:gone@example.com bounce 1800000000000-1800000000000 1 "
                                    "certain gone@example.com  550 no\n"));
    free(entries);
}

static void test_the_same_import_a_second_time_changes_nothing(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    cJSON_Delete(ask(db, "import", ROWS, NOW_MS));
    char *before = desk_entries(db);
    int64_t facts = desk_integer(db, "SELECT count(*) FROM facts");
    cJSON *answer = ask(db, "import", ROWS, NOW_MS + 5000);
    assert_int_equal(number(answer, "added"), 0);
    assert_int_equal(number(answer, "counted"), 0);
    assert_int_equal(number(answer, "known"), 3);
    cJSON_Delete(answer);
    char *after = desk_entries(db);
    assert_string_equal(after, before);
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM facts"), facts);
    free(before);
    free(after);
}

static void test_an_import_does_not_undo_a_persons_removal(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    cJSON_Delete(ask(db, "import", ROWS, NOW_MS));
    assert_int_equal(desk_remove(db, "gone@example.com", "is back", NOW_MS + 1000), MAILBUS_OK);
    cJSON *answer = ask(db, "import", ROWS, NOW_MS + 5000); /* the same rows */
    const cJSON *skipped = mailbus_json_item(answer, "skipped");
    assert_int_equal(number(skipped->child, "line"), 3);
    assert_true(cJSON_IsTrue(mailbus_json_item(skipped->child, "removed")));
    cJSON_Delete(answer);
    answer = ask(db, "import",
                 "{\"rows\":[{\"line\":1,\"address\":\"gone@example.com\",\"reason\":\"bounce\","
                 "\"last\":\"2026-05-05T00:00:00Z\"}]}",
                 NOW_MS + 5000); /* another row from before it */
    assert_true(
        cJSON_IsTrue(mailbus_json_item(mailbus_json_item(answer, "skipped")->child, "removed")));
    cJSON_Delete(answer);
    assert_int_equal(
        desk_integer(db, "SELECT count(*) FROM entries WHERE key = 'a:gone@example.com'"), 0);
    answer = ask(db, "import",
                 "{\"rows\":[{\"line\":1,\"address\":\"gone@example.com\",\"reason\":\"bounce\","
                 "\"last\":\"2027-05-05T00:00:00Z\"}]}",
                 NOW_MS + 20000000000); /* a later one */
    assert_int_equal(number(answer, "added"), 1);
    cJSON_Delete(answer);
}

static void test_imported_times_do_not_lie_in_the_future(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    cJSON_Delete(ask(db, "import",
                     "{\"rows\":[{\"address\":\"a@b.c\",\"reason\":\"bounce\",\"last\":"
                     "\"2999-01-01T00:00:00Z\"}]}",
                     NOW_MS));
    assert_int_equal(desk_integer(db, "SELECT last_ms FROM entries"), NOW_MS);
}

static void test_events_before_and_after_an_import_give_the_same_count(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    static const char rows[] =
        "{\"rows\":[{\"address\":\"jane@example.com\",\"reason\":\"complaint\",\"first\":"
        "\"1970-01-01T00:00:01Z\",\"last\":\"1970-01-01T00:00:05Z\",\"count\":4}]}";
    desk_complaint(db, "jane@example.com", "e1", 2000); /* one of the four */
    desk_complaint(db, "jane@example.com", "e2", 9000); /* later */
    cJSON_Delete(ask(db, "import", rows, NOW_MS));
    desk_complaint(db, "jane@example.com", "e3", 3000);
    desk_complaint(db, "jane@example.com", "e4", 8000);
    assert_int_equal(desk_integer(db, "SELECT count FROM entries"), 6);
    desk_t *other = desk_open();
    cJSON_Delete(ask(other->db, "import", rows, NOW_MS));
    for (int i = 4; i > 0; i--) {
        static const int64_t times[] = {2000, 9000, 3000, 8000};
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        desk_complaint(other->db, "jane@example.com", id, times[i - 1]);
    }
    char *one = desk_entries(db);
    char *two = desk_entries(other->db);
    assert_string_equal(one, two);
    free(one);
    free(two);
    desk_close(&other);
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(test_list_pages_and_filters),
        DESK_TEST(test_show_tells_the_entry_and_what_covers_it),
        DESK_TEST(test_history_has_what_was_before_a_removal),
        DESK_TEST(test_a_change_wants_an_address_and_a_reason),
        DESK_TEST(test_bad_limits_and_positions),
        DESK_TEST(test_an_import_takes_good_rows_and_tells_bad_ones),
        DESK_TEST(test_the_same_import_a_second_time_changes_nothing),
        DESK_TEST(test_an_import_does_not_undo_a_persons_removal),
        DESK_TEST(test_imported_times_do_not_lie_in_the_future),
        DESK_TEST(test_events_before_and_after_an_import_give_the_same_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
