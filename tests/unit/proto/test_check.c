/* The check protocol's codec: proto/vectors/check.json, and what damages a frame. */
#include "vectors.h"

#include <string.h>

#include "hostile.h"
#include "mailbus/check.h"
#include "mailbus/event.h"

static void run(const char *section, decode_fn *decode, check_fn *check, size_t at_least)
{
    cJSON *file = vectors_read_file("check");
    vectors_run(section, mailbus_json_item(file, section), decode, check, at_least);
    cJSON_Delete(file);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* A check that is not known here is filled in all the same. */
static mailbus_code_t decode_request(const frames_t *frames, void **ret_thing,
                                     mailbus_error_t *error)
{
    static mailbus_check_t check;
    assert_int_equal(frames->count, 1);
    mailbus_code_t code =
        mailbus_check_read(frames->frame[0].data, frames->frame[0].size, &check, error);
    if (code == MAILBUS_OK || code == MAILBUS_ENOTFOUND) {
        assert_int_equal(code == MAILBUS_OK, strcmp(check.check, MAILBUS_CHECK_MAY_SEND) == 0);
        *ret_thing = &check;
        return MAILBUS_OK;
    }
    return code;
}

static void check_request(const cJSON *vector, const frames_t *frames, void *thing)
{
    mailbus_check_t *check = thing;
    mailbus_buf_t again = MAILBUS_BUF_INIT;
    const cJSON *expect = mailbus_json_item(vector, "expect");
    vectors_assert_text(check->check, expect, "check");
    vectors_assert_text(check->address, expect, "address");
    assert_int_equal(cJSON_IsTrue(mailbus_json_item(expect, "known")),
                     strcmp(check->check, MAILBUS_CHECK_MAY_SEND) == 0);
    if (vectors_canonical(vector)) {
        assert_int_equal(mailbus_check_write(check->address, &again, NULL), MAILBUS_OK);
        vectors_assert_bytes(&again, &frames->frame[0]);
    }
    mailbus_buf_free(&again);
    mailbus_check_free(check);
    assert_null(check->check);
}

static void test_requests_are_read_and_written_as_the_vectors_say(void **state)
{
    (void)state;
    run("requests", decode_request, check_request, 40);
}

static void test_a_request_about_no_address_is_not_written(void **state)
{
    (void)state;
    char longer[MAILBUS_CHECK_ADDRESS_MAX + 2];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const wrong[] = {"", "a\n@b", "a\x7f@b", "a\xff@b", "a\xed\xa0\x80@b", longer};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_error_t error;
        assert_int_equal(mailbus_check_write(wrong[i], &out, &error), MAILBUS_EINVAL);
        assert_int_equal(out.size, 0);
        assert_non_null(strstr(error.text, "address"));
        mailbus_buf_free(&out);
    }
    longer[MAILBUS_CHECK_ADDRESS_MAX] = '\0';
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    assert_int_equal(mailbus_check_write(longer, &out, NULL), MAILBUS_OK);
    assert_in_range(out.size, MAILBUS_CHECK_ADDRESS_MAX, MAILBUS_CHECK_MAX);
    mailbus_buf_free(&out);
}

/* ---- answers ------------------------------------------------------------------------------ */

static mailbus_code_t decode_answer(const frames_t *frames, void **ret_thing,
                                    mailbus_error_t *error)
{
    static mailbus_check_answer_t answer;
    assert_int_equal(frames->count, 1);
    mailbus_code_t code =
        mailbus_check_answer_read(frames->frame[0].data, frames->frame[0].size, &answer, error);
    if (code == MAILBUS_OK) {
        *ret_thing = &answer;
    }
    return code;
}

static void check_answer(const cJSON *vector, const frames_t *frames, void *thing)
{
    mailbus_check_answer_t *answer = thing;
    mailbus_buf_t again = MAILBUS_BUF_INIT;
    const cJSON *expect = mailbus_json_item(vector, "expect");
    vectors_assert_text(answer->verdict == MAILBUS_CHECK_YES ? "yes" : "no", expect, "answer");
    vectors_assert_text(answer->reason, expect, "reason");
    vectors_assert_number((uint64_t)answer->until_ms, expect, "until_ms");
    if (vectors_canonical(vector)) {
        mailbus_check_answer_write(answer->verdict, answer->reason, answer->until_ms, &again);
        vectors_assert_bytes(&again, &frames->frame[0]);
    }
    mailbus_buf_free(&again);
    mailbus_check_answer_free(answer);
    assert_null(answer->reason);
}

static void test_answers_are_read_and_written_as_the_vectors_say(void **state)
{
    (void)state;
    run("answers", decode_answer, check_answer, 45);
}

static void assert_reason(const char *given, const char *read)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_check_answer_t answer;
    mailbus_error_t error;
    mailbus_check_answer_write(MAILBUS_CHECK_NO, given, 0, &out);
    assert_true(out.size <= MAILBUS_CHECK_MAX);
    if (mailbus_check_answer_read(out.data, out.size, &answer, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", out.data, error.text);
    }
    assert_string_equal(answer.reason, read);
    mailbus_check_answer_free(&answer);
    mailbus_buf_free(&out);
}

static void test_whatever_a_reason_holds_the_answer_can_be_read(void **state)
{
    (void)state;
    char longer[2 * MAILBUS_CHECK_REASON_MAX + 1];
    char cut[MAILBUS_CHECK_REASON_MAX + 1];
    assert_reason(NULL, "");
    assert_reason("", "");
    assert_reason("a\r\nb\tc\x1b[31m\x7f", "a  b c [31m ");
    assert_reason("\xff\xc0\xaf é \xed\xa0\x80 \xe2\x82", "??? é ??? ??");
    assert_reason("\"\\", "\"\\");
    memset(longer, '"', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(cut, longer, MAILBUS_CHECK_REASON_MAX);
    cut[MAILBUS_CHECK_REASON_MAX] = '\0';
    assert_reason(longer, cut);
    /* Cut between two characters: 511 bytes and one of three. */
    memset(longer, 'r', MAILBUS_CHECK_REASON_MAX - 1);
    memcpy(longer + MAILBUS_CHECK_REASON_MAX - 1, "€€", sizeof "€€");
    memset(cut, 'r', MAILBUS_CHECK_REASON_MAX - 1);
    cut[MAILBUS_CHECK_REASON_MAX - 1] = '\0';
    assert_reason(longer, cut);
}

static void test_a_yes_is_written_without_an_end(void **state)
{
    (void)state;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_check_answer_write(MAILBUS_CHECK_YES, NULL, 1791797464000, &out);
    assert_string_equal(out.data, "{\"answer\":\"yes\"}");
    mailbus_buf_clear(&out);
    mailbus_check_answer_write(MAILBUS_CHECK_NO, NULL, -1, &out);
    assert_string_equal(out.data, "{\"answer\":\"no\"}");
    mailbus_buf_free(&out);
}

static void test_an_error_is_no_answer_and_its_text_is_told(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"the list can't be read", "the list can't be read"},
                                           {"a\nb", "a b"},
                                           {"", "error"},
                                           {"größer", "größer"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        mailbus_check_answer_t answer;
        mailbus_error_t error = {.code = MAILBUS_OK};
        mailbus_check_error_write(texts[i][0], &out);
        assert_int_equal(mailbus_check_answer_read(out.data, out.size, &answer, &error),
                         MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, texts[i][1]));
        mailbus_buf_free(&out);
    }
    /* The longest text that may come, of characters that the error's buffer must not split. */
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_check_answer_t answer;
    mailbus_error_t error;
    for (int i = 0; i < MAILBUS_CHECK_REASON_MAX / 2; i++) {
        mailbus_buf_text(&text, "é");
    }
    mailbus_check_error_write(text.data, &out);
    assert_int_equal(mailbus_check_answer_read(out.data, out.size, &answer, &error),
                     MAILBUS_EINVAL);
    assert_true(strlen(error.text) > 200);
    assert_true(mailbus_utf8_valid(error.text, strlen(error.text)));
    mailbus_buf_free(&out);
    mailbus_buf_free(&text);
}

/* ---- damage ------------------------------------------------------------------------------- */

static bool read_request(void *arg, const char *data, size_t size)
{
    mailbus_check_t check = {NULL, NULL};
    mailbus_error_t error = {.code = MAILBUS_OK};
    (void)arg;
    mailbus_code_t code = mailbus_check_read(data, size, &check, &error);
    assert_true((code == MAILBUS_OK || code == MAILBUS_ENOTFOUND) == (check.check != NULL));
    assert_int_equal(error.code, code);
    mailbus_check_free(&check);
    return code == MAILBUS_OK;
}

/* True where it was a yes: what damage must not make out of a no. */
static bool read_yes(void *arg, const char *data, size_t size)
{
    mailbus_check_answer_t answer = {.reason = NULL};
    (void)arg;
    mailbus_code_t code = mailbus_check_answer_read(data, size, &answer, NULL);
    assert_true((code == MAILBUS_OK) == (answer.reason != NULL));
    bool yes = code == MAILBUS_OK && answer.verdict == MAILBUS_CHECK_YES;
    mailbus_check_answer_free(&answer);
    return yes;
}

static void test_damaged_frames_are_refused_and_no_damage_makes_a_yes(void **state)
{
    (void)state;
    static const char request[] =
        "{\"check\":\"may-send\",\"address\":\"\\u006aane@example.com\",\"x\":[1,{\"y\":null}]}";
    static const char no[] = "{\"answer\":\"no\",\"reason\":\"full \\\"box\\\"\",\"until\":"
                             "\"2026-10-12T09:31:04.000Z\",\"x\":[1.5e3,true]}";
    assert_int_equal(hostile_truncations(request, sizeof request - 1, read_request, NULL), 0);
    assert_true(hostile_changes(request, sizeof request - 1, read_request, NULL) > 0);
    assert_true(hostile_shifts(request, sizeof request - 1, read_request, NULL) > 0);
    hostile_tokens(20000, read_request, NULL);
    assert_int_equal(hostile_truncations(no, sizeof no - 1, read_yes, NULL), 0);
    assert_int_equal(hostile_changes(no, sizeof no - 1, read_yes, NULL), 0);
    assert_int_equal(hostile_shifts(no, sizeof no - 1, read_yes, NULL), 0);
    hostile_tokens(20000, read_yes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_read_and_written_as_the_vectors_say),
        cmocka_unit_test(test_a_request_about_no_address_is_not_written),
        cmocka_unit_test(test_answers_are_read_and_written_as_the_vectors_say),
        cmocka_unit_test(test_whatever_a_reason_holds_the_answer_can_be_read),
        cmocka_unit_test(test_a_yes_is_written_without_an_end),
        cmocka_unit_test(test_an_error_is_no_answer_and_its_text_is_told),
        cmocka_unit_test(test_damaged_frames_are_refused_and_no_damage_makes_a_yes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
