/* Commands in the store's hands: kept whole or not at all, and never a danger to the next user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "commands.h"
#include "folder.h"
#include "things.h"

typedef struct {
    char *folder;
    mb_metrics_t *metrics;
    mb_log_t *log;
    inbox_t *inbox;
} world_t;

static int set_up(void **state)
{
    char path[512];
    world_t *world = calloc(1, sizeof *world);
    world->folder = folder_make();
    world->metrics = mb_metrics_new();
    world->log = mb_log_new("test", STDERR_FILENO);
    mb_log_configure(world->log, MB_ERROR, MB_LOG_TEXT);
    world->inbox = things_open(folder_path(world->folder, "things.db", path, sizeof path),
                               world->metrics, world->log);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world_t *world = *state;
    inbox_close(&world->inbox, true);
    mb_log_destroy(&world->log);
    mb_metrics_destroy(&world->metrics);
    folder_remove(&world->folder);
    free(world);
    return 0;
}

/* The answer's text, lent until the next call of `run`. */
static const char *run(world_t *world, const char *name, const char *request, mailbus_code_t wanted)
{
    static char text[4096];
    mailbus_buf_t answer = {.limit = COMMANDS_ANSWER_MAX};
    mailbus_error_t error = {0};
    commands_call_t call = {.command = commands_find(things.commands, name),
                            .request = request,
                            .size = strlen(request),
                            .answer = &answer};
    assert_non_null(call.command);
    mailbus_code_t code = inbox_with_store(world->inbox, commands_run, &call, &error);
    if (call.code != wanted || (code == MAILBUS_OK) != (wanted == MAILBUS_OK)) {
        fail_msg("%s %s: %s (%s)", name, request, mailbus_code_name(call.code), error.text);
    }
    assert_true(wanted == MAILBUS_OK || (answer.size == 0 && error.text[0] != '\0'));
    snprintf(text, sizeof text, "%s", answer.data != NULL ? answer.data : "");
    mailbus_buf_free(&answer);
    return text;
}

static void expect_things(world_t *world, const char *rows)
{
    char wanted[1024];
    snprintf(wanted, sizeof wanted, "{\"rows\":[%s],\"next\":null}", rows);
    assert_string_equal(run(world, "list", "{}", MAILBUS_OK), wanted);
}

static void test_what_a_command_wrote_is_kept_where_it_succeeds(void **state)
{
    assert_string_equal(run(*state, "add", "{\"name\":\"a\",\"size\":2}", MAILBUS_OK),
                        "{\"added\":1}");
    run(*state, "add", "{\"name\":\"a\"}", MAILBUS_EEXIST);
    run(*state, "remove", "{\"name\":\"b\"}", MAILBUS_ENOTFOUND);
    expect_things(*state, "{\"name\":\"a\",\"size\":2}");
    run(*state, "remove", "{\"name\":\"a\"}", MAILBUS_OK);
    expect_things(*state, "");
}

static void test_nothing_of_a_failed_command_stays(void **state)
{
    static const mailbus_code_t codes[] = {MAILBUS_EINVAL, MAILBUS_ENOTFOUND, MAILBUS_EEXIST,
                                           MAILBUS_EAGAIN, MAILBUS_EFULL,     MAILBUS_EIO};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        char request[40];
        snprintf(request, sizeof request, "{\"code\":%d}", codes[i]);
        run(*state, "fail", request, codes[i]);
    }
    run(*state, "long", "{}", MAILBUS_ETOOBIG);
    expect_things(*state, "");
}

/* After a failed write the runtime gives up on its disk; a command's mistake is no failed disk. */
static void test_broken_constraint_does_not_stop_the_program(void **state)
{
    world_t *world = *state;
    run(world, "add", "{\"name\":\"a\",\"size\":-1}", MAILBUS_EIO);
    assert_false(inbox_broken(world->inbox));
    run(world, "add", "{\"name\":\"b\",\"size\":1}", MAILBUS_OK);
    expect_things(world, "{\"name\":\"b\",\"size\":1}");
}

static void test_command_that_ends_the_transaction_is_told_and_survived(void **state)
{
    world_t *world = *state;
    run(world, "commit", "{}", MAILBUS_EACCESS);
    assert_false(inbox_broken(world->inbox));
    run(world, "add", "{\"name\":\"b\",\"size\":1}", MAILBUS_OK);
}

/* How many statements are half way. */
static mailbus_code_t count_busy(store_t *store, void *arg, mailbus_error_t *error)
{
    int *count = arg;
    sqlite3_stmt *at = NULL;
    (void)error;
    while ((at = sqlite3_next_stmt(store_db(store), at)) != NULL) {
        *count += sqlite3_stmt_busy(at) != 0;
    }
    return MAILBUS_OK;
}

/* It would keep the write-ahead log from being emptied. */
static void test_statement_that_is_left_half_way_holds_nothing_up(void **state)
{
    world_t *world = *state;
    int busy = 0;
    run(world, "add", "{\"name\":\"a\",\"size\":1}", MAILBUS_OK);
    run(world, "add", "{\"name\":\"b\",\"size\":1}", MAILBUS_OK);
    run(world, "leave", "{}", MAILBUS_OK);
    assert_int_equal(inbox_with_store(world->inbox, count_busy, &busy, NULL), MAILBUS_OK);
    assert_int_equal(busy, 0);
}

static void test_request_that_is_no_object_does_not_reach_the_command(void **state)
{
    static const char *const bad[] = {"", "[]", "1", "{", "{}x", "{\"a\":1,\"a\":2}", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run(*state, "commit", bad[i], MAILBUS_EINVAL);
    }
}

static void test_commands_are_found_by_their_whole_name(void **state)
{
    (void)state;
    assert_non_null(commands_find(things.commands, "add"));
    assert_null(commands_find(things.commands, "ad"));
    assert_null(commands_find(things.commands, "add/"));
    assert_null(commands_find(things.commands, ""));
    assert_null(commands_find(NULL, "add"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_command_wrote_is_kept_where_it_succeeds),
        TEST(test_nothing_of_a_failed_command_stays),
        TEST(test_broken_constraint_does_not_stop_the_program),
        TEST(test_command_that_ends_the_transaction_is_told_and_survived),
        TEST(test_statement_that_is_left_half_way_holds_nothing_up),
        TEST(test_request_that_is_no_object_does_not_reach_the_command),
        cmocka_unit_test(test_commands_are_found_by_their_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
