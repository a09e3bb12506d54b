/* verdict.h: what the end of an engine says about the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "engine_status.h"
#include "verdict.h"

static void check(sandbox_end_t end, int number, const char *err, verdict_engine_t engine,
                  extract_status_t expected, const char *detail)
{
    sandbox_result_t result = {.end = end, .number = number, .out = MAILBUS_BUF_INIT};
    char text[256] = "x";
    result.err_size = strlen(err);
    memcpy(result.err, err, result.err_size);
    assert_string_equal(extract_status_name(verdict_of(&result, engine, text, sizeof text)),
                        extract_status_name(expected));
    assert_non_null(strstr(text, detail));
}

static void test_our_engines_say_it_by_their_status(void **state)
{
    (void)state;
    const struct {
        int number;
        extract_status_t status;
    } rows[] = {
        {ENGINE_OK, EXTRACT_OK},           {ENGINE_ENCRYPTED, EXTRACT_ENCRYPTED},
        {ENGINE_CORRUPT, EXTRACT_CORRUPT}, {ENGINE_TOO_LARGE, EXTRACT_TOO_LARGE},
        {ENGINE_MEMORY, EXTRACT_MEMORY},   {ENGINE_UNSUPPORTED, EXTRACT_UNSUPPORTED},
        {ENGINE_IO, EXTRACT_CORRUPT},      {1, EXTRACT_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(SANDBOX_EXITED, rows[i].number, "why\n", VERDICT_OWN, rows[i].status, "why");
    }
}

static void test_others_say_it_in_words(void **state)
{
    (void)state;
    check(SANDBOX_EXITED, 0, "Syntax Warning: x\n", VERDICT_PROGRAM, EXTRACT_OK,
          "Syntax Warning: x");
    check(SANDBOX_EXITED, 0, "", VERDICT_PROGRAM, EXTRACT_OK, "");
    check(SANDBOX_EXITED, 1, "Command Line Error: Incorrect password\n", VERDICT_PROGRAM,
          EXTRACT_ENCRYPTED, "Incorrect password");
    check(SANDBOX_EXITED, 3, "Copying of text from this document is not allowed.\n",
          VERDICT_PROGRAM, EXTRACT_ENCRYPTED, "not allowed");
    check(SANDBOX_EXITED, 1, "Syntax Error: no trailer\nmore", VERDICT_PROGRAM, EXTRACT_CORRUPT,
          "no trailer");
    check(SANDBOX_EXITED, 1, "Out of memory\n", VERDICT_PROGRAM, EXTRACT_MEMORY, "Out of memory");
    check(SANDBOX_EXITED, 255, "", VERDICT_PROGRAM, EXTRACT_CORRUPT, "");
}

static void test_what_a_file_makes_an_engine_say_is_one_clean_line(void **state)
{
    (void)state;
    check(SANDBOX_EXITED, 1, "\x1b[31m\r\nevil\x07 \xff line\nsecond", VERDICT_PROGRAM,
          EXTRACT_CORRUPT, "[31m");
    check(SANDBOX_EXITED, 1, "\r\nevil\x07 line\nsecond", VERDICT_PROGRAM, EXTRACT_CORRUPT,
          "evil line");
}

static void test_deaths(void **state)
{
    (void)state;
    check(SANDBOX_KILLED, SIGSEGV, "", VERDICT_PROGRAM, EXTRACT_CORRUPT, "signal 11");
    check(SANDBOX_KILLED, SIGSYS, "", VERDICT_PROGRAM, EXTRACT_CORRUPT, "forbidden system call");
    check(SANDBOX_KILLED, SIGKILL, "", VERDICT_PROGRAM, EXTRACT_MEMORY, "the kernel");
    check(SANDBOX_KILLED, SIGABRT, "what():  std::bad_alloc\n", VERDICT_PROGRAM, EXTRACT_MEMORY,
          "more memory");
    check(SANDBOX_KILLED, SIGABRT, "assertion\n", VERDICT_OWN, EXTRACT_CORRUPT, "signal 6");
}

static void test_limits(void **state)
{
    (void)state;
    check(SANDBOX_TIMEOUT, SIGKILL, "Out of memory", VERDICT_OWN, EXTRACT_TIMEOUT, "ended after");
    check(SANDBOX_OVERFLOW, SIGKILL, "", VERDICT_PROGRAM, EXTRACT_TRUNCATED, "longer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_engines_say_it_by_their_status),
        cmocka_unit_test(test_others_say_it_in_words),
        cmocka_unit_test(test_what_a_file_makes_an_engine_say_is_one_clean_line),
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
