/* The admin listener's own pages: who may ask, what comes back, and that whoever writes meanwhile
 * loses nothing. */
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
#include "folder.h"
#include "http_client.h"
#include "pages.h"
#include "things.h"

typedef struct {
    char *folder;
    mb_metrics_t *metrics;
    mb_log_t *log;
    inbox_t *inbox;
    pages_t pages;
    mb_admin_t *admin;
} world_t;

/* The listener is on loopback always; `listen` is what the policy believes. */
static void offer(world_t *world, const char *listen, const char *access)
{
    mb_admin_destroy(&world->admin);
    world->pages = pages_make(&things, world->inbox, listen, access);
    const mb_admin_more_t more = {
        .handler = pages_handle, .arg = &world->pages, .max_body = pages_max_body(&world->pages)};
    mailbus_error_t error = {0};
    if (mb_admin_new_with("127.0.0.1:0", world->metrics, NULL, NULL, &more, &world->admin,
                          &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
}

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
    offer(world, "127.0.0.1:0", "local");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world_t *world = *state;
    mb_admin_destroy(&world->admin);
    inbox_close(&world->inbox, true);
    mb_log_destroy(&world->log);
    mb_metrics_destroy(&world->metrics);
    folder_remove(&world->folder);
    free(world);
    return 0;
}

static char *ask(world_t *world, const char *method, const char *path, const char *headers,
                 const char *body)
{
    mailbus_buf_t request = MAILBUS_BUF_INIT;
    mailbus_buf_printf(&request,
                       "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                       method, path, strlen(body), headers);
    mailbus_buf_text(&request, body);
    char *answer = http_ask(mb_admin_address(world->admin), request.data);
    mailbus_buf_free(&request);
    return answer;
}

static void check_with(world_t *world, const char *method, const char *path, const char *headers,
                       const char *body, int status, const char *part)
{
    char *answer = ask(world, method, path, headers, body);
    if (http_status(answer) != status || strstr(answer, part) == NULL) {
        fail_msg("%s %s %.60s: wanted %d and \"%s\", got:\n%s", method, path, body, status, part,
                 answer);
    }
    free(answer);
}

static void check(world_t *world, const char *method, const char *path, const char *body,
                  int status, const char *part)
{
    check_with(world, method, path, "Host: 127.0.0.1:1\r\n", body, status, part);
}

static void test_command_is_run_and_answered(void **state)
{
    check(*state, "POST", "/command/add", "{\"name\":\"a\",\"size\":1}", 200, "{\"added\":1}\n");
    check(*state, "POST", "/command/add?subscriber=things", "{\"name\":\"b\",\"size\":2}", 200,
          "{\"added\":1}\n");
    check(*state, "POST", "/command/list", "{\"limit\":1}", 200,
          "{\"rows\":[{\"name\":\"a\",\"size\":1}],\"next\":\"a\"}\n");
}

static void test_each_failure_has_its_status(void **state)
{
    static const struct {
        mailbus_code_t code;
        int status;
        const char *name;
    } cases[] = {
        {MAILBUS_EINVAL, 400, "\"code\":\"invalid\""},
        {MAILBUS_ENOTFOUND, 404, "\"code\":\"not-found\""},
        {MAILBUS_EEXIST, 409, "\"error\":\"failed as asked\""},
        {MAILBUS_ETOOBIG, 413, "\"error\":\"failed as asked\""},
        {MAILBUS_EAGAIN, 503, "\"error\":\"failed as asked\""},
        {MAILBUS_EFULL, 503, "\"error\":\"failed as asked\""},
        {MAILBUS_EIO, 500, "\"error\":\"failed as asked\""},
        {MAILBUS_ENOMEM, 500, "\"error\":\"failed as asked\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[40];
        snprintf(request, sizeof request, "{\"code\":%d}", cases[i].code);
        check(*state, "POST", "/command/fail", request, cases[i].status, cases[i].name);
    }
    check(*state, "POST", "/command/list", "no JSON", 400, "no JSON object");
    check(*state, "POST", "/command/long", "{}", 413, "too long");
    check(*state, "POST", "/command/list", "{}", 200, "{\"rows\":[],\"next\":null}");
}

static void test_what_is_not_there_is_told_apart(void **state)
{
    check(*state, "POST", "/command/ad", "{}", 404, "\"code\":\"unknown-command\"");
    check(*state, "POST", "/command/", "{}", 404, "\"code\":\"unknown-command\"");
    check(*state, "POST", "/command/add/x", "{}", 404, "\"code\":\"unknown-command\"");
    check(*state, "POST", "/command/add?subscriber=bounces", "{\"name\":\"a\"}", 404,
          "this is mailbus-things, and not mailbus-bounces");
    check(*state, "POST", "/command", "{}", 404, "no such page");
    check(*state, "GET", "/command/list", "", 405, "Allow: POST");
    check(*state, "GET", "/dead", "", 200, "{\"dead\":[],\"next\":null}");
    check(*state, "GET", "/deadly", "", 404, "no such page");
    check(*state, "GET", "/dead/x", "", 404, "no such page");
    check(*state, "POST", "/command/list", "{}", 200, "{\"rows\":[],");
}

static void test_nobody_from_a_web_page_may_ask(void **state)
{
    static const char *const marks[] = {
        "Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:1\r\n",
        "Host: localhost:1\r\nSec-Fetch-Site: same-origin\r\n",
        "Host: rebound.example.com:8083\r\n",
        "Host: rebound.example.com\r\n",
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        check_with(*state, "POST", "/command/add", marks[i], "{\"name\":\"a\"}", 403,
                   "admin.access");
        check_with(*state, "GET", "/dead", marks[i], "", 403, "admin.access");
    }
    check(*state, "POST", "/command/list", "{}", 200, "{\"rows\":[],");
}

static void test_access_is_for_loopback_unless_the_setting_says_otherwise(void **state)
{
    static const struct {
        const char *listen;
        const char *access;
        int status;
    } cases[] = {
        {"127.0.0.1:0", "local", 200}, {"localhost:8083", "local", 200},
        {"[::1]:0", "local", 200},     {"127.0.0.1:0", "none", 403},
        {":8083", "local", 403},       {"0.0.0.0:0", "local", 403},
        {"192.0.2.1:0", "local", 403}, {"192.0.2.1:0", "all", 200},
        {":8083", "all", 200},         {"192.0.2.1:0", "none", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        offer(*state, cases[i].listen, cases[i].access);
        check(*state, "POST", "/command/list", "{}", cases[i].status, "");
        check(*state, "GET", "/dead", "", cases[i].status, "");
    }
    /* Elsewhere the listener may have any name, but web pages still may not. */
    offer(*state, "192.0.2.1:0", "all");
    check_with(*state, "POST", "/command/list", "Host: mail.example.com\r\n", "{}", 200, "rows");
    check_with(*state, "POST", "/command/list", "Host: a\r\nOrigin: http://a\r\n", "{}", 403, "");
}

static void test_request_is_bounded(void **state)
{
    world_t *world = *state;
    size_t size = COMMANDS_REQUEST_MAX;
    char *body = malloc(size + 2);
    assert_non_null(body);
    memset(body, ' ', size + 1);
    body[0] = '{';
    body[size - 1] = '}';
    body[size] = '\0';
    check(world, "POST", "/command/list", body, 200, "rows");
    body[size] = ' ';
    body[size + 1] = '\0';
    check(world, "POST", "/command/list", body, 413, "too large");
    /* Where nobody may ask nothing that large is taken in. */
    offer(world, "127.0.0.1:0", "none");
    body[8192] = '\0';
    check(world, "POST", "/command/list", body, 413, "too large");
    free(body);
}

typedef struct {
    inbox_t *inbox;
    atomic_bool stop;
    unsigned written;
} writer_t;

static mailbus_code_t write_one(store_t *store, void *arg, mailbus_error_t *error)
{
    const unsigned *number = arg;
    char sql[80];
    snprintf(sql, sizeof sql, "INSERT INTO things VALUES('worker %06u',1)", *number);
    return mb_db_exec(store_db(store), sql, error);
}

/* As a worker does: write, let go, write again. */
static void *write_on(void *arg)
{
    writer_t *self = arg;
    while (!atomic_load(&self->stop)) {
        if (inbox_with_store(self->inbox, write_one, &self->written, NULL) == MAILBUS_OK) {
            self->written++;
        }
    }
    return NULL;
}

static void test_commands_and_workers_take_turns(void **state)
{
    enum { COMMANDS = 100 };
    world_t *world = *state;
    writer_t writer = {.inbox = world->inbox};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (int i = 0; i < COMMANDS; i++) {
        char request[80];
        snprintf(request, sizeof request, "{\"name\":\"command %03d\",\"size\":1}", i);
        check(world, "POST", "/command/add", request, 200, "added");
    }
    atomic_store(&writer.stop, true);
    pthread_join(thread, NULL);
    assert_true(writer.written > 0);
    char *answer = ask(world, "POST", "/command/list", "Host: [::1]:1\r\n", "{\"limit\":1000000}");
    unsigned rows = 0;
    for (const char *at = answer; (at = strstr(at, "\"name\"")) != NULL; at++) {
        rows++;
    }
    assert_int_equal(rows, COMMANDS + writer.written);
    free(answer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_command_is_run_and_answered),
        TEST(test_each_failure_has_its_status),
        TEST(test_what_is_not_there_is_told_apart),
        TEST(test_nobody_from_a_web_page_may_ask),
        TEST(test_access_is_for_loopback_unless_the_setting_says_otherwise),
        TEST(test_request_is_bounded),
        TEST(test_commands_and_workers_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
