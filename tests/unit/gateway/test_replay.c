/* Replay on its real socket and a journal in memory, with plain libzmq peers on the other side. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus_fixture.h"
#include "replay.h"

static replay_t *replay_with(fixture_t *fixture, int send_hwm)
{
    const replay_options_t options = {.endpoint = "tcp://127.0.0.1:*", .send_hwm = send_hwm};
    replay_t *replay = NULL;
    mailbus_error_t error = {.text = ""};
    if (replay_new(fixture->context, &options, fixture->journal, fixture->metrics, NULL, &replay,
                   &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return replay;
}

static void *dealer(fixture_t *fixture, const replay_t *replay)
{
    return fixture_connect(fixture, ZMQ_DEALER, replay_endpoint(replay));
}

static void ask(void *socket, const char *verb, const char *json)
{
    const char *const frames[] = {verb, json, NULL};
    fixture_send(socket, frames);
}

/* One answer of a page. */
typedef struct {
    uint64_t sequences[2000]; /* of the EVENTs */
    size_t count;
    bool trimmed;
    uint64_t trimmed_oldest;
    mailbus_answer_t *end; /* END or ERROR */
} page_t;

static void decode_answer(mb_message_t *message, mailbus_answer_t **ret_answer)
{
    mailbus_error_t error = {.text = ""};
    assert_int_equal(message->count, 2);
    if (mailbus_answer_decode(mb_message_data(message, 0), mb_message_size(message, 0),
                              mb_message_data(message, 1), mb_message_size(message, 1), ret_answer,
                              &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
}

static void decode_event(mb_message_t *message, page_t *page)
{
    mailbus_event_t *event = NULL;
    assert_int_equal(message->count, 5);
    assert_int_equal(mailbus_event_decode(mb_message_data(message, 2), mb_message_size(message, 2),
                                          mb_message_data(message, 3), mb_message_size(message, 3),
                                          mb_message_data(message, 4), mb_message_size(message, 4),
                                          &event, NULL),
                     MAILBUS_OK);
    assert_true(page->count < 2000);
    page->sequences[page->count++] = event->sequence;
    mailbus_event_free(&event);
}

static void read_page(void *socket, page_t *page)
{
    *page = (page_t){.end = NULL};
    while (page->end == NULL) {
        mb_message_t message;
        fixture_receive(socket, &message);
        if (fixture_frame_is(&message, 0, "EVENT")) {
            decode_event(&message, page);
        } else {
            mailbus_answer_t *answer = NULL;
            decode_answer(&message, &answer);
            if (answer->kind == MAILBUS_REPLAY_TRIMMED) {
                assert_int_equal(page->count, 0); /* it comes first */
                page->trimmed = true;
                page->trimmed_oldest = answer->oldest;
                mailbus_answer_free(&answer);
            } else {
                page->end = answer;
            }
        }
        mb_message_close(&message);
    }
}

static void fetch(void *socket, const char *json, page_t *page)
{
    ask(socket, "FETCH", json);
    read_page(socket, page);
}

static void expect_error(void *socket, const char *verb, const char *json, int code,
                         const char *request)
{
    page_t *page = calloc(1, sizeof *page);
    ask(socket, verb, json);
    read_page(socket, page);
    assert_int_equal(page->end->kind, MAILBUS_REPLAY_ERROR);
    assert_int_equal(page->end->code, code);
    assert_string_equal(page->end->request, request);
    assert_true(page->end->message[0] != '\0');
    mailbus_answer_free(&page->end);
    free(page);
}

static void test_a_page_is_what_was_published_and_an_end(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    static const char body[] = "{\"x\":\"\xff\0\"}";
    event_t *event = fixture_event("message.received", "evt_1", body, sizeof body);
    assert_int_equal(fixture_commit(fixture, event), 1);
    void *socket = dealer(fixture, replay);
    ask(socket, "FETCH", "{\"request\":\"r1\"}");
    mb_message_t message;
    fixture_receive(socket, &message);
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    assert_int_equal(event_header(event, journal_stream(fixture->journal), &header, NULL), 0);
    assert_int_equal(message.count, 5);
    assert_true(fixture_frame_is(&message, 0, "EVENT"));
    assert_true(fixture_frame_is(&message, 1, "r1"));
    assert_true(fixture_frame_is(&message, 2, "message.received"));
    assert_true(fixture_frame_is(&message, 3, header.data));
    assert_int_equal(mb_message_size(&message, 4), sizeof body);
    assert_memory_equal(mb_message_data(&message, 4), body, sizeof body);
    mb_message_close(&message);
    mailbus_buf_free(&header);
    event_release(&event);

    mailbus_answer_t *end = NULL;
    fixture_receive(socket, &message);
    decode_answer(&message, &end);
    assert_int_equal(end->kind, MAILBUS_REPLAY_END);
    assert_string_equal(end->request, "r1");
    assert_int_equal(end->next, 2);
    assert_int_equal(end->oldest, 1);
    assert_string_equal(end->heads->stream, journal_stream(fixture->journal));
    assert_int_equal(end->heads->sequence, 1);
    assert_int_equal(mailbus_heads_find(end->heads, "message.received"), 1);
    mailbus_answer_free(&end);
    mb_message_close(&message);
    zmq_close(socket);
    replay_destroy(&replay);
}

/* Follow `next` to the end with requests that hold `rest` (", …"). Every event comes once. */
static size_t fetch_all(void *socket, const char *rest, uint64_t head, size_t most_per_page)
{
    page_t *page = calloc(1, sizeof *page);
    uint64_t from = 1, last = 0;
    size_t pages = 0;
    while (from <= head) {
        char json[256];
        snprintf(json, sizeof json, "{\"request\":\"p\",\"from\":\"%llu\"%s}",
                 (unsigned long long)from, rest);
        fetch(socket, json, page);
        assert_int_equal(page->end->kind, MAILBUS_REPLAY_END);
        assert_true(page->count <= most_per_page);
        assert_true(page->end->next > from);
        for (size_t i = 0; i < page->count; i++) {
            assert_true(page->sequences[i] > last);
            last = page->sequences[i];
            assert_true(last < page->end->next);
        }
        from = page->end->next;
        pages++;
        mailbus_answer_free(&page->end);
    }
    assert_int_equal(last, head);
    free(page);
    return pages;
}

static void test_pages_follow_limit_and_bytes_and_one_event_always_goes(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 50, 1000);
    void *socket = dealer(fixture, replay);
    assert_int_equal(fetch_all(socket, "", 50, 1000), 1);
    assert_int_equal(fetch_all(socket, ",\"limit\":20", 50, 20), 3);
    assert_in_range(fetch_all(socket, ",\"bytes\":5500", 50, 6), 8, 13);
    assert_int_equal(fetch_all(socket, ",\"bytes\":1", 50, 1), 50);
    zmq_close(socket);
    replay_destroy(&replay);
}

/* A page never holds more than the high-water mark has room for. */
static void test_more_events_than_a_page_all_arrive(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 2500, 500);
    void *socket = dealer(fixture, replay);
    assert_int_equal(fetch_all(socket, "", 2500, 1000), 3);
    zmq_close(socket);
    replay_destroy(&replay);
    replay = replay_with(fixture, 100);
    socket = dealer(fixture, replay);
    assert_int_equal(fetch_all(socket, "", 2500, 20), 125);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void test_topics_are_equal_and_prefixes_begin(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "message.received", 2, 10);
    fixture_commit_many(fixture, "message.received.spam", 3, 10);
    fixture_commit_many(fixture, "domain.verified", 4, 10);
    void *socket = dealer(fixture, replay);
    page_t *page = calloc(1, sizeof *page);
    fetch(socket, "{\"request\":\"t\",\"topics\":[\"message.received\"]}", page);
    assert_int_equal(page->count, 2);
    assert_int_equal(page->end->next, 10);
    mailbus_answer_free(&page->end);
    fetch(socket, "{\"request\":\"t\",\"prefixes\":[\"message.\"]}", page);
    assert_int_equal(page->count, 5);
    mailbus_answer_free(&page->end);
    fetch(
        socket,
        "{\"request\":\"t\",\"topics\":[\"domain.verified\"],\"prefixes\":[\"message.received.\"]}",
        page);
    assert_int_equal(page->count, 7);
    mailbus_answer_free(&page->end);
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void test_heads_alone(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    void *socket = dealer(fixture, replay);
    page_t *page = calloc(1, sizeof *page);
    for (uint64_t head = 0; head <= 3; head += 3) {
        ask(socket, "HEADS", "{\"request\":\"h\"}");
        read_page(socket, page);
        assert_int_equal(page->end->kind, MAILBUS_REPLAY_END);
        assert_int_equal(page->count, 0);
        assert_false(page->trimmed);
        assert_int_equal(page->end->heads->sequence, head);
        assert_int_equal(page->end->next, head + 1);
        assert_int_equal(page->end->oldest, 1);
        mailbus_answer_free(&page->end);
        if (head == 0) {
            fixture_commit_many(fixture, "a", 3, 10);
        }
    }
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void test_behind_the_head_there_is_nothing(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 3, 10);
    void *socket = dealer(fixture, replay);
    page_t *page = calloc(1, sizeof *page);
    static const char *const requests[] = {
        "{\"request\":\"b\",\"from\":\"4\"}",
        "{\"request\":\"b\",\"from\":\"1000\"}",
        "{\"request\":\"b\",\"from\":\"18446744073709551615\"}",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        fetch(socket, requests[i], page);
        assert_int_equal(page->end->kind, MAILBUS_REPLAY_END);
        assert_int_equal(page->count, 0);
        assert_false(page->trimmed);
        assert_true(page->end->next > 3);
        mailbus_answer_free(&page->end);
    }
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

/* Have everything that is there pruned, and add events until it was; the head. */
static uint64_t prune_and_add(fixture_t *fixture, const replay_t *replay)
{
    void *socket = dealer(fixture, replay);
    page_t *page = calloc(1, sizeof *page);
    uint64_t head = 0, oldest = 1;
    journal_set_retention(fixture->journal, 1, 86400000, 0);
    for (int i = 0; oldest < 6 && i < FIXTURE_DEADLINE_MS / 10; i++) {
        char id[32];
        snprintf(id, sizeof id, "later-%d", i);
        event_t *event = fixture_event("a", id, "x", 1);
        head = fixture_commit(fixture, event);
        event_release(&event);
        poll(NULL, 0, 10);
        ask(socket, "HEADS", "{\"request\":\"h\"}");
        read_page(socket, page);
        oldest = page->end->oldest;
        mailbus_answer_free(&page->end);
    }
    assert_true(oldest >= 6);
    journal_set_retention(fixture->journal, 86400000, 86400000, 0);
    free(page);
    zmq_close(socket);
    return head;
}

static void test_what_is_gone_is_told_first_and_loudly(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 5, 10);
    uint64_t head = prune_and_add(fixture, replay);
    void *socket = dealer(fixture, replay);
    page_t *page = calloc(1, sizeof *page);
    fetch(socket, "{\"request\":\"g\",\"from\":\"2\"}", page);
    assert_true(page->trimmed);
    assert_int_equal(page->trimmed_oldest, page->end->oldest);
    assert_true(page->end->oldest > 2);
    assert_int_equal(page->end->next, head + 1);
    assert_int_equal(page->end->heads->sequence, head);
    mailbus_answer_free(&page->end);
    /* One more that is kept, so that there is an oldest one. */
    event_t *event = fixture_event("a", "kept", "x", 1);
    head = fixture_commit(fixture, event);
    event_release(&event);
    ask(socket, "HEADS", "{\"request\":\"g\"}");
    read_page(socket, page);
    uint64_t oldest = page->end->oldest;
    assert_true(oldest <= head);
    mailbus_answer_free(&page->end);
    /* From the oldest that is there, by its number or by 0: nothing is missing. */
    char json[64];
    snprintf(json, sizeof json, "{\"request\":\"g\",\"from\":\"%llu\"}",
             (unsigned long long)oldest);
    fetch(socket, json, page);
    assert_false(page->trimmed);
    mailbus_answer_free(&page->end);
    fetch(socket, "{\"request\":\"g\"}", page);
    assert_false(page->trimmed);
    assert_int_equal(page->count, head + 1 - oldest);
    mailbus_answer_free(&page->end);
    /* By a time before everything: events of that time may be gone. */
    fetch(socket, "{\"request\":\"g\",\"since\":\"2001-01-01T00:00:00Z\"}", page);
    assert_true(page->trimmed);
    mailbus_answer_free(&page->end);
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void test_a_time_stands_for_a_sequence(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 3, 10);
    poll(NULL, 0, 20);
    event_t *event = fixture_event("a", "after", "x", 1);
    fixture_commit(fixture, event);
    char json[128], when[MAILBUS_TIME_SIZE];
    mailbus_time_format(event->recorded_ms, when);
    snprintf(json, sizeof json, "{\"request\":\"s\",\"since\":\"%s\"}", when);
    event_release(&event);
    void *socket = dealer(fixture, replay);
    page_t *page = calloc(1, sizeof *page);
    fetch(socket, json, page);
    assert_int_equal(page->count, 1);
    assert_int_equal(page->sequences[0], 4);
    assert_false(page->trimmed);
    mailbus_answer_free(&page->end);
    fetch(socket, "{\"request\":\"s\",\"since\":\"2001-01-01T00:00:00Z\"}", page);
    assert_int_equal(page->count, 4);
    assert_false(page->trimmed);
    mailbus_answer_free(&page->end);
    fetch(socket, "{\"request\":\"s\",\"since\":\"2999-01-01T00:00:00Z\"}", page);
    assert_int_equal(page->count, 0);
    mailbus_answer_free(&page->end);
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void test_another_stream_is_404(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    void *socket = dealer(fixture, replay);
    expect_error(socket, "FETCH",
                 "{\"request\":\"o\",\"stream\":\"00000000-0000-4000-8000-000000000000\"}", 404,
                 "o");
    char json[128];
    snprintf(json, sizeof json, "{\"request\":\"o\",\"stream\":\"%s\"}",
             journal_stream(fixture->journal));
    page_t *page = calloc(1, sizeof *page);
    fetch(socket, json, page);
    assert_int_equal(page->end->kind, MAILBUS_REPLAY_END);
    mailbus_answer_free(&page->end);
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void test_malformed_requests_are_400_with_the_request_where_it_can_be_read(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    void *socket = dealer(fixture, replay);
    expect_error(socket, "FETCH", "{\"request\":\"m\",\"from\":-1}", 400, "m");
    expect_error(socket, "FETCH", "{\"request\":\"m\",\"topics\":\"a\"}", 400, "m");
    expect_error(socket, "STEAL", "{\"request\":\"m\"}", 400, "m");
    expect_error(socket, "FETCH", "{\"request\":\"\\u0007\"}", 400, "");
    expect_error(socket, "FETCH", "{}", 400, "");
    expect_error(socket, "FETCH", "", 400, "");
    expect_error(socket, "FETCH", "[1,", 400, "");
    expect_error(socket, "\xff\xfe", "\xff", 400, "");
    fixture_wait_least(
        fixture_counter(fixture, "mailbus_replay_requests_total", "result=\"malformed\""), 8);
    zmq_close(socket);
    replay_destroy(&replay);
}

static void expect_400(void *socket)
{
    page_t *page = calloc(1, sizeof *page);
    read_page(socket, page);
    assert_int_equal(page->end->kind, MAILBUS_REPLAY_ERROR);
    assert_int_equal(page->end->code, 400);
    mailbus_answer_free(&page->end);
    free(page);
}

static void test_hostile_frames_leave_everybody_else_alone(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 3, 10);
    void *hostile = dealer(fixture, replay);
    static const char *const alone[] = {"FETCH", NULL};
    static const char *const empty[] = {"x", "", "", "", "", "", "", "", "", "", "", "", NULL};
    static const char *const three[] = {"FETCH", "{\"request\":\"x\"}", "more", NULL};
    static const char *const binary[] = {"\x01\x02\xff", "\xc0\x80", NULL};
    fixture_send(hostile, alone);
    expect_400(hostile);
    fixture_send(hostile, empty);
    expect_400(hostile);
    fixture_send(hostile, three);
    expect_400(hostile);
    fixture_send(hostile, binary);
    expect_400(hostile);
    /* Above the limit of one frame libzmq cuts the connection. */
    char *large = calloc(1, 1 << 20);
    assert_true(zmq_send(hostile, large, 1 << 20, 0) >= 0);
    free(large);
    int fd = fixture_tcp(replay_endpoint(replay));
    assert_true(fixture_tcp_closes(fd, "GET / HTTP/1.0\r\n\r\n", 18));
    close(fd);
    void *honest = dealer(fixture, replay);
    assert_int_equal(fetch_all(honest, "", 3, 1000), 1);
    zmq_close(hostile);
    zmq_close(honest);
    replay_destroy(&replay);
}

/* A peer may choose its routing id; what it chooses is bytes to us, and somebody else's is refused
 * by libzmq. */
static void test_routing_ids_are_only_names(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 3, 10);
    char longest[255];
    memset(longest, '%', sizeof longest);
    void *first = zmq_socket(fixture->context, ZMQ_DEALER);
    void *second = zmq_socket(fixture->context, ZMQ_DEALER);
    fixture_option(first, ZMQ_LINGER, 0);
    fixture_option(second, ZMQ_LINGER, 0);
    assert_int_equal(zmq_setsockopt(first, ZMQ_ROUTING_ID, longest, sizeof longest), 0);
    assert_int_equal(zmq_setsockopt(second, ZMQ_ROUTING_ID, longest, sizeof longest), 0);
    assert_int_equal(zmq_connect(first, replay_endpoint(replay)), 0);
    assert_int_equal(fetch_all(first, "", 3, 1000), 1);
    assert_int_equal(zmq_connect(second, replay_endpoint(replay)), 0);
    ask(second, "FETCH", "{\"request\":\"x\"}");
    /* The first one still gets its own answers, and only these. */
    assert_int_equal(fetch_all(first, "", 3, 1000), 1);
    assert_int_equal(fetch_all(first, ",\"limit\":1", 3, 1), 3);
    zmq_close(first);
    zmq_close(second);
    replay_destroy(&replay);
}

static void test_a_req_socket_is_told_what_to_use(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    void *socket = fixture_connect(fixture, ZMQ_REQ, replay_endpoint(replay));
    ask(socket, "FETCH", "{\"request\":\"q\"}");
    page_t *page = calloc(1, sizeof *page);
    read_page(socket, page);
    assert_int_equal(page->end->code, 400);
    assert_non_null(strstr(page->end->message, "DEALER"));
    mailbus_answer_free(&page->end);
    free(page);
    zmq_close(socket);
    replay_destroy(&replay);
}

/* Many pages' worth is there; a peer asks for it again and again and reads nothing. */
static void test_who_asks_and_never_reads_gets_429_and_costs_two_pages(void **state)
{
    enum { EVENTS = 2000, SIZE = 20000, REQUESTS = 200 };
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", EVENTS, SIZE);
    void *greedy = zmq_socket(fixture->context, ZMQ_DEALER);
    fixture_option(greedy, ZMQ_LINGER, 0);
    fixture_option(greedy, ZMQ_RCVHWM, 1);
    fixture_option(greedy, ZMQ_RCVBUF, 4096);
    assert_int_equal(zmq_connect(greedy, replay_endpoint(replay)), 0);
    for (int i = 0; i < REQUESTS; i++) {
        ask(greedy, "FETCH", "{\"request\":\"again\"}");
    }
    mb_metric_t *ok = fixture_counter(fixture, "mailbus_replay_requests_total", "result=\"ok\"");
    mb_metric_t *refused =
        fixture_counter(fixture, "mailbus_replay_requests_total", "result=\"too_many\"");
    fixture_wait_least(refused, 100);
    assert_true(mb_metric_value(ok) <= 4); /* two pages, and what TCP took meanwhile */
    mb_metric_t *held = fixture_gauge(fixture, "mailbus_replay_in_flight_bytes", "");
    assert_true(mb_metric_value(held) < 2 * (MAILBUS_FETCH_MAX_BYTES + SIZE) + 1000 * 1024);

    /* Nobody else waits for it. */
    void *honest = dealer(fixture, replay);
    assert_true(fetch_all(honest, "", EVENTS, 1000) >= EVENTS * (size_t)SIZE / (4 << 20));

    /* When it reads, it finds whole pages and errors that say why. */
    page_t *page = calloc(1, sizeof *page);
    int pages = 0, errors = 0;
    while (errors == 0) {
        read_page(greedy, page);
        if (page->end->kind == MAILBUS_REPLAY_ERROR) {
            assert_int_equal(page->end->code, 429);
            errors++;
        } else {
            pages++;
        }
        mailbus_answer_free(&page->end);
    }
    assert_true(pages >= 1);
    free(page);
    zmq_close(honest);
    zmq_close(greedy);
    fixture_wait_most(held, 0);
    replay_destroy(&replay);
}

static void test_departed_peers_are_normal(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 500, 2000);
    for (int i = 0; i < 30; i++) {
        void *socket = dealer(fixture, replay);
        fixture_option(socket, ZMQ_LINGER, 200);
        ask(socket, "FETCH", "{\"request\":\"bye\"}");
        zmq_close(socket);
    }
    void *socket = dealer(fixture, replay);
    assert_int_equal(fetch_all(socket, "", 500, 1000), 1);
    zmq_close(socket);
    fixture_wait_most(fixture_gauge(fixture, "mailbus_replay_in_flight_bytes", ""), 0);
    replay_destroy(&replay);
}

static void test_a_rebind_cuts_everybody_and_keeps_the_endpoint(void **state)
{
    fixture_t *fixture = *state;
    replay_t *replay = replay_with(fixture, REPLAY_SEND_HWM);
    fixture_commit_many(fixture, "a", 3, 10);
    char before[256];
    snprintf(before, sizeof before, "%s", replay_endpoint(replay));
    for (uint64_t round = 1; round <= 3; round++) {
        replay_rebind(replay);
        fixture_wait_least(
            fixture_counter(fixture, "mailbus_bus_rebinds_total", "socket=\"replay\""), round);
        void *socket = dealer(fixture, replay);
        assert_int_equal(fetch_all(socket, "", 3, 1000), 1);
        zmq_close(socket);
        assert_string_equal(replay_endpoint(replay), before);
    }
    replay_destroy(&replay);
}

int main(void)
{
#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(test_a_page_is_what_was_published_and_an_end),
        ON_FIXTURE(test_pages_follow_limit_and_bytes_and_one_event_always_goes),
        ON_FIXTURE(test_more_events_than_a_page_all_arrive),
        ON_FIXTURE(test_topics_are_equal_and_prefixes_begin),
        ON_FIXTURE(test_heads_alone),
        ON_FIXTURE(test_behind_the_head_there_is_nothing),
        ON_FIXTURE(test_what_is_gone_is_told_first_and_loudly),
        ON_FIXTURE(test_a_time_stands_for_a_sequence),
        ON_FIXTURE(test_another_stream_is_404),
        ON_FIXTURE(test_malformed_requests_are_400_with_the_request_where_it_can_be_read),
        ON_FIXTURE(test_hostile_frames_leave_everybody_else_alone),
        ON_FIXTURE(test_routing_ids_are_only_names),
        ON_FIXTURE(test_a_req_socket_is_told_what_to_use),
        ON_FIXTURE(test_who_asks_and_never_reads_gets_429_and_costs_two_pages),
        ON_FIXTURE(test_departed_peers_are_normal),
        ON_FIXTURE(test_a_rebind_cuts_everybody_and_keeps_the_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
