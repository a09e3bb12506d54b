/* outbox.h: what AgentMail's block list should hold, over crashes and changes of mind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desk.h"
#include "suppression/outbox.h"

static outbox_task_t next_task(sqlite3 *db, int64_t now_ms)
{
    outbox_task_t task = {.key = NULL};
    int64_t due_ms = 0;
    assert_int_equal(outbox_next(db, now_ms, &task, &due_ms, NULL), MAILBUS_OK);
    return task;
}

static bool begin(sqlite3 *db, const outbox_task_t *task)
{
    bool go = false;
    assert_int_equal(outbox_begin(db, task, &go, NULL), MAILBUS_OK);
    return go;
}

static void end(sqlite3 *db, outbox_task_t *task, outbox_end_t how, int64_t due_ms,
                const char *note)
{
    assert_int_equal(outbox_end(db, task, how, due_ms, note, NULL), MAILBUS_OK);
    outbox_task_free(task);
}

static void test_an_entry_is_written_through_once_and_taken_off_once(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "Jane@example.com", "e1", 1000);
    desk_complaint(db, "jane@example.com", "e2", 2000);
    outbox_task_t task = next_task(db, 5000);
    assert_string_equal(task.entry, "Jane@example.com");
    assert_true(task.wanted);
    assert_non_null(strstr(task.reason, "complaint, 1970-01-01T00:00:01"));
    assert_true(begin(db, &task));
    end(db, &task, OUTBOX_DONE, 0, "");
    task = next_task(db, 5000);
    assert_null(task.key);
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 6000), MAILBUS_OK);
    task = next_task(db, 7000);
    assert_false(task.wanted);
    assert_true(begin(db, &task));
    end(db, &task, OUTBOX_DONE, 0, "");
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM outbox"), 0);
}

static void test_what_was_never_written_is_not_taken_off(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_add(db, "jane@example.com", "on", 1000);
    assert_int_equal(desk_remove(db, "jane@example.com", "off", 2000), MAILBUS_OK);
    assert_int_equal(desk_integer(db, "SELECT count(*) FROM outbox"), 0);
}

static void test_a_crash_behind_the_call_makes_it_again(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane@example.com", "e1", 1000);
    outbox_task_t task = next_task(db, 5000);
    assert_true(begin(db, &task)); /* the call is made, its end never noted */
    outbox_task_free(&task);
    task = next_task(db, 5000);
    assert_string_equal(task.entry, "jane@example.com");
    assert_int_equal(task.attempts, 1);
    outbox_task_free(&task);
    /* taken off before the end was known: it may be there */
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 6000), MAILBUS_OK);
    task = next_task(db, 7000);
    assert_non_null(task.key);
    assert_false(task.wanted);
    outbox_task_free(&task);
}

static void test_a_change_of_mind_during_the_call_wins(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane@example.com", "e1", 1000);
    outbox_task_t task = next_task(db, 5000);
    assert_true(begin(db, &task));
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 6000), MAILBUS_OK);
    end(db, &task, OUTBOX_DONE, 0, ""); /* of a wish that is stale */
    task = next_task(db, 7000);
    assert_false(task.wanted);
    assert_true(begin(db, &task));
    desk_complaint(db, "jane@example.com", "e2", 8000); /* during the deletion */
    end(db, &task, OUTBOX_DONE, 0, "");
    task = next_task(db, 9000);
    assert_true(task.wanted);
    outbox_task_free(&task);
}

static void test_a_stale_task_is_not_begun(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_complaint(db, "jane@example.com", "e1", 1000);
    outbox_task_t task = next_task(db, 5000);
    assert_int_equal(desk_remove(db, "jane@example.com", "she asked", 6000), MAILBUS_OK);
    assert_false(begin(db, &task));
    outbox_task_free(&task);
}

static void test_later_is_later_and_refused_is_for_good(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    outbox_task_t task;
    int64_t due_ms = 0;
    desk_complaint(db, "jane@example.com", "e1", 1000);
    desk_complaint(db, "joe@example.com", "e2", 1000);
    task = next_task(db, 5000);
    assert_true(begin(db, &task));
    end(db, &task, OUTBOX_LATER, 60000, "HTTP 503");
    task = next_task(db, 5000);
    assert_string_equal(task.entry, "joe@example.com"); /* one that fails holds up nobody */
    assert_true(begin(db, &task));
    end(db, &task, OUTBOX_REFUSED, 0, "refused: HTTP 400");
    assert_int_equal(outbox_next(db, 59999, &task, &due_ms, NULL), MAILBUS_OK);
    assert_null(task.key);
    assert_int_equal(due_ms, 60000);
    task = next_task(db, 60000);
    assert_string_equal(task.entry, "jane@example.com");
    outbox_task_free(&task);
    cJSON *answer = NULL;
    assert_int_equal(desk_ask(db, "show", "{\"address\":\"joe@example.com\"}", 1, &answer, NULL),
                     MAILBUS_OK);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(answer, "block_list")),
                        "refused: HTTP 400");
    cJSON_Delete(answer);
}

static void test_domains_and_what_the_block_list_can_not_hold(void **state)
{
    sqlite3 *db = ((desk_t *)*state)->db;
    desk_add(db, "*@example.com", "all of them", 1000);
    outbox_task_t task = next_task(db, 5000);
    assert_string_equal(task.entry, "example.com");
    assert_true(begin(db, &task));
    end(db, &task, OUTBOX_DONE, 0, "");
    desk_add(db, "*@*.example.com", "and those below", 1000);
    task = next_task(db, 5000);
    assert_null(task.entry);
    outbox_task_free(&task);
}

static void test_what_an_answer_means(void **state)
{
    (void)state;
    static const struct {
        bool wanted;
        agentmail_verdict_t verdict;
        long status;
        outbox_end_t end;
    } rows[] = {
        {true, AGENTMAIL_DONE, 200, OUTBOX_DONE},
        {false, AGENTMAIL_DONE, 204, OUTBOX_DONE},
        {true, AGENTMAIL_REJECT, 409, OUTBOX_DONE},
        {false, AGENTMAIL_REJECT, 404, OUTBOX_DONE},
        {true, AGENTMAIL_REJECT, 400, OUTBOX_REFUSED},
        {true, AGENTMAIL_REJECT, 404, OUTBOX_REFUSED},
        {false, AGENTMAIL_REJECT, 409, OUTBOX_REFUSED},
        {true, AGENTMAIL_RETRY, 429, OUTBOX_LATER},
        {true, AGENTMAIL_RETRY, 503, OUTBOX_LATER},
        {true, AGENTMAIL_RETRY, 401, OUTBOX_LATER},
        {false, AGENTMAIL_RETRY, 0, OUTBOX_LATER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const agentmail_result_t result = {.verdict = rows[i].verdict, .status = rows[i].status};
        assert_int_equal(outbox_judge(rows[i].wanted, &result), rows[i].end);
    }
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(test_an_entry_is_written_through_once_and_taken_off_once),
        DESK_TEST(test_what_was_never_written_is_not_taken_off),
        DESK_TEST(test_a_crash_behind_the_call_makes_it_again),
        DESK_TEST(test_a_change_of_mind_during_the_call_wins),
        DESK_TEST(test_a_stale_task_is_not_begun),
        DESK_TEST(test_later_is_later_and_refused_is_for_good),
        DESK_TEST(test_domains_and_what_the_block_list_can_not_hold),
        cmocka_unit_test(test_what_an_answer_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
