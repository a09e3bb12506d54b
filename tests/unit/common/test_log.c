#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mailbus/json.h"

/* A log into a pipe whose other end the test reads. */
typedef struct {
    mb_log_t *log;
    int ends[2];
    char line[16384];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    assert_int_equal(pipe2(self->ends, O_CLOEXEC), 0);
    self->log = mb_log_new("mailbus-test", self->ends[1]);
    assert_non_null(self->log);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    mb_log_destroy(&self->log);
    assert_null(self->log);
    mb_log_destroy(&self->log);
    close(self->ends[0]);
    close(self->ends[1]);
    free(self);
    return 0;
}

/* The line that was written, behind its time: one read, so that two writes would show. */
static const char *written(fixture_t *self)
{
    fcntl(self->ends[0], F_SETFL, O_NONBLOCK);
    ssize_t size = read(self->ends[0], self->line, sizeof self->line - 1);
    if (size <= 0) {
        return NULL;
    }
    self->line[size] = '\0';
    assert_int_equal(self->line[size - 1], '\n');
    const char *level = strstr(self->line, "level=");
    return level != NULL ? level : self->line;
}

static void test_a_line_has_the_fixed_keys_and_then_the_fields(void **state)
{
    fixture_t *self = *state;
    mb_log(self->log, MB_INFO, "http", "listening", MB_S("address", "127.0.0.1:8080"),
           MB_U("port", 8080), MB_I("delta", -3), MB_S("none", NULL));
    assert_string_equal(written(self),
                        "level=info program=mailbus-test stage=http message=listening "
                        "address=127.0.0.1:8080 port=8080 delta=-3\n");
    assert_memory_equal(self->line, "time=2", 6);
    assert_int_equal(strcspn(self->line, " "), strlen("time=2026-11-23T20:00:00.000Z"));
    assert_int_equal(self->line[strlen("time=2026-11-23T20:00:00.000")], 'Z');
}

static void test_extreme_numbers_are_whole(void **state)
{
    fixture_t *self = *state;
    mb_log(self->log, MB_WARN, "x", "y", MB_U("max", UINT64_MAX), MB_I("min", INT64_MIN));
    assert_non_null(strstr(written(self), "max=18446744073709551615 min=-9223372036854775808\n"));
}

static void test_values_that_would_break_a_line_are_quoted(void **state)
{
    fixture_t *self = *state;
    static const struct {
        const char *value, *shown;
    } cases[] = {
        {"", "v=\"\"\n"},
        {"a b", "v=\"a b\"\n"},
        {"a=b", "v=\"a=b\"\n"},
        {"say \"hi\"", "v=\"say \\\"hi\\\"\"\n"},
        {"back\\slash", "v=\"back\\\\slash\"\n"},
        {"two\nlines\r\t", "v=\"two\\nlines\\r\\t\"\n"},
        {"\x1b[31mred", "v=\"\\u001b[31mred\"\n"},
        {"del\x7f", "v=\"del\\u007f\"\n"},
        {"\xc2\x9b"
         "31m",
         "v=\"\\u009b31m\"\n"},
        {"caf\xc3\xa9 \xe2\x98\x83", "v=\"caf\xc3\xa9 \xe2\x98\x83\"\n"},
        {"bad\xff\xc3", "v=\"bad\\\\xff\\\\xc3\"\n"},
        {"\xed\xa0\x80", "v=\"\\\\xed\\\\xa0\\\\x80\"\n"},
        {"\xc0\xaf", "v=\"\\\\xc0\\\\xaf\"\n"},
        {"\xf4\x90\x80\x80", "v=\"\\\\xf4\\\\x90\\\\x80\\\\x80\"\n"},
        {"\xe2\x80\xae"
         "txt.exe",
         "v=\"\\u202etxt.exe\"\n"},
        {"\xe2\x80\xa8", "v=\"\\u2028\"\n"},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        mb_log(self->log, MB_ERROR, "s", "m", MB_S("v", cases[at].value));
        assert_string_equal(strstr(written(self), "v="), cases[at].shown);
    }
}

static void test_no_byte_of_a_value_reaches_a_terminal_as_control(void **state)
{
    fixture_t *self = *state;
    for (int format = MB_LOG_TEXT; format <= MB_LOG_JSON; format++) {
        mb_log_configure(self->log, MB_INFO, (mb_log_format_t)format);
        for (int byte = 1; byte < 256; byte++) {
            char value[4] = {'a', (char)byte, 'b', '\0'};
            mb_log(self->log, MB_INFO, "s", "m", MB_S("v", value));
            assert_non_null(written(self));
            size_t size = strlen(self->line);
            for (size_t at = 0; at + 1 < size; at++) {
                unsigned char c = (unsigned char)self->line[at];
                assert_true(c >= 0x20 && c < 0x7f);
            }
        }
    }
}

static void test_json_lines_are_json_with_the_same_keys(void **state)
{
    fixture_t *self = *state;
    mb_log_configure(self->log, MB_INFO, MB_LOG_JSON);
    mb_log(self->log, MB_INFO, "http", "a \"quoted\"\x1b line\xff", MB_S("subject", "caf\xc3\xa9"),
           MB_I("number", -12));
    assert_non_null(written(self));
    cJSON *tree = NULL;
    assert_int_equal(mailbus_json_parse_object(self->line, strlen(self->line), &tree, NULL),
                     MAILBUS_OK);
    assert_string_equal(mailbus_json_string(tree, "level"), "info");
    assert_string_equal(mailbus_json_string(tree, "program"), "mailbus-test");
    assert_string_equal(mailbus_json_string(tree, "stage"), "http");
    assert_string_equal(mailbus_json_string(tree, "message"), "a \"quoted\"\x1b line\\xff");
    assert_string_equal(mailbus_json_string(tree, "subject"), "caf\xc3\xa9");
    assert_true(cJSON_GetNumberValue(mailbus_json_item(tree, "number")) == -12);
    cJSON_Delete(tree);
}

static void test_a_long_value_is_cut_with_a_mark_and_later_fields_stay(void **state)
{
    fixture_t *self = *state;
    char value[100001];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    mb_log(self->log, MB_INFO, "s", "m", MB_S("subject", value), MB_S("id", "evt_1"));
    const char *line = written(self);
    assert_true(strlen(self->line) < 1024);
    assert_non_null(strstr(line, "x\xe2\x80\xa6 id=evt_1\n"));
}

static void test_a_line_is_never_longer_than_a_pipe_takes_at_once(void **state)
{
    fixture_t *self = *state;
    char value[2001];
    memset(value, '\x01', sizeof value - 1); /* grows sixfold when escaped */
    value[sizeof value - 1] = '\0';
    for (int format = MB_LOG_TEXT; format <= MB_LOG_JSON; format++) {
        mb_log_configure(self->log, MB_INFO, (mb_log_format_t)format);
        mb_log(self->log, MB_INFO, "s", "m", MB_S("a", value), MB_S("b", value), MB_S("c", value));
        const char *line = written(self);
        assert_non_null(line);
        assert_true(strlen(self->line) <= 4096);
        assert_non_null(strstr(line, format == MB_LOG_JSON ? ",\"cut\":\"yes\"}\n" : " cut=yes\n"));
        assert_null(strstr(line, format == MB_LOG_JSON ? "\"c\":" : " c="));
    }
}

static void test_every_length_up_to_the_end_of_a_line_is_whole_or_marked(void **state)
{
    fixture_t *self = *state;
    char full[513];
    char rest[513] = "";
    memset(full, 'f', sizeof full - 1);
    full[sizeof full - 1] = '\0';
    bool cut = false;
    for (int format = MB_LOG_TEXT; format <= MB_LOG_JSON; format++) {
        mb_log_configure(self->log, MB_INFO, (mb_log_format_t)format);
        for (size_t size = 0; size < sizeof rest; size++) {
            memset(rest, 'r', size);
            rest[size] = '\0';
            mb_log(self->log, MB_INFO, "s", "m", MB_S("a", full), MB_S("b", full), MB_S("c", full),
                   MB_S("d", full), MB_S("e", full), MB_S("f", full), MB_S("g", full),
                   MB_S("rest", rest), MB_U("n", 1), MB_S("t", "x"));
            const char *line = written(self);
            assert_non_null(line);
            assert_true(strlen(self->line) <= 4096);
            cut = strstr(line, "cut") != NULL;
            /* once a field does not fit, none that follows is there, however short it is */
            bool json = format == MB_LOG_JSON;
            bool has_rest = strstr(line, json ? "\"rest\":" : " rest=") != NULL;
            bool has_n = strstr(line, json ? "\"n\":1" : " n=1") != NULL;
            bool has_t = strstr(line, json ? "\"t\":\"x\"" : " t=x") != NULL;
            assert_true(has_rest || !has_n);
            assert_true(has_n || !has_t);
            assert_true(has_t != cut);
        }
        assert_true(cut);
    }
}

static void test_less_than_the_wanted_level_is_not_written(void **state)
{
    fixture_t *self = *state;
    mb_log(self->log, MB_DEBUG, "s", "m");
    assert_null(written(self));
    mb_log_configure(self->log, MB_DEBUG, MB_LOG_TEXT);
    mb_log(self->log, MB_DEBUG, "s", "m");
    assert_non_null(written(self));
    mb_log_configure(self->log, MB_ERROR, MB_LOG_TEXT);
    mb_log(self->log, MB_WARN, "s", "m");
    assert_null(written(self));
    mb_log(NULL, MB_ERROR, "s", "m");
}

static void test_names_of_levels_and_formats(void **state)
{
    (void)state;
    mb_log_level_t level = MB_DEBUG;
    mb_log_format_t format = MB_LOG_TEXT;
    assert_int_equal(mb_log_level_parse("warn", &level), MAILBUS_OK);
    assert_int_equal(level, MB_WARN);
    assert_int_equal(mb_log_level_parse("WARN", &level), MAILBUS_EINVAL);
    assert_int_equal(mb_log_level_parse("", &level), MAILBUS_EINVAL);
    assert_int_equal(level, MB_WARN);
    assert_int_equal(mb_log_format_parse("json", &format), MAILBUS_OK);
    assert_int_equal(format, MB_LOG_JSON);
    assert_int_equal(mb_log_format_parse("xml", &format), MAILBUS_EINVAL);
}

static void *write_lines(void *arg)
{
    for (int at = 0; at < 200; at++) {
        mb_log(arg, MB_INFO, "thread", "m", MB_I("n", at));
    }
    return NULL;
}

static void test_lines_of_several_threads_stay_whole(void **state)
{
    fixture_t *self = *state;
    pthread_t threads[4];
    static char all[400000];
    fcntl(self->ends[1], F_SETPIPE_SZ, 1 << 20); /* room for all: nobody reads meanwhile */
    for (int at = 0; at < 4; at++) {
        assert_int_equal(pthread_create(&threads[at], NULL, write_lines, self->log), 0);
    }
    for (int at = 0; at < 4; at++) {
        pthread_join(threads[at], NULL);
    }
    fcntl(self->ends[0], F_SETFL, O_NONBLOCK);
    size_t size = 0;
    ssize_t got;
    while ((got = read(self->ends[0], all + size, sizeof all - 1 - size)) > 0) {
        size += (size_t)got;
    }
    all[size] = '\0';
    int lines = 0;
    for (char *rest = NULL, *line = strtok_r(all, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        assert_memory_equal(line, "time=", 5);
        assert_non_null(strstr(line, " stage=thread message=m n="));
        lines++;
    }
    assert_int_equal(lines, 800);
}

int main(void)
{
#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_a_line_has_the_fixed_keys_and_then_the_fields),
        WITH_LOG(test_extreme_numbers_are_whole),
        WITH_LOG(test_values_that_would_break_a_line_are_quoted),
        WITH_LOG(test_no_byte_of_a_value_reaches_a_terminal_as_control),
        WITH_LOG(test_json_lines_are_json_with_the_same_keys),
        WITH_LOG(test_a_long_value_is_cut_with_a_mark_and_later_fields_stay),
        WITH_LOG(test_a_line_is_never_longer_than_a_pipe_takes_at_once),
        WITH_LOG(test_every_length_up_to_the_end_of_a_line_is_whole_or_marked),
        WITH_LOG(test_less_than_the_wanted_level_is_not_written),
        cmocka_unit_test(test_names_of_levels_and_formats),
        WITH_LOG(test_lines_of_several_threads_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
