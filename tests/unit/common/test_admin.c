#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin.h"
#include "http_client.h"

typedef struct {
    mb_admin_t *admin;
    mb_metrics_t *metrics;
    atomic_bool ready;
} fixture_t;

static bool is_ready(void *arg, char *reason, size_t size)
{
    fixture_t *self = arg;
    snprintf(reason, size, "the disk is full");
    return atomic_load(&self->ready);
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->metrics = mb_metrics_new();
    mb_metric_add(mb_counter(self->metrics, "mailbus_test_things_total", "", "things"), 3);
    if (mb_admin_new("127.0.0.1:0", self->metrics, is_ready, self, &self->admin, NULL) !=
        MAILBUS_OK) {
        return -1;
    }
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_admin_destroy(&self->admin);
    mb_metrics_destroy(&self->metrics);
    free(self);
    return 0;
}

static void check(fixture_t *self, const char *method, const char *path, int status,
                  const char *part)
{
    char request[200];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             method, path);
    char *answer = http_ask(mb_admin_address(self->admin), request);
    if (http_status(answer) != status || strstr(answer, part) == NULL) {
        fail_msg("%s %s: wanted %d and \"%s\", got:\n%s", method, path, status, part, answer);
    }
    free(answer);
}

static void test_life_readiness_and_figures(void **state)
{
    fixture_t *self = *state;
    check(self, "GET", "/healthz", 200, "ok\n");
    check(self, "GET", "/readyz", 503, "the disk is full");
    atomic_store(&self->ready, true);
    check(self, "GET", "/readyz", 200, "ready\n");
    check(self, "GET", "/metrics", 200, "mailbus_test_things_total 3\n");
    check(self, "GET", "/metrics", 200, "text/plain; version=0.0.4");
    check(self, "GET", "/", 200, "/readyz");
    check(self, "HEAD", "/healthz", 200, "Content-Length: 3");
}

static void test_everything_else_is_refused(void **state)
{
    fixture_t *self = *state;
    check(self, "GET", "/healthz/", 404, "error");
    check(self, "GET", "/../etc/passwd", 404, "error");
    check(self, "DELETE", "/metrics", 405, "Allow: GET, HEAD");
}

static void test_no_address_means_no_listener(void **state)
{
    (void)state;
    mb_admin_t *admin = (mb_admin_t *)&admin;
    assert_int_equal(mb_admin_new("", NULL, NULL, NULL, &admin, NULL), MAILBUS_OK);
    assert_null(admin);
    assert_string_equal(mb_admin_address(NULL), "");
    mb_admin_destroy(&admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life_readiness_and_figures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_everything_else_is_refused, set_up, tear_down),
        cmocka_unit_test(test_no_address_means_no_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
