/* Regular expressions on hostile text: PCRE2 with bounds that hold for the whole of one search.
 *
 * PCRE2's own match limit counts anew at every place where a match may begin, so a long mail could
 * still make it spin for minutes. A callout at every item of the pattern (PCRE2_AUTO_CALLOUT)
 * counts the steps of all of them, and how far each one went. What it can't see (a back reference
 * that compares much and fails) the thread's own clock bounds. */
#ifndef RULES_REGEX_H
#define RULES_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "mailbus/error.h"

/* Items of the pattern tried in one search, and stretches of REGEX_STRETCH bytes that they went
 * over: about 0.1 s. An honest pattern takes some ten for each character. */
#define REGEX_STEPS_MAX 3000000
#define REGEX_STRETCH   32
#define REGEX_CPU_MS    1000 /* the last net: far above what the steps take on a slow machine */
#define REGEX_TEXT_MAX                                                                             \
    ((size_t)128 * 1024)    /* bytes of a text that are looked at: the beginning                   \
                             */
#define REGEX_HEAP_KIB 4096 /* of backtracking points: more is a pattern that does not end */
#define REGEX_SIZE_MAX 4096 /* bytes of a pattern */

typedef struct rules_regex rules_regex_t;

/* EINVAL with PCRE2's words and the place. */
MAILBUS_MUST_USE mailbus_code_t rules_regex_new(const char *pattern, rules_regex_t **ret_self,
                                                mailbus_error_t *error);
void rules_regex_destroy(rules_regex_t **self_p); /* takes NULL */

typedef enum { REGEX_FOUND, REGEX_NOT_FOUND, REGEX_EXHAUSTED } rules_regex_verdict_t;

/* Any thread. Text need not be UTF-8: no match spans what is none. */
rules_regex_verdict_t rules_regex_search(const rules_regex_t *self, const char *text, size_t size);

#endif
