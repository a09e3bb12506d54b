/* rules/regex.h: no pattern spins, whatever text a stranger sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "rules/regex.h"

static void check(const char *pattern, const char *text, rules_regex_verdict_t expected)
{
    rules_regex_t *regex = NULL;
    mailbus_error_t error = {0};
    if (rules_regex_new(pattern, &regex, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    rules_regex_verdict_t verdict = rules_regex_search(regex, text, strlen(text));
    if (verdict != expected) {
        fail_msg("%s on %.40s: %d instead of %d", pattern, text, verdict, expected);
    }
    rules_regex_destroy(&regex);
    assert_null(regex);
}

static void test_searching(void **state)
{
    (void)state;
    check("invoice", "An INVOICE", REGEX_FOUND);
    check("^invoice", "An invoice", REGEX_NOT_FOUND);
    check("größe", "GRÖSSE GRÖßE", REGEX_FOUND);
    check("(?-i)Invoice", "invoice", REGEX_NOT_FOUND);
    check("", "", REGEX_FOUND);
}

static void test_what_is_no_utf8_matches_nothing(void **state)
{
    (void)state;
    check("b.c", "a\xff\xfe b\xe2\x82 c", REGEX_NOT_FOUND);
    check("b.d",
          "a\xff\xfe b\xc3\xa4"
          "d \xf0\x9f",
          REGEX_FOUND);
    check(".", "\xff", REGEX_NOT_FOUND);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"(", "[a", "a{2,1}", "\\C", "(?<n>a)(?<n>b)", "*"};
    char long_pattern[REGEX_SIZE_MAX + 2];
    rules_regex_t *regex = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mailbus_error_t error = {0};
        assert_int_equal(rules_regex_new(bad[i], &regex, &error), MAILBUS_EINVAL);
        assert_non_null(strstr(error.text, "at character"));
        assert_null(regex);
    }
    memset(long_pattern, 'a', sizeof long_pattern - 1);
    long_pattern[sizeof long_pattern - 1] = '\0';
    assert_int_equal(rules_regex_new(long_pattern, &regex, NULL), MAILBUS_EINVAL);
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Patterns that take exponential or quadratic time, on the text that shows it; without bounds most
 * of them take minutes to ages. All but the last are stopped by the steps, long before the clock.
 */
static void test_no_pattern_spins(void **state)
{
    (void)state;
    static const char *const evil[] = {
        "(a+)+$",     "(a|aa)+$", "(a|a?)+$",       "(.*a){20}$",   "a*a*a*a*a*b",     ".*.*=.*",
        "^(a+)*\\1b", "(?:a*)*b", "(?=(a+))a*b\\1", "(x+x+)+y|a+b", "(?R)?a+b|a(?R)b", "^(a+)\\1b"};
    const size_t count = sizeof evil / sizeof evil[0];
    size_t size = (size_t)1024 * 1024;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'a', size);
    text[size] = '\0';
    for (size_t i = 0; i < count; i++) {
        rules_regex_t *regex = NULL;
        mailbus_error_t error = {0};
        if (rules_regex_new(evil[i], &regex, &error) != MAILBUS_OK) {
            fail_msg("%s", error.text);
        }
        double before = cpu_seconds();
        (void)rules_regex_search(regex, text, size);
        double took = cpu_seconds() - before;
        if (took > (i + 1 < count ? 0.5 : 3) * REGEX_CPU_MS / 1000.0) {
            fail_msg("%s took %.3f s", evil[i], took);
        }
        rules_regex_destroy(&regex);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searching),
        cmocka_unit_test(test_what_is_no_utf8_matches_nothing),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_no_pattern_spins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
