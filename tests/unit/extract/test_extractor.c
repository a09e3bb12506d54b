/* extractor.h from many threads at once, and its options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/resource.h>

#include "extractor.h"

enum { THREADS = 6, ROUNDS = 5 };

static extractor_options_t options(void)
{
    extractor_options_t all = EXTRACTOR_DEFAULTS;
    const char *bin = getenv("EXTRACT_TEST_BIN"); /* where a container's programs are */
    all.libexec = bin != NULL ? bin : EXTRACT_BIN;
    return all;
}

typedef struct {
    extractor_t *extractor;
    int number;
    int wrong;
} worker_t;

/* Own text in, own text out, and the others' bad files beside it. */
static void *work(void *argument)
{
    worker_t *self = argument;
    for (int i = 0; i < ROUNDS; i++) {
        char text[64];
        extraction_t extraction;
        snprintf(text, sizeof text, "thread %d round %d", self->number, i);
        bool bad = (self->number + i) % 3 == 0;
        size_t size = bad ? 4 : strlen(text);
        if (extractor_run(self->extractor, bad ? "PK\3\4" : text, size, &extraction, NULL) !=
            MAILBUS_OK) {
            self->wrong++;
            continue;
        }
        bool right =
            bad ? extraction.status == EXTRACT_CORRUPT && extraction.text.size == 0
                : extraction.status == EXTRACT_OK && strcmp(extraction.text.data, text) == 0;
        self->wrong += right ? 0 : 1;
        extraction_free(&extraction);
    }
    return NULL;
}

static void test_several_threads_at_once(void **state)
{
    (void)state;
    extractor_options_t all = options();
    extractor_t *extractor = NULL;
    worker_t workers[THREADS];
    pthread_t threads[THREADS];
    assert_int_equal(extractor_new(&all, &extractor, NULL), MAILBUS_OK);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker_t){extractor, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    extractor_destroy(&extractor);
    assert_null(extractor);
}

static void test_options_that_cannot_work_are_refused(void **state)
{
    (void)state;
    extractor_t *extractor = NULL;
    for (int i = 0; i < 6; i++) {
        extractor_options_t all = options();
        all.max_file = i == 0 ? 0 : all.max_file;
        all.max_output = i == 1 ? 0 : all.max_output;
        all.wall_ms = i == 2 ? 0 : all.wall_ms;
        all.cpu_s = i == 3 ? 0 : all.cpu_s;
        all.max_pages = i == 4 ? 0 : all.max_pages;
        all.max_memory = i == 5 ? 1 << 20 : all.max_memory;
        assert_int_equal(extractor_new(&all, &extractor, NULL), MAILBUS_EINVAL);
        assert_null(extractor);
    }
    extractor_options_t all = options();
    all.types = "/nowhere/types.zpl";
    assert_int_equal(extractor_new(&all, &extractor, NULL), MAILBUS_ENOTFOUND);
    all = options();
    all.libexec = "/nowhere";
    assert_int_equal(extractor_new(&all, &extractor, NULL), MAILBUS_ENOTFOUND);
}

/* What the machine has no more of is not the file's fault, and passes. */
static void test_out_of_descriptors_is_try_again(void **state)
{
    (void)state;
    extractor_options_t all = options();
    extractor_t *extractor = NULL;
    extraction_t extraction;
    struct rlimit before, few;
    assert_int_equal(extractor_new(&all, &extractor, NULL), MAILBUS_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 8;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    mailbus_code_t code = extractor_run(extractor, "text", 4, &extraction, NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(code, MAILBUS_EAGAIN);
    assert_int_equal(extractor_run(extractor, "text", 4, &extraction, NULL), MAILBUS_OK);
    assert_string_equal(extraction.text.data, "text");
    extraction_free(&extraction);
    extractor_destroy(&extractor);
}

static void test_names(void **state)
{
    (void)state;
    const struct {
        extract_status_t status;
        const char *name;
    } rows[] = {
        {EXTRACT_OK, "ok"},
        {EXTRACT_TRUNCATED, "truncated"},
        {EXTRACT_ENCRYPTED, "encrypted"},
        {EXTRACT_NO_TEXT_LAYER, "no_text_layer"},
        {EXTRACT_CORRUPT, "corrupt"},
        {EXTRACT_TOO_LARGE, "too_large"},
        {EXTRACT_TIMEOUT, "timeout"},
        {EXTRACT_MEMORY, "memory"},
        {EXTRACT_UNSUPPORTED, "unsupported"},
        {EXTRACT_DOWNLOAD_FAILED, "download_failed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(extract_status_name(rows[i].status), rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_threads_at_once),
        cmocka_unit_test(test_options_that_cannot_work_are_refused),
        cmocka_unit_test(test_out_of_descriptors_is_try_again),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
