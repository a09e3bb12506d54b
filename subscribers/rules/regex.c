#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules/regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    /* Between two callouts, and how deep: far above what the steps allow, a second net. */
    MATCH_LIMIT = 10 * REGEX_STEPS_MAX,
    DEPTH_LIMIT = 100000,
    CLOCK_EVERY = 64, /* callouts: each may stand for a comparison of the whole text */
};

struct rules_regex {
    pcre2_code *code;
};

mailbus_code_t rules_regex_new(const char *pattern, rules_regex_t **ret_self,
                               mailbus_error_t *error)
{
    /* UCP: \w and \b know more than ASCII. NEVER_BACKSLASH_C: it would cut letters in two. */
    const uint32_t options = PCRE2_CASELESS | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                             PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
    int why = 0;
    PCRE2_SIZE at = 0;
    if (strlen(pattern) > REGEX_SIZE_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL, "a regular expression of more than %d bytes",
                            REGEX_SIZE_MAX);
    }
    rules_regex_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &why, &at, NULL);
    if (self->code == NULL) {
        PCRE2_UCHAR text[120] = "";
        pcre2_get_error_message(why, text, sizeof text);
        free(self);
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%.60s\": %s, at character %zu", pattern,
                            (const char *)text, (size_t)at);
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void rules_regex_destroy(rules_regex_t **self_p)
{
    rules_regex_t *self = *self_p;
    if (self != NULL) {
        pcre2_code_free(self->code);
        free(self);
        *self_p = NULL;
    }
}

/* What a search may still take. */
typedef struct {
    size_t steps;
    PCRE2_SIZE at; /* where the last callout was */
    size_t until_clock;
    int64_t end_ms; /* of this thread's own time */
} budget_t;

static int64_t thread_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int count_step(pcre2_callout_block *block, void *arg)
{
    budget_t *left = arg;
    PCRE2_SIZE at = block->current_position;
    size_t cost = 1 + (at > left->at ? at - left->at : left->at - at) / REGEX_STRETCH;
    left->at = at;
    if (cost >= left->steps) {
        return PCRE2_ERROR_CALLOUT;
    }
    left->steps -= cost;
    if (--left->until_clock == 0) {
        left->until_clock = CLOCK_EVERY;
        return thread_ms() < left->end_ms ? 0 : PCRE2_ERROR_CALLOUT;
    }
    return 0;
}

rules_regex_verdict_t rules_regex_search(const rules_regex_t *self, const char *text, size_t size)
{
    rules_regex_verdict_t verdict = REGEX_EXHAUSTED;
    budget_t left = {
        .steps = REGEX_STEPS_MAX, .until_clock = CLOCK_EVERY, .end_ms = thread_ms() + REGEX_CPU_MS};
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (context != NULL && data != NULL) {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_depth_limit(context, DEPTH_LIMIT);
        pcre2_set_heap_limit(context, REGEX_HEAP_KIB);
        pcre2_set_callout(context, count_step, &left);
        int rc = pcre2_match(self->code, (PCRE2_SPTR)text,
                             size < REGEX_TEXT_MAX ? size : REGEX_TEXT_MAX, 0, 0, data, context);
        verdict = rc >= 0                     ? REGEX_FOUND
                  : rc == PCRE2_ERROR_NOMATCH ? REGEX_NOT_FOUND
                                              : REGEX_EXHAUSTED;
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return verdict;
}
