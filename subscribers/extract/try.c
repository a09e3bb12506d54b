#include "try.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "config.h"
#include "options.h"
#include "runtime_internal.h"

enum { USAGE = 2 };

static const char option[] = "--file";

bool try_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], option) == 0) {
            return true;
        }
    }
    return false;
}

/* At most one byte more than the limit: then it is too large, and the extractor says so. */
static mailbus_code_t read_path(const char *path, size_t limit, mailbus_buf_t *out,
                                mailbus_error_t *error)
{
    char part[65536];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND, "%.180s: %s", path, strerror(errno));
    }
    mailbus_buf_text(out, "");
    for (size_t size = 1; size > 0 && out->size <= limit && !out->failed;) {
        size = fread(part, 1, sizeof part, file);
        mailbus_buf_append(out, part, size);
    }
    bool broken = ferror(file) != 0;
    fclose(file);
    if (broken || out->failed) {
        return mailbus_fail(error, MAILBUS_EIO, "%.180s can't be read", path);
    }
    return MAILBUS_OK;
}

static void print(const char *path, const extraction_t *extraction, size_t size)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    printf("file    %s\nsize    %zu bytes\nstatus  %s\n", path, size,
           extract_status_name(extraction->status));
    if (extraction->detail[0] != '\0') {
        printf("detail  %s\n", extraction->detail);
    }
    if (extraction->type[0] != '\0') {
        printf("type    %s\n", extraction->type);
    }
    if (extraction->engine[0] != '\0') {
        printf("engine  %s%s%s\n", extraction->engine, extraction->version[0] == '\0' ? "" : " ",
               extraction->version);
    }
    if (extraction->pages > 0) {
        printf("pages   %d\n", extraction->pages);
    }
    printf("took    %.2f s, %" PRId64 " MiB\n", (double)extraction->wall_ms / 1000.0,
           extraction->peak_memory >> 20);
    if (extraction->text.size > 0) {
        agentmail_text_block(extraction->text.data, extraction->text.size, 0, &text);
        printf("\n%s\n", text.data == NULL ? "" : text.data);
    }
    mailbus_buf_free(&text);
}

static bool try_path(extractor_t *extractor, const char *path, size_t limit)
{
    extraction_t extraction = {.status = EXTRACT_CORRUPT};
    mailbus_buf_t bytes = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    mailbus_code_t code = read_path(path, limit, &bytes, &error);
    if (code == MAILBUS_OK) {
        code = extractor_run(extractor, bytes.data, bytes.size, &extraction, &error);
    }
    if (code == MAILBUS_OK) {
        print(path, &extraction, bytes.size);
    } else {
        fprintf(stderr, "mailbus-extract: %s\n", error.text);
    }
    bool good = code == MAILBUS_OK &&
                (extraction.status == EXTRACT_OK || extraction.status == EXTRACT_TRUNCATED);
    extraction_free(&extraction);
    mailbus_buf_free(&bytes);
    return good;
}

/* The command line without its --file PATHs, which move to `paths`. EINVAL: one has no path. */
static mailbus_code_t split(int argc, char **argv, char **rest, char **paths, int *ret_rest,
                            int *ret_paths, mailbus_error_t *error)
{
    int count = 0;
    int path_count = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], option) != 0) {
            rest[count++] = argv[i];
        } else if (++i < argc) {
            paths[path_count++] = argv[i];
        } else {
            return mailbus_fail(error, MAILBUS_EINVAL, "--file wants a path");
        }
    }
    *ret_rest = count;
    *ret_paths = path_count;
    return MAILBUS_OK;
}

/* As the running program reads its settings, but nothing of it is started. */
static int try_all(const mailbus_runtime_t *runtime, char **paths, int count,
                   mailbus_error_t *error)
{
    extractor_options_t options;
    extractor_t *extractor = NULL;
    bool good = true;
    config_extractor(runtime, &options);
    if (extractor_new(&options, &extractor, error) != MAILBUS_OK) {
        fprintf(stderr, "mailbus-extract: %s\n", error->text);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < count; i++) {
        good = try_path(extractor, paths[i], (size_t)options.max_file) && good;
    }
    extractor_destroy(&extractor);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int try_file(int argc, char **argv, const mailbus_subscriber_t *subscriber)
{
    mailbus_runtime_t runtime = {.subscriber = subscriber};
    mailbus_error_t error = {.text = "out of memory"};
    mb_settings_action_t action = MB_SETTINGS_EXIT;
    options_t *options = NULL;
    char **rest = calloc((size_t)argc + 1, sizeof *rest);
    char **paths = calloc((size_t)argc + 1, sizeof *paths);
    int count = 0;
    int path_count = 0;
    int status = EXIT_FAILURE;
    pthread_mutex_init(&runtime.settings_lock, NULL);
    if (rest == NULL || paths == NULL ||
        split(argc, argv, rest, paths, &count, &path_count, &error) != MAILBUS_OK ||
        options_new(subscriber, &options, &error) != MAILBUS_OK ||
        mb_settings_read(options_settings(options), count, rest, stdout, NULL, &action, &error) !=
            MAILBUS_OK) {
        fprintf(stderr, "mailbus-extract: %s\n", error.text);
        status = USAGE;
        goto out;
    }
    runtime.settings = options_settings(options);
    status =
        action == MB_SETTINGS_RUN ? try_all(&runtime, paths, path_count, &error) : EXIT_SUCCESS;
out:
    options_destroy(&options);
    runtime_texts_free(&runtime);
    pthread_mutex_destroy(&runtime.settings_lock);
    free(rest);
    free(paths);
    return status;
}
