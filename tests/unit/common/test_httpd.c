#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_client.h"
#include "httpd.h"

enum { MAX_BODY = 1000 };

typedef struct {
    mb_httpd_t *httpd;
    const char *address;
    atomic_int calls;
} fixture_t;

/* Says back what it was asked. */
static void echo(void *arg, const mb_http_request_t *request, mb_http_response_t *response)
{
    fixture_t *self = arg;
    atomic_fetch_add(&self->calls, 1);
    if (strcmp(mb_http_path(request), "/abort") == 0) {
        mailbus_buf_text(&response->body, "never seen");
        response->abort = true;
        return;
    }
    if (strcmp(mb_http_path(request), "/error") == 0) {
        mb_http_error(response, 404, "no \"such\" thing");
        return;
    }
    if (strcmp(mb_http_path(request), "/split") == 0) {
        strcpy(response->headers[0][0], "X-Bad");
        strcpy(response->headers[0][1], "a\r\nSet-Cookie: b");
        return;
    }
    size_t size = 0;
    const void *body = mb_http_body(request, &size);
    const char *header = mb_http_header(request, "x-test");
    const char *q = mb_http_query(request, "q");
    response->content_type = "text/plain";
    strcpy(response->headers[0][0], "X-One");
    strcpy(response->headers[0][1], "1");
    strcpy(response->headers[1][0], "X-Two");
    strcpy(response->headers[1][1], "2");
    mailbus_buf_printf(&response->body, "%s %s|%s|%s|%zu:", mb_http_method(request),
                       mb_http_path(request), header != NULL ? header : "-", q != NULL ? q : "-",
                       size);
    mailbus_buf_append(&response->body, body, size);
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    const mb_httpd_options_t options = {.listen = "127.0.0.1:0",
                                        .max_body = MAX_BODY,
                                        .timeout_s = 1,
                                        .handler = echo,
                                        .arg = self};
    if (mb_httpd_new(&options, &self->httpd, NULL) != MAILBUS_OK) {
        return -1;
    }
    self->address = mb_httpd_address(self->httpd);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_httpd_destroy(&self->httpd);
    assert_null(self->httpd);
    mb_httpd_destroy(&self->httpd);
    free(self);
    return 0;
}

static void check(fixture_t *self, const char *request, int status, const char *part)
{
    char *answer = http_ask(self->address, request);
    if (http_status(answer) != status || strstr(answer, part) == NULL) {
        fail_msg("asked:\n%s\nwanted %d and \"%s\", got:\n%s", request, status, part, answer);
    }
    free(answer);
}

static void test_request_reaches_the_handler_whole(void **state)
{
    fixture_t *self = *state;
    check(self, "GET /a/b HTTP/1.1\r\nHost: x\r\nX-Test: yes\r\nConnection: close\r\n\r\n", 200,
          "GET /a/b|yes|-|0:");
    check(self,
          "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 200,
          "POST /p|-|-|5:hello");
    check(self, "DELETE /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200,
          "X-One: 1\r\nX-Two: 2");
}

static void test_chunked_body_is_taken(void **state)
{
    fixture_t *self = *state;
    check(self,
          "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
          "close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
          200, "|5:abcde");
}

static void test_path_stays_encoded_and_query_is_decoded(void **state)
{
    fixture_t *self = *state;
    check(self, "GET /a%2Fb%3Cc?q=x%3D1+2%2B3&z HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
          200, "GET /a%2Fb%3Cc|-|x=1 2+3|0:");
    check(self, "GET /?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, "GET /|-||0:");
}

static void test_broken_query_is_refused(void **state)
{
    fixture_t *self = *state;
    static const char *const bad[] = {"q=%", "q=%zz", "q=%00", "%4=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char request[200];
        snprintf(request, sizeof request, "GET /?%s HTTP/1.1\r\nHost: x\r\n\r\n", bad[i]);
        check(self, request, 400, "malformed");
    }
    char many[2000];
    strcpy(many, "GET /?");
    for (int i = 0; i < 100; i++) {
        strcat(many, "a=1&");
    }
    strcat(many, " HTTP/1.1\r\nHost: x\r\n\r\n");
    check(self, many, 400, "malformed");
    assert_int_equal(atomic_load(&self->calls), 0);
}

static void test_declared_large_body_is_refused_before_it_comes(void **state)
{
    fixture_t *self = *state;
    check(self, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413,
          "Connection: close");
    check(self,
          "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413,
          "too large");
    assert_int_equal(atomic_load(&self->calls), 0);
}

static void test_body_of_exactly_the_limit_is_taken(void **state)
{
    fixture_t *self = *state;
    char request[1200];
    int head = snprintf(request, sizeof request,
                        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                        "%d\r\n\r\n",
                        MAX_BODY);
    memset(request + head, 'b', MAX_BODY);
    request[head + MAX_BODY] = '\0';
    check(self, request, 200, "|1000:bbb");
}

static void test_chunks_past_the_limit_are_refused(void **state)
{
    fixture_t *self = *state;
    char request[2600];
    strcpy(request, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        strcat(request, "10\r\n0123456789abcdef\r\n");
    }
    strcat(request, "0\r\n\r\n");
    check(self, request, 413, "Connection: close");
    assert_int_equal(atomic_load(&self->calls), 0);
}

static void test_endless_body_is_cut_off(void **state)
{
    fixture_t *self = *state;
    int fd = http_connect(self->address);
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    http_send(fd, head, sizeof head - 1);
    static char chunk[65536 + 10];
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'x', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    bool open = true;
    for (int i = 0; i < 1000 && open; i++) { /* 64 MiB at most */
        open = send(fd, chunk, 7 + 65536 + 2, MSG_NOSIGNAL) > 0;
    }
    assert_false(open);
    close(fd);
    check(self, "GET /still HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, "/still");
}

static void test_doubtful_framing_is_refused(void **state)
{
    fixture_t *self = *state;
    check(self, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nhello",
          400, "Connection: close");
    check(self,
          "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
          "chunked\r\n\r\n0\r\n\r\n",
          400, "Connection: close");
    assert_int_equal(atomic_load(&self->calls), 0);
}

static void test_expect_continue_is_answered(void **state)
{
    fixture_t *self = *state;
    int fd = http_connect(self->address);
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nExpect: "
                               "100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    http_send(fd, head, sizeof head - 1);
    char answer[200] = "";
    assert_true(recv(fd, answer, sizeof answer - 1, 0) > 0);
    assert_int_equal(http_status(answer), 100);
    http_send(fd, "ok", 2);
    char *rest = http_read_all(fd);
    assert_non_null(strstr(rest, "|2:ok"));
    free(rest);
    close(fd);
}

static void test_abort_closes_without_an_answer(void **state)
{
    fixture_t *self = *state;
    char *answer = http_ask(self->address, "GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(answer, "");
    free(answer);
    assert_int_equal(atomic_load(&self->calls), 1);
}

static void test_error_is_json(void **state)
{
    fixture_t *self = *state;
    check(self, "GET /error HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404,
          "{\"error\":\"no \\\"such\\\" thing\"}");
}

static void test_header_with_a_line_break_never_goes_out(void **state)
{
    fixture_t *self = *state;
    char *answer = http_ask(self->address, "GET /split HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_null(strstr(answer, "Set-Cookie"));
    free(answer);
}

static void test_several_requests_share_a_connection(void **state)
{
    fixture_t *self = *state;
    char *answer = http_ask(self->address, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
                                           "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                                           "\r\nx"
                                           "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                           "\r\n");
    assert_non_null(strstr(answer, "GET /1"));
    assert_non_null(strstr(answer, "POST /2|-|-|1:x"));
    assert_non_null(strstr(answer, "GET /3|-|-|0:"));
    free(answer);
}

static void test_silent_connection_is_closed(void **state)
{
    fixture_t *self = *state;
    char *answer = http_ask(self->address, "GET / HT"); /* timeout_s is 1 */
    assert_int_not_equal(http_status(answer), 200);
    free(answer);
}

static void test_stop_with_open_connections(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        fixture_t other = {.calls = 0};
        const mb_httpd_options_t options = {
            .listen = "127.0.0.1:0", .max_body = MAX_BODY, .handler = echo, .arg = &other};
        assert_int_equal(mb_httpd_new(&options, &other.httpd, NULL), MAILBUS_OK);
        int idle = http_connect(mb_httpd_address(other.httpd));
        int half = http_connect(mb_httpd_address(other.httpd));
        static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
        http_send(half, head, sizeof head - 1);
        mb_httpd_destroy(&other.httpd);
        close(idle);
        close(half);
    }
}

static void test_taken_address_is_told(void **state)
{
    fixture_t *self = *state;
    mb_httpd_t *second = NULL;
    mailbus_error_t error;
    const mb_httpd_options_t options = {.listen = self->address, .handler = echo, .arg = self};
    assert_int_equal(mb_httpd_new(&options, &second, &error), MAILBUS_EEXIST);
    assert_null(second);
    assert_non_null(strstr(error.text, self->address));
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:65536",
                                      "::1:80",
                                      "[::1:80",
                                      "[]:80",
                                      "1.2.3.4:-1",
                                      "127.0.0.1:80x",
                                      "127.0.0.1:+80",
                                      "127.0.0.1:000080"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fd = -1;
        assert_int_equal(mb_tcp_listen(bad[i], 1, &fd, NULL), MAILBUS_EINVAL);
        assert_int_equal(fd, -1);
    }
    int fd = -1;
    assert_int_equal(mb_tcp_listen("192.0.2.1:0", 1, &fd, NULL), MAILBUS_EINVAL); /* not ours */
    static const char *const good[] = {"127.0.0.1:0", "localhost:0", ":0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[300];
        assert_int_equal(mb_tcp_listen(good[i], 1, &fd, NULL), MAILBUS_OK);
        mb_tcp_address(fd, text, sizeof text);
        assert_null(strstr(text, ":0"));
        assert_non_null(strrchr(text, ':'));
        close(fd);
    }
}

/* A name that lets others in must not depend on what a resolver says (RFC 6761 §6.3). */
static void test_localhost_is_loopback_without_a_resolver(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost:0", "LocalHost:0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = -1;
        char text[300];
        assert_int_equal(mb_tcp_listen(names[i], 1, &fd, NULL), MAILBUS_OK);
        mb_tcp_address(fd, text, sizeof text);
        assert_memory_equal(text, "127.0.0.1:", 10);
        close(fd);
    }
}

static void test_loopback_is_recognised_by_number_not_by_look(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "127.0.0.1:80",  "127.9.9.9:0",          "localhost:1",       "[::1]:80",
        "tcp://[::1]:5", "tcp://127.0.0.1:*",    "tcp://localhost:*", "ipc:///tmp/x",
        "inproc://x",    "[::ffff:127.0.0.1]:8", "LOCALHOST:1"};
    static const char *const no[] = {":80",
                                     "0.0.0.0:80",
                                     "[::]:80",
                                     "tcp://*:5556",
                                     "tcp://*:*",
                                     "127.0.0.1.example.com:80",
                                     "localhost.example.com:80",
                                     "tcp://eth0:5556",
                                     "tcp://127.0.0.1:1;10.0.0.1:2",
                                     "tcp://10.0.0.1;127.0.0.1:5",
                                     "[::ffff:10.0.0.1]:8",
                                     "",
                                     "tcp://",
                                     "128.0.0.1:1"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (!mb_is_loopback(yes[i])) {
            fail_msg("%s", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        if (mb_is_loopback(no[i])) {
            fail_msg("%s", no[i]);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_request_reaches_the_handler_whole),
        TEST(test_chunked_body_is_taken),
        TEST(test_path_stays_encoded_and_query_is_decoded),
        TEST(test_broken_query_is_refused),
        TEST(test_declared_large_body_is_refused_before_it_comes),
        TEST(test_body_of_exactly_the_limit_is_taken),
        TEST(test_chunks_past_the_limit_are_refused),
        TEST(test_endless_body_is_cut_off),
        TEST(test_doubtful_framing_is_refused),
        TEST(test_expect_continue_is_answered),
        TEST(test_abort_closes_without_an_answer),
        TEST(test_error_is_json),
        TEST(test_header_with_a_line_break_never_goes_out),
        TEST(test_several_requests_share_a_connection),
        TEST(test_silent_connection_is_closed),
        TEST(test_stop_with_open_connections),
        TEST(test_taken_address_is_told),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_localhost_is_loopback_without_a_resolver),
        cmocka_unit_test(test_loopback_is_recognised_by_number_not_by_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
