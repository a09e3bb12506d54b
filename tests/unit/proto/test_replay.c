/* Heads, requests and answers: what the vectors are too small for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hostile.h"
#include "mailbus/replay.h"

#define STREAM "0b9a1e4c-5f0d-4f6b-8a52-3c1d2e4f5a6b"

static const char heads_header[] = "{\"stream\":\"" STREAM "\",\"sequence\":\"42\"}";
static const char heads_body[] = "{\"message.received\":\"41\",\"message.sent\":\"42\"}";

/* Every refusal leaves its result alone and says why in printable ASCII. */
static bool judge(mailbus_code_t code, const void *result, const mailbus_error_t *error)
{
    assert_true((code == MAILBUS_OK) == (result != NULL));
    if (code == MAILBUS_OK) {
        return true;
    }
    assert_int_equal(error->code, code);
    assert_true(error->text[0] != '\0');
    for (const char *c = error->text; *c != '\0'; c++) {
        assert_in_range(*c, ' ', '~');
    }
    return false;
}

/* ---- heads -------------------------------------------------------------------------------- */

static mailbus_code_t decode_heads(const char *header, size_t header_size, const char *body,
                                   size_t body_size)
{
    mailbus_heads_t *heads = NULL;
    mailbus_error_t error;
    mailbus_code_t code =
        mailbus_heads_decode(header, header_size, body, body_size, &heads, &error);
    judge(code, heads, &error);
    mailbus_heads_free(&heads);
    return code;
}

static bool decode_heads_header(void *arg, const char *data, size_t size)
{
    (void)arg;
    return decode_heads(data, size, heads_body, strlen(heads_body)) == MAILBUS_OK;
}

static bool decode_heads_body(void *arg, const char *data, size_t size)
{
    (void)arg;
    return decode_heads(heads_header, strlen(heads_header), data, size) == MAILBUS_OK;
}

static void test_damaged_heads_do_not_crash(void **state)
{
    (void)state;
    const size_t header_size = strlen(heads_header);
    const size_t body_size = strlen(heads_body);
    assert_true(decode_heads_header(NULL, heads_header, header_size));
    assert_int_equal(hostile_truncations(heads_header, header_size, decode_heads_header, NULL), 0);
    assert_int_equal(hostile_truncations(heads_body, body_size, decode_heads_body, NULL), 0);
    hostile_changes(heads_header, header_size, decode_heads_header, NULL);
    hostile_changes(heads_body, body_size, decode_heads_body, NULL);
    hostile_shifts(heads_header, header_size, decode_heads_header, NULL);
    hostile_shifts(heads_body, body_size, decode_heads_body, NULL);
    hostile_tokens(50000, decode_heads_body, NULL);
}

static mailbus_heads_t *many_heads(size_t count)
{
    mailbus_heads_t *heads = calloc(1, sizeof *heads);
    assert_non_null(heads);
    memcpy(heads->stream, STREAM, sizeof STREAM);
    heads->sequence = UINT64_MAX;
    heads->count = count;
    heads->topics = calloc(count, sizeof *heads->topics);
    assert_non_null(heads->topics);
    for (size_t i = 0; i < count; i++) {
        memset(heads->topics[i].topic, 't', MAILBUS_TOPIC_MAX);
        char digits[24];
        snprintf(digits, sizeof digits, "%07zu", i);
        memcpy(heads->topics[i].topic, digits, 7);
        heads->topics[i].sequence = UINT64_MAX - i;
    }
    return heads;
}

static void test_as_many_topics_as_allowed_fit_into_the_size_allowed(void **state)
{
    (void)state;
    mailbus_heads_t *heads = many_heads(MAILBUS_HEADS_MAX_TOPICS);
    mailbus_heads_t *again = NULL;
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_heads_encode(heads, &header, &body, NULL), MAILBUS_OK);
    assert_true(body.size <= MAILBUS_HEADS_MAX_SIZE);
    assert_int_equal(
        mailbus_heads_decode(header.data, header.size, body.data, body.size, &again, NULL),
        MAILBUS_OK);
    assert_int_equal(again->count, heads->count);
    assert_memory_equal(again->topics, heads->topics, heads->count * sizeof *heads->topics);
    mailbus_heads_free(&again);

    /* The same in an answer. */
    mailbus_answer_t end = {.kind = MAILBUS_REPLAY_END, .request = "r", .next = 1, .heads = heads};
    mailbus_answer_t *answer = NULL;
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_answer_encode(&end, &json, NULL), MAILBUS_OK);
    assert_int_equal(mailbus_answer_decode("END", 3, json.data, json.size, &answer, NULL),
                     MAILBUS_OK);
    assert_int_equal(answer->heads->count, heads->count);
    mailbus_answer_free(&answer);

    /* One topic twice among all of them. */
    memcpy(heads->topics[5000].topic, heads->topics[17].topic, MAILBUS_TOPIC_MAX);
    mailbus_buf_clear(&body);
    assert_int_equal(mailbus_heads_encode_body(heads, &body, NULL), MAILBUS_OK);
    assert_int_equal(decode_heads(header.data, header.size, body.data, body.size), MAILBUS_EINVAL);
    mailbus_buf_free(&json);
    mailbus_buf_free(&header);
    mailbus_buf_free(&body);
    mailbus_heads_free(&heads);
}

static void test_more_topics_than_allowed_are_refused_both_ways(void **state)
{
    (void)state;
    mailbus_heads_t *heads = many_heads(MAILBUS_HEADS_MAX_TOPICS + 1);
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_heads_encode(heads, &header, &body, NULL), MAILBUS_ETOOBIG);
    mailbus_buf_clear(&body);
    mailbus_buf_char(&body, '{');
    for (size_t i = 0; i < heads->count; i++) {
        mailbus_buf_printf(&body, "%s\"t%zu\":\"1\"", i == 0 ? "" : ",", i);
    }
    mailbus_buf_char(&body, '}');
    assert_int_equal(decode_heads(header.data, header.size, body.data, body.size), MAILBUS_ETOOBIG);
    mailbus_buf_free(&header);
    mailbus_buf_free(&body);
    mailbus_heads_free(&heads);
}

static void test_sizes_are_looked_at_before_anything_is_parsed(void **state)
{
    (void)state;
    const size_t size = MAILBUS_HEADS_MAX_SIZE + MAILBUS_HEADER_MAX + 2;
    char *blanks = malloc(size);
    assert_non_null(blanks);
    memset(blanks, ' ', size);
    const size_t header_size = strlen(heads_header);
    /* Not JSON at all where it is not too big. */
    assert_int_equal(decode_heads(blanks, MAILBUS_HEADER_MAX, "{}", 2), MAILBUS_EINVAL);
    assert_int_equal(decode_heads(blanks, MAILBUS_HEADER_MAX + 1, "{}", 2), MAILBUS_ETOOBIG);
    assert_int_equal(decode_heads(heads_header, header_size, blanks, MAILBUS_HEADS_MAX_SIZE),
                     MAILBUS_EINVAL);
    assert_int_equal(decode_heads(heads_header, header_size, blanks, MAILBUS_HEADS_MAX_SIZE + 1),
                     MAILBUS_ETOOBIG);
    mailbus_answer_t *answer = NULL;
    assert_int_equal(mailbus_answer_decode("END", 3, blanks, size, &answer, NULL), MAILBUS_ETOOBIG);
    mailbus_fetch_t *fetch = NULL;
    assert_int_equal(mailbus_fetch_decode("FETCH", 5, blanks, MAILBUS_FETCH_MAX_SIZE, &fetch, NULL),
                     MAILBUS_EINVAL);
    assert_int_equal(
        mailbus_fetch_decode("FETCH", 5, blanks, MAILBUS_FETCH_MAX_SIZE + 1, &fetch, NULL),
        MAILBUS_ETOOBIG);
    mailbus_event_t *event = NULL;
    assert_int_equal(
        mailbus_event_decode("a", 1, blanks, MAILBUS_HEADER_MAX + 1, NULL, 0, &event, NULL),
        MAILBUS_ETOOBIG);
    free(blanks);
}

/* ---- requests and answers ------------------------------------------------------------------ */

static bool decode_fetch(void *arg, const char *data, size_t size)
{
    const char *verb = arg;
    mailbus_fetch_t *fetch = NULL;
    mailbus_error_t error;
    mailbus_code_t code = mailbus_fetch_decode(verb, strlen(verb), data, size, &fetch, &error);
    bool taken = judge(code, fetch, &error);
    mailbus_fetch_free(&fetch);
    return taken;
}

static bool decode_fetch_verb(void *arg, const char *data, size_t size)
{
    (void)arg;
    mailbus_fetch_t *fetch = NULL;
    mailbus_error_t error;
    const char json[] = "{\"request\":\"r\"}";
    mailbus_code_t code = mailbus_fetch_decode(data, size, json, strlen(json), &fetch, &error);
    bool taken = judge(code, fetch, &error);
    mailbus_fetch_free(&fetch);
    return taken;
}

static void test_damaged_requests_do_not_crash(void **state)
{
    (void)state;
    const char json[] = "{\"request\":\"r1\",\"stream\":\"" STREAM "\",\"from\":\"43\","
                        "\"topics\":[\"a.b\",\"c\"],\"prefixes\":[\"d.\"],\"limit\":10,"
                        "\"bytes\":65536}";
    const size_t size = strlen(json);
    char verb[] = "FETCH";
    assert_true(decode_fetch(verb, json, size));
    assert_int_equal(hostile_truncations(json, size, decode_fetch, verb), 0);
    hostile_changes(json, size, decode_fetch, verb);
    hostile_shifts(json, size, decode_fetch, verb);
    hostile_tokens(50000, decode_fetch, verb);
    assert_int_equal(hostile_truncations(verb, 5, decode_fetch_verb, NULL), 0);
    assert_int_equal(hostile_changes(verb, 5, decode_fetch_verb, NULL), 0);
    assert_int_equal(hostile_shifts(verb, 5, decode_fetch_verb, NULL), 0);
}

static bool decode_answer(void *arg, const char *data, size_t size)
{
    const char *verb = arg;
    mailbus_answer_t *answer = NULL;
    mailbus_error_t error;
    mailbus_code_t code = mailbus_answer_decode(verb, strlen(verb), data, size, &answer, &error);
    bool taken = judge(code, answer, &error);
    mailbus_answer_free(&answer);
    return taken;
}

static void test_damaged_answers_do_not_crash(void **state)
{
    (void)state;
    const char *const answers[][2] = {
        {"END", "{\"request\":\"r1\",\"stream\":\"" STREAM "\",\"next\":\"43\",\"head\":\"42\","
                "\"heads\":{\"a\":\"42\"},\"oldest\":\"1\"}"},
        {"TRIMMED", "{\"request\":\"r1\",\"oldest\":\"7\"}"},
        {"ERROR", "{\"request\":\"r1\",\"code\":404,\"message\":\"another journal \xc3\xa9\"}"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char verb[8];
        snprintf(verb, sizeof verb, "%s", answers[i][0]);
        const char *json = answers[i][1];
        assert_true(decode_answer(verb, json, strlen(json)));
        assert_int_equal(hostile_truncations(json, strlen(json), decode_answer, verb), 0);
        hostile_changes(json, strlen(json), decode_answer, verb);
        hostile_shifts(json, strlen(json), decode_answer, verb);
        hostile_tokens(50000, decode_answer, verb);
    }
}

static void test_a_request_wants_equal_topics_and_prefixes_only(void **state)
{
    (void)state;
    char exact[] = "message.received";
    char prefix[] = "calendar.";
    char *topics[] = {exact};
    char *prefixes[] = {prefix};
    mailbus_fetch_t fetch = {.topics = topics, .topic_count = 1};
    assert_true(mailbus_fetch_matches(&fetch, "message.received"));
    assert_false(mailbus_fetch_matches(&fetch, "message.received.spam"));
    assert_false(mailbus_fetch_matches(&fetch, "message"));
    fetch = (mailbus_fetch_t){
        .topics = topics, .topic_count = 1, .prefixes = prefixes, .prefix_count = 1};
    assert_true(mailbus_fetch_matches(&fetch, "message.received"));
    assert_true(mailbus_fetch_matches(&fetch, "calendar.event.created"));
    assert_false(mailbus_fetch_matches(&fetch, "calendar"));
    assert_false(mailbus_fetch_matches(&fetch, "message.sent"));
    fetch = (mailbus_fetch_t){0};
    assert_true(mailbus_fetch_matches(&fetch, "anything"));
}

static void test_error_text_cut_inside_a_character_stays_readable(void **state)
{
    (void)state;
    mailbus_answer_t answer = {.kind = MAILBUS_REPLAY_ERROR, .request = "", .code = 400};
    memset(answer.message, 'x', sizeof answer.message);
    answer.message[254] = '\xc3'; /* the first half of é */
    answer.message[255] = '\0';
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_answer_t *read = NULL;
    assert_int_equal(mailbus_answer_encode(&answer, &json, NULL), MAILBUS_OK);
    assert_int_equal(mailbus_answer_decode("ERROR", 5, json.data, json.size, &read, NULL),
                     MAILBUS_OK);
    assert_int_equal(strlen(read->message), 254);
    assert_string_equal(read->request, "");
    mailbus_answer_free(&read);
    mailbus_buf_free(&json);
}

static void test_no_memory_is_said_by_every_encoder(void **state)
{
    (void)state;
    mailbus_heads_t heads = {.stream = STREAM, .sequence = 1};
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_FETCH, .request = "r"};
    mailbus_answer_t end = {.kind = MAILBUS_REPLAY_END, .request = "r", .heads = &heads};
    mailbus_answer_t trimmed = {.kind = MAILBUS_REPLAY_TRIMMED, .request = "r"};
    mailbus_buf_t small = {.limit = 8};
    mailbus_buf_t other = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_heads_encode(&heads, &small, &other, NULL), MAILBUS_ENOMEM);
    mailbus_buf_clear(&small);
    assert_int_equal(mailbus_fetch_encode(&fetch, &small, NULL), MAILBUS_ENOMEM);
    mailbus_buf_clear(&small);
    assert_int_equal(mailbus_answer_encode(&end, &small, NULL), MAILBUS_ENOMEM);
    mailbus_buf_clear(&small);
    assert_int_equal(mailbus_answer_encode(&trimmed, &small, NULL), MAILBUS_ENOMEM);
    mailbus_buf_free(&small);
    mailbus_buf_free(&other);
}

static void test_destructors_take_nothing(void **state)
{
    (void)state;
    mailbus_heads_t *heads = NULL;
    mailbus_fetch_t *fetch = NULL;
    mailbus_answer_t *answer = NULL;
    mailbus_heads_free(&heads);
    mailbus_fetch_free(&fetch);
    mailbus_answer_free(&answer);
    assert_null(heads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_heads_do_not_crash),
        cmocka_unit_test(test_as_many_topics_as_allowed_fit_into_the_size_allowed),
        cmocka_unit_test(test_more_topics_than_allowed_are_refused_both_ways),
        cmocka_unit_test(test_sizes_are_looked_at_before_anything_is_parsed),
        cmocka_unit_test(test_damaged_requests_do_not_crash),
        cmocka_unit_test(test_damaged_answers_do_not_crash),
        cmocka_unit_test(test_a_request_wants_equal_topics_and_prefixes_only),
        cmocka_unit_test(test_error_text_cut_inside_a_character_stays_readable),
        cmocka_unit_test(test_no_memory_is_said_by_every_encoder),
        cmocka_unit_test(test_destructors_take_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
