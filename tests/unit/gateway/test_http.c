/* The ingest listener on a real socket with a journal in memory. The journal is started by each
 * test when it suits: until then it takes events and says nothing, like one whose disk hangs. */
#include <arpa/inet.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "encoding.h"
#include "http.h"

#define SECRET          "the-first-secret"
#define NEXT_SECRET     "the-second-secret"
#define PATIENCE_MS     30000
#define SLOW_BODY       "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
#define SLOW_BODY_BEGUN SLOW_BODY "{\"a"

typedef struct {
    http_options_t options;
    journal_t *journal;
    mb_metrics_t *metrics;
    http_t *http;
} fixture_t;

static http_options_t defaults(void)
{
    return (http_options_t){
        .listen = "127.0.0.1:0",
        .path = "/webhook",
        .threads = 2,
        .connections = 100,
        .body_budget = 1 << 20,
        .idle_timeout_ms = 60000,
        .request_timeout_ms = 10000,
        .answer_timeout_ms = 12000,
        .tls_cert = "",
        .tls_key = "",
        .max_body = 100000,
        .trusted_proxies = "",
        .tolerance_s = 300,
    };
}

static verify_keys_t *keys_of(const char *secrets)
{
    verify_keys_t *keys = NULL;
    assert_int_equal(verify_keys_parse(secrets, &keys, NULL), MAILBUS_OK);
    return keys;
}

static void begin(fixture_t *f, size_t queue_events)
{
    const journal_options_t journal = {.backend = "memory",
                                       .keep_bodies_ms = 3600000,
                                       .keep_ids_ms = 3600000,
                                       .queue_events = queue_events,
                                       .batch_events = 10,
                                       .quarantine_events = 10};
    mailbus_error_t error = {.text = ""};
    f->metrics = mb_metrics_new();
    assert_int_equal(journal_open(&journal, f->metrics, NULL, &f->journal, &error), MAILBUS_OK);
    verify_keys_t *keys = keys_of(SECRET);
    if (http_new(&f->options, &keys, f->journal, f->metrics, NULL, &f->http, &error) !=
            MAILBUS_OK ||
        http_start(f->http, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    assert_null(keys);
}

static void start_journal(fixture_t *f)
{
    assert_int_equal(journal_start(f->journal, NULL), MAILBUS_OK);
}

/* The journal must have been started. */
static void end(fixture_t *f)
{
    http_stop(f->http, 1000);
    journal_stop(f->journal);
    http_destroy(&f->http);
    journal_close(&f->journal);
    mb_metrics_destroy(&f->metrics);
}

static uint64_t refused(fixture_t *f, const char *reason)
{
    char label[64];
    snprintf(label, sizeof label, "reason=\"%s\"", reason);
    return mb_metric_value(mb_counter(f->metrics, "mailbus_http_refused_total", label,
                                      "Requests refused on the ingest listener, by reason"));
}

static int connect_to(const fixture_t *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *port = strrchr(http_address(f->http), ':');
    address.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    const size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

static void post(int fd, const char *secret, const char *body)
{
    uint8_t digest[MB_SHA256_SIZE];
    const mb_part_t part = {body, strlen(body)};
    assert_int_equal(mb_hmac_sha256(secret, strlen(secret), &part, 1, digest), MAILBUS_OK);
    mailbus_buf_t request = MAILBUS_BUF_INIT;
    mailbus_buf_text(&request, "POST /webhook HTTP/1.1\r\nHost: x\r\nX-AgentMail-Signature: ");
    mb_hex_encode(digest, sizeof digest, &request);
    mailbus_buf_printf(&request, "\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    put(fd, request.data);
    mailbus_buf_free(&request);
}

/* Read one answer (or to the end) into a static buffer; "" where the connection was closed. */
static const char *get(int fd)
{
    static char text[4096];
    size_t used = 0;
    const int64_t end_ms = mb_clock_monotonic_ms() + PATIENCE_MS;
    text[0] = '\0';
    while (strstr(text, "}\n") == NULL && used < sizeof text - 1) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        assert_true(mb_clock_monotonic_ms() < end_ms);
        poll(&waiting, 1, 100);
        if (waiting.revents == 0) {
            continue;
        }
        const ssize_t got = recv(fd, text + used, sizeof text - 1 - used, 0);
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
        text[used] = '\0';
    }
    return text;
}

static int status_of(const char *answer)
{
    static const char line[] = "HTTP/1.1 ";
    return strncmp(answer, line, strlen(line)) == 0 ? (int)strtol(answer + strlen(line), NULL, 10)
                                                    : 0;
}

static const char *event(const char *id)
{
    static char text[128];
    snprintf(text, sizeof text, "{\"event_type\":\"message.sent\",\"event_id\":\"%s\"}", id);
    return text;
}

static void test_answer_comes_only_after_the_journal_has_spoken(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    begin(&f, 10);
    const int fd = connect_to(&f);
    post(fd, SECRET, event("e1"));
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 300), 0); /* nothing, while nothing is stored */
    start_journal(&f);
    assert_non_null(strstr(get(fd), "{\"sequence\":\"1\",\"duplicate\":false}"));
    post(fd, SECRET, event("e1")); /* on the same connection */
    assert_non_null(strstr(get(fd), "{\"sequence\":\"1\",\"duplicate\":true}"));
    close(fd);
    end(&f);
}

static void test_late_journal_is_503_and_the_next_try_a_duplicate(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    f.options.answer_timeout_ms = 100;
    begin(&f, 10);
    int fd = connect_to(&f);
    post(fd, SECRET, event("e1"));
    const char *answer = get(fd);
    assert_int_equal(status_of(answer), 503);
    assert_non_null(strstr(answer, "Retry-After: "));
    assert_int_equal(refused(&f, "journal_late"), 1);
    close(fd);
    start_journal(&f); /* it stores what it was given, and tells nobody */
    fd = connect_to(&f);
    post(fd, SECRET, event("e2"));
    assert_non_null(strstr(get(fd), "{\"sequence\":\"2\",\"duplicate\":false}"));
    post(fd, SECRET, event("e1"));
    assert_non_null(strstr(get(fd), "{\"sequence\":\"1\",\"duplicate\":true}"));
    close(fd);
    end(&f);
}

static void test_full_queue_is_503_with_retry_after(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    begin(&f, 1);
    const int first = connect_to(&f);
    post(first, SECRET, event("e1"));
    int status = 0;
    for (int i = 0; i < 100 && status != 503; i++) { /* which of the two comes first is open */
        const int fd = connect_to(&f);
        post(fd, SECRET, event("e2"));
        struct pollfd waiting[2] = {{.fd = fd, .events = POLLIN}, {.fd = first, .events = POLLIN}};
        poll(waiting, 2, PATIENCE_MS);
        status = waiting[0].revents != 0 ? status_of(get(fd)) : status_of(get(first));
        close(fd);
    }
    assert_int_equal(status, 503);
    assert_true(refused(&f, "journal_full") >= 1);
    start_journal(&f);
    close(first);
    end(&f);
}

static void test_stop_answers_those_who_wait_and_ends(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    f.options.answer_timeout_ms = 60000;
    begin(&f, 100);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = connect_to(&f);
        if (i % 2 == 0) { /* the others are idle */
            char id[16];
            snprintf(id, sizeof id, "e%d", i);
            post(fds[i], SECRET, event(id));
        }
    }
    mb_metric_t *open = mb_gauge(f.metrics, "mailbus_http_connections", "",
                                 "Open connections of the ingest listener");
    const int64_t end_ms = mb_clock_monotonic_ms() + PATIENCE_MS;
    while (mb_metric_value(open) < 20 && mb_clock_monotonic_ms() < end_ms) {
        poll(NULL, 0, 5);
    }
    const int64_t begin_ms = mb_clock_monotonic_ms();
    http_stop(f.http, 300);
    /* It gave up waiting by itself, not because the answers' own deadline came. */
    assert_true(mb_clock_monotonic_ms() - begin_ms < f.options.answer_timeout_ms);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(status_of(get(fds[i])), i % 2 == 0 ? 503 : 0);
        close(fds[i]);
    }
    assert_int_equal(mb_metric_value(open), 0);
    start_journal(&f);
    end(&f);
}

static void test_stopped_listener_refuses_connections(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    begin(&f, 10);
    start_journal(&f);
    http_stop(f.http, 100);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *port = strrchr(http_address(f.http), ':');
    address.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    end(&f);
}

static void test_many_starts_and_stops_with_open_connections(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        fixture_t f = {.options = defaults()};
        f.options.threads = 4;
        begin(&f, 100);
        start_journal(&f);
        int fds[8];
        for (int i = 0; i < 8; i++) {
            fds[i] = connect_to(&f);
            post(fds[i], SECRET, event("e"));
        }
        http_stop(f.http, 1000);
        for (int i = 0; i < 8; i++) {
            const int status = status_of(get(fds[i]));
            assert_true(status == 200 || status == 0); /* answered, or reset before it was read */
            close(fds[i]);
        }
        end(&f);
    }
}

/* As many connections to one daemon as libmicrohttpd asks the kernel for events at once: its own
 * polling thread then waits for further events before it looks at those. */
static void test_128_connections_in_step_are_all_answered(void **state)
{
    (void)state;
    enum { CONNECTIONS = 128, ROUNDS = 40 };
    fixture_t f = {.options = defaults()};
    f.options.threads = 1;
    f.options.connections = CONNECTIONS;
    begin(&f, 1000);
    start_journal(&f);
    static int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = connect_to(&f);
    }
    const int64_t begin_ms = mb_clock_monotonic_ms();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            post(fds[i], SECRET, event("e"));
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            assert_int_equal(status_of(get(fds[i])), 200);
        }
    }
    assert_true(mb_clock_monotonic_ms() - begin_ms < f.options.idle_timeout_ms);
    for (int i = 0; i < CONNECTIONS; i++) {
        close(fds[i]);
    }
    end(&f);
}

static void test_slow_header_and_slow_body_get_408(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    f.options.request_timeout_ms = 200;
    begin(&f, 10);
    start_journal(&f);
    const char *const starts[] = {"POST /webh", "POST /webhook HTTP/1.1\r\nHost: x\r\nX-",
                                  SLOW_BODY, SLOW_BODY_BEGUN};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        const int fd = connect_to(&f);
        put(fd, starts[i]);
        assert_int_equal(status_of(get(fd)), 408);
        assert_string_equal(get(fd), ""); /* closed */
        close(fd);
    }
    assert_int_equal(refused(&f, "timeout"), 4);
    const int fd = connect_to(&f); /* who says nothing is told nothing */
    assert_string_equal(get(fd), "");
    close(fd);
    assert_int_equal(refused(&f, "timeout"), 4);
    end(&f);
}

static void test_idle_connection_is_closed(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    f.options.idle_timeout_ms = 100;
    begin(&f, 10);
    start_journal(&f);
    const int fd = connect_to(&f);
    post(fd, SECRET, event("e1"));
    assert_int_equal(status_of(get(fd)), 200);
    assert_string_equal(get(fd), "");
    close(fd);
    end(&f);
}

static void test_used_up_budget_is_503_before_and_within_a_body(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    f.options.body_budget = f.options.max_body = 40000;
    begin(&f, 10);
    start_journal(&f);
    static char half[30001];
    memset(half, ' ', sizeof half - 1);
    const int one = connect_to(&f);
    put(one, "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n");
    put(one, half);
    mb_metric_t *used = mb_gauge(f.metrics, "mailbus_http_body_bytes_in_flight", "",
                                 "Memory held by request bodies, in bytes");
    const int64_t end_ms = mb_clock_monotonic_ms() + PATIENCE_MS;
    while (mb_metric_value(used) < 32768 && mb_clock_monotonic_ms() < end_ms) {
        poll(NULL, 0, 5);
    }
    const int two = connect_to(&f); /* there is room for its beginning only */
    put(two, "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
    put(two, half);
    assert_int_equal(status_of(get(two)), 503);
    assert_int_equal(refused(&f, "budget"), 1);
    close(two);
    close(one);
    while (mb_metric_value(used) > 0 && mb_clock_monotonic_ms() < end_ms) {
        poll(NULL, 0, 5);
    }
    assert_int_equal(mb_metric_value(used), 0);
    assert_int_equal(refused(&f, "closed_early"), 1);
    end(&f);
}

static void test_reload_takes_new_secrets_on_open_connections(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    begin(&f, 10);
    start_journal(&f);
    int fd = connect_to(&f);
    post(fd, SECRET, event("e1"));
    assert_int_equal(status_of(get(fd)), 200);

    http_options_t bad = f.options;
    bad.trusted_proxies = "nonsense";
    verify_keys_t *keys = keys_of(NEXT_SECRET);
    mailbus_error_t error;
    assert_int_equal(http_reload(f.http, &bad, &keys, &error), MAILBUS_EINVAL);
    assert_non_null(keys); /* still ours */
    post(fd, SECRET, event("e2"));
    assert_int_equal(status_of(get(fd)), 200);

    assert_int_equal(http_reload(f.http, &f.options, &keys, &error), MAILBUS_OK);
    assert_null(keys);
    post(fd, NEXT_SECRET, event("e3"));
    assert_int_equal(status_of(get(fd)), 200);
    post(fd, SECRET, event("e4"));
    assert_int_equal(status_of(get(fd)), 401);
    close(fd);
    end(&f);
}

/* http_check and http_new refuse these options with a text that names `key`. */
static void refuses(const char *key, const http_options_t *options)
{
    mailbus_error_t error = {.text = ""};
    http_t *http = NULL;
    verify_keys_t *keys = keys_of(SECRET);
    assert_int_equal(http_check(options, &error), MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, key));
    assert_int_equal(http_new(options, &keys, NULL, NULL, NULL, &http, &error), MAILBUS_EINVAL);
    assert_null(http);
    assert_non_null(keys);
    verify_keys_free(&keys);
}

static void test_bad_settings_are_told_with_their_key(void **state)
{
    (void)state;
    const char *const paths[] = {"webhook", "", "/a?b", "/a b", "/a#b", "/a%20b", "/\x01"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        http_options_t options = defaults();
        options.path = paths[i];
        refuses("http.path", &options);
    }
    http_options_t options = defaults();
    options.threads = 0;
    refuses("http.threads", &options);
    options.threads = HTTP_THREADS_MAX + 1;
    refuses("http.threads", &options);
    options = defaults();
    options.body_budget = options.max_body - 1;
    refuses("http.body_budget", &options);
    options = defaults();
    options.max_body = 0;
    refuses("http.max_body", &options);
    options = defaults();
    options.tls_cert = "x.pem";
    refuses("http.tls_key", &options);
    options = defaults();
    options.trusted_proxies = "x";
    refuses("http.trusted_proxies", &options);
    options = defaults();
    options.rate = -1;
    refuses("limits.rate", &options);
    options = defaults();
    options.tolerance_s = -1;
    refuses("verify.tolerance", &options);
    options = defaults();
    options.idle_timeout_ms = 0;
    refuses("http.idle_timeout", &options);
}

static void test_missing_certificate_and_taken_address_are_told(void **state)
{
    (void)state;
    fixture_t f = {.options = defaults()};
    begin(&f, 10);
    start_journal(&f);
    http_t *http = NULL;
    mailbus_error_t error;
    verify_keys_t *keys = keys_of(SECRET);
    http_options_t options = defaults();
    options.listen = http_address(f.http);
    assert_int_equal(http_new(&options, &keys, f.journal, NULL, NULL, &http, &error),
                     MAILBUS_EEXIST);
    options = defaults();
    options.tls_cert = "/nowhere/cert.pem";
    options.tls_key = "/nowhere/key.pem";
    assert_int_equal(http_new(&options, &keys, f.journal, NULL, NULL, &http, &error),
                     MAILBUS_EINVAL);
    assert_non_null(strstr(error.text, "/nowhere/cert.pem"));
    assert_int_equal(http_check(&options, &error), MAILBUS_EINVAL);
    assert_non_null(keys);
    verify_keys_free(&keys);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_comes_only_after_the_journal_has_spoken),
        cmocka_unit_test(test_late_journal_is_503_and_the_next_try_a_duplicate),
        cmocka_unit_test(test_full_queue_is_503_with_retry_after),
        cmocka_unit_test(test_stop_answers_those_who_wait_and_ends),
        cmocka_unit_test(test_stopped_listener_refuses_connections),
        cmocka_unit_test(test_many_starts_and_stops_with_open_connections),
        cmocka_unit_test(test_128_connections_in_step_are_all_answered),
        cmocka_unit_test(test_slow_header_and_slow_body_get_408),
        cmocka_unit_test(test_idle_connection_is_closed),
        cmocka_unit_test(test_used_up_budget_is_503_before_and_within_a_body),
        cmocka_unit_test(test_reload_takes_new_secrets_on_open_connections),
        cmocka_unit_test(test_bad_settings_are_told_with_their_key),
        cmocka_unit_test(test_missing_certificate_and_taken_address_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
