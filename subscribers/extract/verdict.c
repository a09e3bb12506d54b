#include "verdict.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "clean.h"
#include "engine_status.h"

static bool says(const sandbox_result_t *result, const char *words)
{
    return memmem(result->err, result->err_size, words, strlen(words)) != NULL;
}

/* What C, C++, poppler, leptonica and Python say when an allocation fails. */
static bool says_memory(const sandbox_result_t *result)
{
    static const char *const words[] = {"bad_alloc",     "Out of memory",   "out of memory",
                                        "MemoryError",   "cannot allocate", "Cannot allocate",
                                        "malloc failed", "calloc failed",   "make data array"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (says(result, words[i])) {
            return true;
        }
    }
    return false;
}

static extract_status_t own_status(int number)
{
    switch (number) {
    case ENGINE_ENCRYPTED:
        return EXTRACT_ENCRYPTED;
    case ENGINE_TOO_LARGE:
        return EXTRACT_TOO_LARGE;
    case ENGINE_MEMORY:
        return EXTRACT_MEMORY;
    case ENGINE_UNSUPPORTED:
        return EXTRACT_UNSUPPORTED;
    default:
        return EXTRACT_CORRUPT;
    }
}

static extract_status_t exited(const sandbox_result_t *result, verdict_engine_t engine,
                               char *detail, size_t size)
{
    clean_line(result->err, result->err_size, detail, size);
    if (result->number == 0) {
        return EXTRACT_OK;
    }
    if (engine == VERDICT_OWN) {
        return own_status(result->number);
    }
    if (says(result, "Incorrect password") || says(result, "not allowed")) { /* poppler */
        return EXTRACT_ENCRYPTED;
    }
    return says_memory(result) ? EXTRACT_MEMORY : EXTRACT_CORRUPT;
}

static extract_status_t killed(const sandbox_result_t *result, char *detail, size_t size)
{
    if (result->number == SIGSYS) {
        snprintf(detail, size, "the engine made a forbidden system call and was ended");
        return EXTRACT_CORRUPT;
    }
    if (result->number == SIGKILL) { /* none of ours: the kernel's */
        snprintf(detail, size, "the kernel ended the engine: the machine's memory is full");
        return EXTRACT_MEMORY;
    }
    if (says_memory(result)) {
        snprintf(detail, size, "the engine needs more memory than it may take");
        return EXTRACT_MEMORY;
    }
    snprintf(detail, size, "the engine crashed with signal %d", result->number);
    return EXTRACT_CORRUPT;
}

extract_status_t verdict_of(const sandbox_result_t *result, verdict_engine_t engine, char *detail,
                            size_t size)
{
    detail[0] = '\0';
    switch (result->end) {
    case SANDBOX_TIMEOUT:
        snprintf(detail, size, "ended after %lld ms, %lld ms of them at work",
                 (long long)result->wall_ms, (long long)result->cpu_ms);
        return EXTRACT_TIMEOUT;
    case SANDBOX_OVERFLOW:
        snprintf(detail, size, "the text is longer than it may be");
        return EXTRACT_TRUNCATED;
    case SANDBOX_KILLED:
        return killed(result, detail, size);
    case SANDBOX_EXITED:
    default:
        return exited(result, engine, detail, size);
    }
}
