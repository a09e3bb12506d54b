/* A subscriber's tables through its commands: in the file where the program is stopped, through its
 * listener where it runs, with the same answers; and every way in which neither goes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin.h"
#include "clock.h"
#include "folder.h"
#include "mailbus/json.h"
#include "options.h"
#include "pages.h"
#include "place.h"
#include "state.h"
#include "things.h"

/* What main.c would make of a command line. */
typedef struct {
    options_t options;
    cli_t cli;
} line_t;

static mailbus_code_t no_run(cli_t *cli, mailbus_error_t *error)
{
    (void)cli;
    (void)error;
    return MAILBUS_OK;
}

/* Each may be NULL; `more`: further arguments, ends with NULL. */
static line_t line_of(const char *path, const char *address, const char *const *more)
{
    static const mb_setting_t *const settings[] = {state_settings, NULL};
    static const cli_option_t options[] = {STATE_OPTIONS, {NULL, NULL, false, NULL}};
    static const cli_command_t command = {.name = "things",
                                          .summary = "a test's",
                                          .settings = settings,
                                          .options = options,
                                          .run = no_run};
    line_t line = {.cli = {.settings = NULL}};
    const char *arguments[10] = {"mailbus", "things"};
    int argc = 2;
    mb_settings_action_t action;
    mailbus_error_t error = {0};
    if (path != NULL) {
        arguments[argc++] = "--state";
        arguments[argc++] = path;
    }
    if (address != NULL) {
        arguments[argc++] = "--admin";
        arguments[argc++] = address;
    }
    for (; more != NULL && *more != NULL; more++) {
        arguments[argc++] = *more;
    }
    char **argv = (char **)(uintptr_t)arguments; /* only read, as main's */
    if (options_read(&line.options, &command, argc, argv, &action, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    line.cli.settings = line.options.settings;
    return line;
}

typedef struct {
    char *folder;
    char path[512];
    mb_metrics_t *metrics;
    mb_log_t *log;
    inbox_t *inbox; /* while the program "runs" */
    pages_t pages;
    mb_admin_t *admin;
} world_t;

static const state_program_t program = {.name = "things"};

static state_program_t things_program(void)
{
    state_program_t of = program;
    of.schema = things.schema;
    of.commands = things.commands;
    return of;
}

static int set_up(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    world->folder = folder_make();
    folder_path(world->folder, "things.db", world->path, sizeof world->path);
    world->metrics = mb_metrics_new();
    world->log = mb_log_new("test", STDERR_FILENO);
    mb_log_configure(world->log, MB_ERROR, MB_LOG_TEXT);
    world->inbox = things_open(world->path, world->metrics, world->log);
    inbox_close(&world->inbox, true);
    *state = world;
    return 0;
}

static void stop(world_t *world)
{
    mb_admin_destroy(&world->admin);
    inbox_close(&world->inbox, true);
}

static int tear_down(void **state)
{
    world_t *world = *state;
    stop(world);
    mb_log_destroy(&world->log);
    mb_metrics_destroy(&world->metrics);
    folder_remove(&world->folder);
    free(world);
    return 0;
}

static mailbus_code_t note(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_set(store, "admin", arg, error);
}

/* As the runtime does it. access NULL: without a listener. */
static void start(world_t *world, const mailbus_subscriber_t *subscriber, const char *access)
{
    char address[300] = "";
    world->inbox = things_open(world->path, world->metrics, world->log);
    if (access != NULL) {
        world->pages = pages_make(subscriber, world->inbox, "127.0.0.1:0", access);
        const mb_admin_more_t more = {.handler = pages_handle,
                                      .arg = &world->pages,
                                      .max_body = pages_max_body(&world->pages)};
        assert_int_equal(mb_admin_new_with("127.0.0.1:0", world->metrics, NULL, NULL, &more,
                                           &world->admin, NULL),
                         MAILBUS_OK);
        snprintf(address, sizeof address, "%s", mb_admin_address(world->admin));
    }
    assert_int_equal(inbox_with_store(world->inbox, note, address, NULL), MAILBUS_OK);
}

static const char *const soon[] = {"--timeout", "300ms", NULL};

/* One question; the answer as text, "" for a failure. */
static char *ask_with(const char *path, const char *address, const char *const *more,
                      const state_program_t *of, const char *command, const char *request,
                      mailbus_error_t *error)
{
    line_t line = line_of(path, address, more);
    cJSON *tree = cJSON_Parse(request);
    cJSON *answer = NULL;
    *error = (mailbus_error_t){0};
    error->code = state_ask(&line.cli, of, command, tree, &answer, error);
    char *text = error->code == MAILBUS_OK ? cJSON_PrintUnformatted(answer) : strdup("");
    cJSON_Delete(answer);
    cJSON_Delete(tree);
    options_free(&line.options);
    return text;
}

static char *ask(const char *path, const char *address, const state_program_t *of,
                 const char *command, const char *request, mailbus_error_t *error)
{
    return ask_with(path, address, NULL, of, command, request, error);
}

static void expect_from(const char *path, const char *address, const char *command,
                        const char *request, const char *wanted)
{
    state_program_t of = things_program();
    mailbus_error_t error;
    char *answer = ask(path, address, &of, command, request, &error);
    if (strcmp(answer, wanted) != 0) {
        fail_msg("%s %s: %s (%s)", command, request, answer, error.text);
    }
    free(answer);
}

static void expect_failure_of(const char *path, const char *address, const state_program_t *of,
                              const char *command, const char *request, mailbus_code_t code,
                              const char *part)
{
    mailbus_error_t error;
    char *answer = ask(path, address, of, command, request, &error);
    if (error.code != code || strstr(error.text, part) == NULL) {
        fail_msg("%s %s: wanted %s and \"%s\", got %s: %s", command, request,
                 mailbus_code_name(code), part, mailbus_code_name(error.code), error.text);
    }
    free(answer);
}

static void expect_failure(const char *path, const char *address, const char *command,
                           const char *request, mailbus_code_t code, const char *part)
{
    state_program_t of = things_program();
    expect_failure_of(path, address, &of, command, request, code, part);
}

/* The same questions and the same answers, wherever they are asked. */
static void check_life(const char *path, const char *address)
{
    expect_from(path, address, "add", "{\"name\":\"a\",\"size\":1}", "{\"added\":1}");
    expect_from(path, address, "list", "{}",
                "{\"rows\":[{\"name\":\"a\",\"size\":1}],\"next\":null}");
    expect_failure(path, address, "add", "{\"name\":\"a\"}", MAILBUS_EEXIST, "a is there already");
    expect_failure(path, address, "add", "{}", MAILBUS_EINVAL, "\"name\" is missing");
    expect_failure(path, address, "remove", "{\"name\":\"b\"}", MAILBUS_ENOTFOUND,
                   "b is not there");
    expect_failure(path, address, "fail", "{\"code\":5}", MAILBUS_EAGAIN, "failed as asked");
    expect_failure(path, address, "commit", "{}", address != NULL ? MAILBUS_EIO : MAILBUS_EACCESS,
                   "ended the transaction");
    expect_from(path, address, "remove", "{\"name\":\"a\"}", "{}");
    expect_from(path, address, "list", "{}", "{\"rows\":[],\"next\":null}");
}

static void test_stopped_program_is_asked_in_its_file(void **state)
{
    world_t *world = *state;
    check_life(world->path, NULL);
    /* What was written is there for the program. */
    expect_from(world->path, NULL, "add", "{\"name\":\"c\",\"size\":3}", "{\"added\":1}");
    start(world, &things, "local");
    expect_from(world->path, NULL, "list", "{}",
                "{\"rows\":[{\"name\":\"c\",\"size\":3}],\"next\":null}");
}

static void test_running_program_is_asked_through_its_listener(void **state)
{
    world_t *world = *state;
    start(world, &things, "local");
    check_life(NULL, mb_admin_address(world->admin)); /* it alone */
    expect_from(world->path, NULL, "add", "{\"name\":\"d\",\"size\":4}", "{\"added\":1}");
    expect_from(world->path, NULL, "list", "{}", /* found through the file */
                "{\"rows\":[{\"name\":\"d\",\"size\":4}],\"next\":null}");
    stop(world);
    expect_from(world->path, NULL, "list", "{}",
                "{\"rows\":[{\"name\":\"d\",\"size\":4}],\"next\":null}");
}

/* A file of an older program has not all the tables yet. */
static void test_tables_are_brought_up_to_date_first(void **state)
{
    world_t *world = *state;
    char path[512];
    store_t *store = NULL;
    bool unclean;
    folder_path(world->folder, "old.db", path, sizeof path);
    assert_int_equal(store_open(path, NULL, &store, &unclean, NULL, NULL), MAILBUS_OK);
    store_close(&store, true);
    check_life(path, NULL);
}

/* The program counts crashes by it. */
static void test_unclean_end_of_the_program_stays_to_be_seen(void **state)
{
    world_t *world = *state;
    store_t *store = NULL;
    bool unclean = true;
    assert_int_equal(store_open(world->path, NULL, &store, &unclean, NULL, NULL), MAILBUS_OK);
    assert_false(unclean);
    store_close(&store, false);
    check_life(world->path, NULL);
    assert_int_equal(store_open(world->path, NULL, &store, &unclean, NULL, NULL), MAILBUS_OK);
    assert_true(unclean);
    store_close(&store, true);
    check_life(world->path, NULL);
    assert_int_equal(store_open(world->path, NULL, &store, &unclean, NULL, NULL), MAILBUS_OK);
    assert_false(unclean);
    store_close(&store, true);
}

static void test_no_file_is_told_and_none_is_made(void **state)
{
    world_t *world = *state;
    char path[512];
    folder_path(world->folder, "typo.db", path, sizeof path);
    expect_failure(path, NULL, "list", "{}", MAILBUS_ENOTFOUND, "--state FILE");
    assert_int_equal(access(path, F_OK), -1);
    expect_failure(NULL, NULL, "list", "{}", MAILBUS_ENOTFOUND, "mailbus-data/things.db");
}

static void expect_held(const char *path, const char *part)
{
    state_program_t of = things_program();
    mailbus_error_t error;
    free(ask_with(path, NULL, soon, &of, "list", "{}", &error));
    assert_int_equal(error.code, MAILBUS_EEXIST);
    assert_non_null(strstr(error.text, part));
}

static void test_program_that_can_not_be_asked_is_told(void **state)
{
    world_t *world = *state;
    start(world, &things, NULL);
    expect_held(world->path, "without an admin listener");
    char address[300] = "127.0.0.1:1"; /* nobody's */
    assert_int_equal(inbox_with_store(world->inbox, note, address, NULL), MAILBUS_OK);
    expect_held(world->path, "starting or stopping");
    expect_failure(NULL, address, "list", "{}", MAILBUS_ENOTFOUND, "nobody listens on 127.0.0.1:1");
    stop(world);
    start(world, &things, "none");
    expect_failure(world->path, NULL, "list", "{}", MAILBUS_EACCESS, "admin.access");
}

static void test_other_and_older_programs_are_told(void **state)
{
    world_t *world = *state;
    mailbus_command_t newer[] = {{"explain", things.commands[0].run}, {NULL, NULL}};
    state_program_t of = {.name = "things", .commands = newer};
    start(world, &things, "local");
    expect_failure_of(world->path, NULL, &of, "explain", "{}", MAILBUS_ENOTFOUND,
                      "does not know the command \"explain\"");
    of = things_program();
    of.name = "bounces";
    expect_failure_of(NULL, mb_admin_address(world->admin), &of, "list", "{}", MAILBUS_ENOTFOUND,
                      "this is mailbus-things, and not mailbus-bounces");
    stop(world);
    /* Before there were commands; or any other program's listener. */
    assert_int_equal(mb_admin_new("127.0.0.1:0", world->metrics, NULL, NULL, &world->admin, NULL),
                     MAILBUS_OK);
    expect_failure(NULL, mb_admin_address(world->admin), "list", "{}", MAILBUS_ENOTFOUND,
                   "does not know the command \"list\"");
}

/* --- commands at the same time ------------------------------------------------------------------
 */

typedef struct {
    const char *path;
    int number;
    int added;
} asker_t;

static void *add_some(void *arg)
{
    asker_t *self = arg;
    state_program_t of = things_program();
    for (int i = 0; i < 4; i++) {
        char request[80];
        mailbus_error_t error;
        snprintf(request, sizeof request, "{\"name\":\"%d %d\",\"size\":1}", self->number, i);
        free(ask(self->path, NULL, &of, "add", request, &error));
        self->added += error.code == MAILBUS_OK;
    }
    return NULL;
}

static void test_commands_wait_for_each_other(void **state)
{
    enum { ASKERS = 3 };
    world_t *world = *state;
    pthread_t threads[ASKERS];
    asker_t askers[ASKERS];
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (asker_t){.path = world->path, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, add_some, &askers[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].added, 4);
    }
}

/* --- listings -----------------------------------------------------------------------------------
 */

static const table_column_t columns[] = {
    {"name", "NAME", 20}, {"size", "SIZE", 0}, {NULL, NULL, 0}};

static const char *const as_json[] = {"--json", NULL};
static const char *const as_csv[] = {"--csv", NULL};

/* What the listing prints, lent until the next call; its verdict in `error`. */
static const char *list(const char *path, const char *address, const char *const *more,
                        mailbus_error_t *error)
{
    static char text[256 * 1024];
    line_t line = line_of(path, address, more);
    state_program_t of = things_program();
    cJSON *request = cJSON_CreateObject();
    FILE *file = tmpfile();
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    *error = (mailbus_error_t){0};
    error->code = state_list(&line.cli, &of, "list", request, columns, "no things", error);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cJSON_Delete(request);
    options_free(&line.options);
    return text;
}

enum { MANY = 1203 }; /* more than two pages */

static mailbus_code_t add_many(store_t *store, void *arg, mailbus_error_t *error)
{
    (void)arg;
    char sql[200];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)"
             " INSERT INTO things SELECT printf('thing %%05d',i),i FROM n",
             MANY);
    return mb_db_exec(store_db(store), sql, error);
}

static void check_listing(const char *path, const char *address)
{
    mailbus_error_t error;
    const char *text = list(path, address, NULL, &error);
    assert_int_equal(error.code, MAILBUS_OK);
    assert_memory_equal(text, "NAME         SIZE\nthing 00001  1\n", 33);
    assert_non_null(strstr(text, "\nthing 01203  1203\n"));
    text = list(path, address, as_json, &error);
    char *wanted = malloc(MANY * 64);
    size_t size = 0;
    for (int i = 1; i <= MANY; i++) {
        size += (size_t)sprintf(wanted + size, "{\"name\":\"thing %05d\",\"size\":%d}\n", i, i);
    }
    assert_string_equal(text, wanted);
    text = list(path, address, as_csv, &error);
    size = (size_t)sprintf(wanted, "name,size\r\n");
    for (int i = 1; i <= MANY; i++) {
        size += (size_t)sprintf(wanted + size, "thing %05d,%d\r\n", i, i);
    }
    assert_string_equal(text, wanted);
    free(wanted);
}

static void test_listing_goes_through_all_pages(void **state)
{
    world_t *world = *state;
    mailbus_error_t error;
    assert_string_equal(list(world->path, NULL, NULL, &error), ""); /* but a word on stderr */
    assert_int_equal(error.code, MAILBUS_OK);
    assert_string_equal(list(world->path, NULL, as_csv, &error), "name,size\r\n");
    start(world, &things, "local");
    assert_int_equal(inbox_with_store(world->inbox, add_many, NULL, NULL), MAILBUS_OK);
    check_listing(NULL, mb_admin_address(world->admin));
    stop(world);
    check_listing(world->path, NULL);
}

static void test_one_format_is_asked_for(void **state)
{
    world_t *world = *state;
    static const char *const both[] = {"--json", "--csv", NULL};
    mailbus_error_t error;
    assert_string_equal(list(world->path, NULL, both, &error), "");
    assert_int_equal(error.code, MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, "not both"));
}

/* --- programs that answer strangely -------------------------------------------------------------
 */

typedef struct {
    const char *text; /* of every answer; NULL: none, until `over` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool over;
} stranger_t;

static void answer_strangely(void *arg, const mb_http_request_t *request,
                             mb_http_response_t *response)
{
    stranger_t *self = arg;
    (void)request;
    pthread_mutex_lock(&self->lock);
    while (self->text == NULL && !self->over) {
        pthread_cond_wait(&self->changed, &self->lock);
    }
    mailbus_buf_text(&response->body, self->text != NULL ? self->text : "{}");
    pthread_mutex_unlock(&self->lock);
}

static void expect_from_stranger(const char *text, mailbus_code_t code, const char *part)
{
    stranger_t stranger = {.text = text};
    mb_httpd_t *httpd = NULL;
    mailbus_error_t error;
    pthread_mutex_init(&stranger.lock, NULL);
    pthread_cond_init(&stranger.changed, NULL);
    const mb_httpd_options_t options = {
        .listen = "127.0.0.1:0", .max_body = 4096, .handler = answer_strangely, .arg = &stranger};
    assert_int_equal(mb_httpd_new(&options, &httpd, NULL), MAILBUS_OK);
    (void)list(NULL, mb_httpd_address(httpd), text == NULL ? soon : NULL, &error);
    if (error.code != code || strstr(error.text, part) == NULL) {
        fail_msg("%s: %s: %s", text, mailbus_code_name(error.code), error.text);
    }
    pthread_mutex_lock(&stranger.lock);
    stranger.over = true;
    pthread_cond_signal(&stranger.changed);
    pthread_mutex_unlock(&stranger.lock);
    mb_httpd_destroy(&httpd);
    pthread_cond_destroy(&stranger.changed);
    pthread_mutex_destroy(&stranger.lock);
}

static void test_answers_that_are_none_are_told(void **state)
{
    (void)state;
    expect_from_stranger("hello", MAILBUS_EIO, "no JSON object");
    expect_from_stranger("[]", MAILBUS_EIO, "no JSON object");
    expect_from_stranger("{}", MAILBUS_EIO, "no rows");
    expect_from_stranger("{\"rows\":[],\"next\":7}", MAILBUS_EIO, "in a circle");
    expect_from_stranger(NULL, MAILBUS_ETIMEOUT, "may still happen");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_stopped_program_is_asked_in_its_file),
        TEST(test_running_program_is_asked_through_its_listener),
        TEST(test_tables_are_brought_up_to_date_first),
        TEST(test_unclean_end_of_the_program_stays_to_be_seen),
        TEST(test_no_file_is_told_and_none_is_made),
        TEST(test_program_that_can_not_be_asked_is_told),
        TEST(test_other_and_older_programs_are_told),
        TEST(test_commands_wait_for_each_other),
        TEST(test_listing_goes_through_all_pages),
        TEST(test_one_format_is_asked_for),
        cmocka_unit_test(test_answers_that_are_none_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
