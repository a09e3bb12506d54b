/* route/effects.h and route/commands.h: what is kept, and what is shown of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db.h"
#include "mailbus/json.h"
#include "mails.h"
#include "route/commands.h"
#include "route/effects.h"

#define DAY 86400000LL

static int set_up(void **state)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(mb_db_exec(db, effects_schema, NULL), MAILBUS_OK);
    assert_int_equal(mb_db_exec(db, effects_schema, NULL), MAILBUS_OK); /* every start runs it */
    *state = db;
    return 0;
}

static int tear_down(void **state)
{
    sqlite3_close(*state);
    return 0;
}

static void plan(sqlite3 *db, const char *event, const char *mail, const char *rule)
{
    char json[64];
    snprintf(json, sizeof json, "\"message_id\":\"<%s>\"", mail);
    agentmail_message_t *message = mail_with(json);
    assert_int_equal(effects_plan(db, event, message, rule, "target", "mark", 1000, NULL),
                     MAILBUS_OK);
    agentmail_message_free(&message);
}

static effects_t load(sqlite3 *db, const char *event)
{
    effects_t effects = {.items = NULL};
    assert_int_equal(effects_load(db, event, &effects, NULL), MAILBUS_OK);
    return effects;
}

static void test_an_effect_is_planned_once_and_saved(void **state)
{
    sqlite3 *db = *state;
    plan(db, "e1", "m1", "b");
    plan(db, "e1", "m1", "a");
    plan(db, "e1", "m1", "b"); /* not again */
    effects_t effects = load(db, "e1");
    assert_int_equal(effects.count, 2);
    assert_string_equal(effects.items[0].rule, "b"); /* in the order of planning */
    effect_t *effect = &effects.items[1];
    assert_int_equal(effect->state, EFFECT_PLANNED);
    assert_int_equal(effect->place, -1);
    effect->state = EFFECT_DONE;
    effect->due_ms = 7;
    effect->has_slot = true;
    effect->first_unsure_ms = 8;
    effect->last_unsure_ms = 9;
    effect->place = 10;
    effect->inode = 11;
    assert_int_equal(effects_save(db, "e1", effect, NULL), MAILBUS_OK);
    effects_free(&effects);
    effects = load(db, "e1");
    effect = &effects.items[1];
    assert_int_equal(effect->state, EFFECT_DONE);
    assert_int_equal(effect->due_ms, 7);
    assert_true(effect->has_slot);
    assert_int_equal(effect->first_unsure_ms, 8);
    assert_int_equal(effect->last_unsure_ms, 9);
    assert_int_equal(effect->place, 10);
    assert_int_equal(effect->inode, 11);
    assert_int_equal(effects.items[0].state, EFFECT_PLANNED);
    effects_free(&effects);
    effects = load(db, "e2");
    assert_int_equal(effects.count, 0);
    effects_free(&effects);
}

static bool have(sqlite3 *db, const char *event, const char *mail, const char *rule)
{
    char json[64];
    bool found = false;
    snprintf(json, sizeof json, "\"message_id\":\"<%s>\"", mail);
    agentmail_message_t *message = mail_with(json);
    assert_int_equal(effects_have_mail(db, event, message, rule, &found, NULL), MAILBUS_OK);
    agentmail_message_free(&message);
    return found;
}

/* Give the first effect of an event up. */
static void reject(sqlite3 *db, const char *event, int64_t unsure_ms)
{
    effects_t effects = load(db, event);
    effects.items[0].state = EFFECT_REJECTED;
    effects.items[0].first_unsure_ms = unsure_ms;
    assert_int_equal(effects_save(db, event, &effects.items[0], NULL), MAILBUS_OK);
    effects_free(&effects);
}

static void test_a_mail_under_another_event_is_known(void **state)
{
    sqlite3 *db = *state;
    plan(db, "e1", "m1", "r");
    assert_true(have(db, "e2", "m1", "r"));
    assert_false(have(db, "e1", "m1", "r")); /* its own */
    assert_false(have(db, "e2", "m2", "r"));
    assert_false(have(db, "e2", "m1", "s"));
    reject(db, "e1", 5);
    assert_true(have(db, "e2", "m1", "r")); /* it may be there */
    reject(db, "e1", 0);
    assert_false(have(db, "e2", "m1", "r"));
}

static void test_what_certainly_never_happened_is_forgotten_for_a_retry(void **state)
{
    sqlite3 *db = *state;
    bool any = true;
    plan(db, "e1", "m1", "r");
    assert_int_equal(effects_forget_rejected(db, "e1", &any, NULL), MAILBUS_OK);
    assert_false(any);
    reject(db, "e1", 5);
    assert_int_equal(effects_forget_rejected(db, "e1", &any, NULL), MAILBUS_OK);
    assert_false(any);
    reject(db, "e1", 0);
    assert_int_equal(effects_forget_rejected(db, "e1", &any, NULL), MAILBUS_OK);
    assert_true(any);
    effects_t effects = load(db, "e1");
    assert_int_equal(effects.count, 0);
    effects_free(&effects);
}

static void test_paces_and_channels_are_kept(void **state)
{
    sqlite3 *db = *state;
    pace_t pace = {.next_ms = 9};
    char *id = NULL;
    assert_int_equal(effects_pace(db, "p", &pace, NULL), MAILBUS_OK);
    assert_int_equal(pace.next_ms, 0);
    pace = (pace_t){.next_ms = 1, .last_ms = 2, .closed_ms = 3, .strikes = 4};
    assert_int_equal(effects_save_pace(db, "p", &pace, NULL), MAILBUS_OK);
    pace = (pace_t){0};
    assert_int_equal(effects_pace(db, "p", &pace, NULL), MAILBUS_OK);
    assert_true(pace.next_ms == 1 && pace.last_ms == 2 && pace.closed_ms == 3 && pace.strikes == 4);
    assert_int_equal(effects_channel(db, "p", &id, NULL), MAILBUS_OK);
    assert_null(id);
    assert_int_equal(effects_save_channel(db, "p", "C1", NULL), MAILBUS_OK);
    assert_int_equal(effects_save_channel(db, "p", "C2", NULL), MAILBUS_OK);
    assert_int_equal(effects_channel(db, "p", &id, NULL), MAILBUS_OK);
    assert_string_equal(id, "C2");
    free(id);
}

static void note(sqlite3 *db, const char *event, const char *rule, int64_t now_ms)
{
    const effects_history_t line = {.event_id = event,
                                    .rule = rule,
                                    .target = rule == NULL ? NULL : "t",
                                    .subject = "s\xE2\x80\xA6",
                                    .action = rule == NULL ? "silent" : "sent",
                                    .reason = "because",
                                    .now_ms = now_ms};
    assert_int_equal(effects_note(db, &line, NULL), MAILBUS_OK);
}

/* Run a command; the answer as a tree, or NULL where it failed. */
static cJSON *ask(sqlite3 *db, const char *name, const char *request, mailbus_error_t *error)
{
    const mailbus_command_t *command = route_commands;
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    cJSON *tree = NULL;
    while (strcmp(command->name, name) != 0) {
        command++;
    }
    *error = (mailbus_error_t){.text = ""};
    if (command->run(db, request, strlen(request), 0, &answer, error) == MAILBUS_OK) {
        assert_int_equal(mailbus_json_parse(answer.data, answer.size, &tree, NULL), MAILBUS_OK);
    }
    mailbus_buf_free(&answer);
    return tree;
}

static int count_rows(sqlite3 *db, const char *request)
{
    mailbus_error_t error;
    cJSON *tree = ask(db, "history", request, &error);
    assert_non_null(tree);
    int count = cJSON_GetArraySize(mailbus_json_item(tree, "rows"));
    cJSON_Delete(tree);
    return count;
}

static void test_the_history_is_asked_by_rule_event_and_page(void **state)
{
    sqlite3 *db = *state;
    mailbus_error_t error;
    for (int i = 0; i < 5; i++) {
        note(db, "e1", i % 2 == 0 ? "a" : "b", 1700000000000 + i);
    }
    note(db, "e2", NULL, 1700000000009);
    assert_int_equal(count_rows(db, "{}"), 6);
    assert_int_equal(count_rows(db, "{\"rule\":\"a\"}"), 3);
    assert_int_equal(count_rows(db, "{\"event\":\"e2\"}"), 1);
    assert_int_equal(count_rows(db, "{\"action\":\"silent\"}"), 1);
    assert_int_equal(count_rows(db, "{\"rule\":\"a\",\"event\":\"e2\"}"), 0);
    cJSON *tree = ask(db, "history", "{\"limit\":4}", &error);
    const cJSON *first = mailbus_json_item(tree, "rows")->child;
    assert_string_equal(mailbus_json_string(first, "event_id"), "e2"); /* newest first */
    assert_true(cJSON_IsNull(mailbus_json_item(first, "rule")));
    assert_string_equal(mailbus_json_string(first, "time"), "2023-11-14T22:13:20.009Z");
    assert_string_equal(mailbus_json_string(first, "subject"), "s\xE2\x80\xA6");
    char next[64];
    snprintf(next, sizeof next, "{\"limit\":4,\"after\":%d}",
             mailbus_json_item(tree, "next")->valueint);
    cJSON_Delete(tree);
    tree = ask(db, "history", next, &error);
    assert_int_equal(cJSON_GetArraySize(mailbus_json_item(tree, "rows")), 2);
    assert_true(cJSON_IsNull(mailbus_json_item(tree, "next")));
    cJSON_Delete(tree);
}

static void test_questions_that_make_no_sense_are_told(void **state)
{
    sqlite3 *db = *state;
    static const char *const wrong[] = {"{\"limit\":0}",
                                        "{\"limit\":1.5}",
                                        "{\"after\":-1}",
                                        "{\"after\":1e300}",
                                        "{\"rule\":7}",
                                        "[]",
                                        "{"};
    mailbus_error_t error;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(ask(db, "history", wrong[i], &error));
        assert_int_equal(error.code, MAILBUS_EINVAL);
    }
    assert_null(ask(db, "again", "{}", &error));
    assert_int_equal(error.code, MAILBUS_EINVAL);
    assert_null(ask(db, "again", "{\"event\":\"e9\"}", &error));
    assert_int_equal(error.code, MAILBUS_ENOTFOUND);
}

static void test_again_lets_a_retry_do_what_may_have_happened(void **state)
{
    sqlite3 *db = *state;
    mailbus_error_t error;
    bool any = false;
    plan(db, "e1", "m1", "r");
    assert_null(ask(db, "again", "{\"event\":\"e1\"}", &error)); /* not given up */
    reject(db, "e1", 5);
    assert_null(ask(db, "again", "{\"event\":\"e1\",\"rule\":\"s\"}", &error));
    cJSON *tree = ask(db, "again", "{\"event\":\"e1\",\"rule\":\"r\"}", &error);
    assert_int_equal(mailbus_json_item(tree, "forgotten")->valueint, 1);
    cJSON_Delete(tree);
    assert_int_equal(effects_forget_rejected(db, "e1", &any, NULL), MAILBUS_OK);
    assert_true(any);
}

static void test_old_rows_are_dropped(void **state)
{
    sqlite3 *db = *state;
    plan(db, "e1", "m1", "r");
    note(db, "e1", "r", 1000);
    note(db, "e2", "r", 1000 + 90 * DAY);
    assert_int_equal(count_rows(db, "{}"), 2);
    note(db, "e3", "r", 1001 + 90 * DAY);
    assert_int_equal(count_rows(db, "{\"event\":\"e1\"}"), 0);
    effects_t effects = load(db, "e1");
    assert_int_equal(effects.count, 0);
    effects_free(&effects);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_an_effect_is_planned_once_and_saved),
        TEST(test_a_mail_under_another_event_is_known),
        TEST(test_what_certainly_never_happened_is_forgotten_for_a_retry),
        TEST(test_paces_and_channels_are_kept),
        TEST(test_the_history_is_asked_by_rule_event_and_page),
        TEST(test_questions_that_make_no_sense_are_told),
        TEST(test_again_lets_a_retry_do_what_may_have_happened),
        TEST(test_old_rows_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
