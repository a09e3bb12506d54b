/* Every frame of proto/vectors, made by a program that shares no code with the codec. */
#include "vectors.h"

#include <string.h>

#include "mailbus/replay.h"

/* ---- events ------------------------------------------------------------------------------- */

static mailbus_code_t decode_event_at(const frames_t *frames, size_t at, void **ret_thing,
                                      mailbus_error_t *error)
{
    assert_int_equal(frames->count, at + 3);
    const mailbus_buf_t *frame = frames->frame + at;
    return mailbus_event_decode(frame[0].data, frame[0].size, frame[1].data, frame[1].size,
                                frame[2].data, frame[2].size, (mailbus_event_t **)ret_thing, error);
}

static mailbus_code_t decode_event(const frames_t *frames, void **ret_thing, mailbus_error_t *error)
{
    return decode_event_at(frames, 0, ret_thing, error);
}

static void assert_event(const cJSON *expect, const mailbus_event_t *event)
{
    vectors_assert_text(event->topic, expect, "topic");
    vectors_assert_text(event->id, expect, "id");
    vectors_assert_text(event->source, expect, "source");
    vectors_assert_text(event->subject, expect, "subject");
    vectors_assert_text(event->time, expect, "time");
    vectors_assert_text(event->stream, expect, "stream");
    vectors_assert_text(event->webhook_id, expect, "webhook_id");
    vectors_assert_text(event->recorded_time, expect, "recorded_time");
    vectors_assert_number(event->sequence, expect, "sequence");
    vectors_assert_number(event->previous, expect, "previous");
    mailbus_buf_t body;
    vectors_decode_frame(mailbus_json_string(expect, "body"), &body);
    assert_int_equal(event->body_size, body.size);
    assert_memory_equal(event->body, body.data, body.size);
    free(body.data);
}

static void check_event(const cJSON *vector, const frames_t *frames, void *thing)
{
    mailbus_event_t *event = thing;
    assert_event(mailbus_json_item(vector, "expect"), event);
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    /* Encoding what was decoded gives the gateway's one form, whatever form came in. */
    assert_int_equal(mailbus_header_encode(event, &header, NULL), MAILBUS_OK);
    if (vectors_canonical(vector)) {
        vectors_assert_bytes(&header, &frames->frame[1]);
    }
    mailbus_event_t *again = NULL;
    assert_int_equal(mailbus_event_decode(event->topic, strlen(event->topic), header.data,
                                          header.size, event->body, event->body_size, &again, NULL),
                     MAILBUS_OK);
    assert_event(mailbus_json_item(vector, "expect"), again);
    mailbus_buf_free(&header);
    mailbus_event_free(&again);
    mailbus_event_free(&event);
}

static void test_events_are_read_as_the_vectors_say(void **state)
{
    (void)state;
    vectors_run_file("events", decode_event, check_event, 100);
}

/* ---- heads -------------------------------------------------------------------------------- */

static mailbus_code_t decode_heads(const frames_t *frames, void **ret_thing, mailbus_error_t *error)
{
    assert_int_equal(frames->count, 3);
    const mailbus_buf_t *frame = frames->frame;
    assert_int_equal(frame[0].size, strlen(MAILBUS_TOPIC_HEADS));
    assert_memory_equal(frame[0].data, MAILBUS_TOPIC_HEADS, frame[0].size);
    return mailbus_heads_decode(frame[1].data, frame[1].size, frame[2].data, frame[2].size,
                                (mailbus_heads_t **)ret_thing, error);
}

static void assert_heads(const mailbus_heads_t *heads, const cJSON *topics)
{
    size_t count = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, topics)
    {
        assert_string_equal(heads->topics[count].topic, item->string);
        vectors_assert_number(heads->topics[count].sequence, topics, item->string);
        assert_true(mailbus_heads_find(heads, item->string) == heads->topics[count].sequence);
        count++;
    }
    assert_int_equal(heads->count, count);
    assert_true(mailbus_heads_find(heads, "no.such.topic") == 0);
}

static void check_heads(const cJSON *vector, const frames_t *frames, void *thing)
{
    mailbus_heads_t *heads = thing;
    const cJSON *expect = mailbus_json_item(vector, "expect");
    vectors_assert_text(heads->stream, expect, "stream");
    vectors_assert_number(heads->sequence, expect, "sequence");
    assert_heads(heads, mailbus_json_item(expect, "heads"));
    mailbus_buf_t header = MAILBUS_BUF_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_heads_encode(heads, &header, &body, NULL), MAILBUS_OK);
    if (vectors_canonical(vector)) {
        vectors_assert_bytes(&header, &frames->frame[1]);
        vectors_assert_bytes(&body, &frames->frame[2]);
    }
    mailbus_buf_free(&header);
    mailbus_buf_free(&body);
    mailbus_heads_free(&heads);
}

static void test_heads_are_read_as_the_vectors_say(void **state)
{
    (void)state;
    vectors_run_file("heads", decode_heads, check_heads, 25);
}

/* ---- requests ----------------------------------------------------------------------------- */

static mailbus_code_t decode_request(const frames_t *frames, void **ret_thing,
                                     mailbus_error_t *error)
{
    assert_int_equal(frames->count, 2);
    const mailbus_buf_t *frame = frames->frame;
    return mailbus_fetch_decode(frame[0].data, frame[0].size, frame[1].data, frame[1].size,
                                (mailbus_fetch_t **)ret_thing, error);
}

static void assert_names(char *const *names, size_t count, const cJSON *expect, const char *key)
{
    size_t n = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, mailbus_json_item(expect, key))
    {
        assert_true(n < count);
        assert_string_equal(names[n++], item->valuestring);
    }
    assert_int_equal(count, n);
}

static void assert_fetch(const cJSON *expect, const mailbus_fetch_t *fetch)
{
    vectors_assert_text(mailbus_replay_verb(fetch->kind), expect, "kind");
    vectors_assert_text(fetch->request, expect, "request");
    if (fetch->kind != MAILBUS_REPLAY_FETCH) {
        return;
    }
    vectors_assert_text(fetch->stream, expect, "stream");
    vectors_assert_number(fetch->from, expect, "from");
    assert_names(fetch->topics, fetch->topic_count, expect, "topics");
    assert_names(fetch->prefixes, fetch->prefix_count, expect, "prefixes");
    assert_int_equal(fetch->limit, (int)mailbus_json_item(expect, "limit")->valuedouble);
    assert_int_equal(fetch->bytes, (int)mailbus_json_item(expect, "bytes")->valuedouble);
    const char *since = mailbus_json_string(expect, "since_ms");
    assert_int_equal(fetch->has_since, since != NULL);
    if (since != NULL) {
        assert_int_equal(fetch->since_ms, strtoll(since, NULL, 10));
    }
}

static void check_request(const cJSON *vector, const frames_t *frames, void *thing)
{
    (void)frames;
    mailbus_fetch_t *fetch = thing;
    const cJSON *expect = mailbus_json_item(vector, "expect");
    assert_fetch(expect, fetch);
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    mailbus_fetch_t *again = NULL;
    const char *verb = mailbus_replay_verb(fetch->kind);
    assert_int_equal(mailbus_fetch_encode(fetch, &json, NULL), MAILBUS_OK);
    assert_int_equal(mailbus_fetch_decode(verb, strlen(verb), json.data, json.size, &again, NULL),
                     MAILBUS_OK);
    assert_fetch(expect, again);
    mailbus_buf_free(&json);
    mailbus_fetch_free(&again);
    mailbus_fetch_free(&fetch);
}

static void test_requests_are_read_as_the_vectors_say(void **state)
{
    (void)state;
    vectors_run_file("requests", decode_request, check_request, 70);
}

/* ---- answers ------------------------------------------------------------------------------ */

static bool is_event(const frames_t *frames)
{
    return frames->frame[0].size == 5 && memcmp(frames->frame[0].data, "EVENT", 5) == 0;
}

static mailbus_code_t decode_answer(const frames_t *frames, void **ret_thing,
                                    mailbus_error_t *error)
{
    if (is_event(frames)) {
        return decode_event_at(frames, 2, ret_thing, error);
    }
    assert_int_equal(frames->count, 2);
    const mailbus_buf_t *frame = frames->frame;
    return mailbus_answer_decode(frame[0].data, frame[0].size, frame[1].data, frame[1].size,
                                 (mailbus_answer_t **)ret_thing, error);
}

static void assert_answer(const cJSON *expect, const mailbus_answer_t *answer)
{
    vectors_assert_text(mailbus_replay_verb(answer->kind), expect, "kind");
    vectors_assert_text(answer->request, expect, "request");
    if (answer->kind == MAILBUS_REPLAY_ERROR) {
        assert_int_equal(answer->code, (int)mailbus_json_item(expect, "code")->valuedouble);
        vectors_assert_text(answer->message, expect, "message");
        return;
    }
    vectors_assert_number(answer->oldest, expect, "oldest");
    if (answer->kind == MAILBUS_REPLAY_END) {
        vectors_assert_number(answer->next, expect, "next");
        vectors_assert_text(answer->heads->stream, expect, "stream");
        vectors_assert_number(answer->heads->sequence, expect, "head");
        assert_heads(answer->heads, mailbus_json_item(expect, "heads"));
    }
}

static void check_answer(const cJSON *vector, const frames_t *frames, void *thing)
{
    const cJSON *expect = mailbus_json_item(vector, "expect");
    if (is_event(frames)) {
        mailbus_event_t *event = thing;
        assert_event(expect, event);
        mailbus_event_free(&event);
        return;
    }
    mailbus_answer_t *answer = thing;
    assert_answer(expect, answer);
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_answer_encode(answer, &json, NULL), MAILBUS_OK);
    if (vectors_canonical(vector)) {
        vectors_assert_bytes(&json, &frames->frame[1]);
    }
    mailbus_buf_free(&json);
    mailbus_answer_free(&answer);
}

static void test_answers_are_read_as_the_vectors_say(void **state)
{
    (void)state;
    vectors_run_file("answers", decode_answer, check_answer, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_read_as_the_vectors_say),
        cmocka_unit_test(test_heads_are_read_as_the_vectors_say),
        cmocka_unit_test(test_requests_are_read_as_the_vectors_say),
        cmocka_unit_test(test_answers_are_read_as_the_vectors_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
