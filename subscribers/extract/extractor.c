#include "extractor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "engine_status.h"
#include "extractor_internal.h"

enum {
    ALLOWANCE = 4, /* bytes an engine may print for one of text: blanks, CR, what gets composed */
};

const char *extract_status_name(extract_status_t status)
{
    static const char *const names[] = {
        [EXTRACT_OK] = "ok",
        [EXTRACT_TRUNCATED] = "truncated",
        [EXTRACT_ENCRYPTED] = "encrypted",
        [EXTRACT_NO_TEXT_LAYER] = "no_text_layer",
        [EXTRACT_CORRUPT] = "corrupt",
        [EXTRACT_TOO_LARGE] = "too_large",
        [EXTRACT_TIMEOUT] = "timeout",
        [EXTRACT_MEMORY] = "memory",
        [EXTRACT_UNSUPPORTED] = "unsupported",
        [EXTRACT_DOWNLOAD_FAILED] = "download_failed",
    };
    return names[status];
}

void extraction_free(extraction_t *extraction)
{
    mailbus_buf_free(&extraction->text);
}

const char *extractor_engines(const extractor_t *self)
{
    return self->engines;
}

/* --- what is done with one file ------------------------------------------------------------------
 */

static mailbus_code_t set(extract_task_t *task, extract_status_t status, const char *detail)
{
    task->extraction->status = status;
    snprintf(task->extraction->detail, sizeof task->extraction->detail, "%s", detail);
    return MAILBUS_OK;
}

mailbus_code_t extractor_command(extract_task_t *task, const extract_command_t *command,
                                 sandbox_result_t *ret_result, mailbus_error_t *error)
{
    const extractor_t *self = task->self;
    int64_t left = task->deadline_ms - mb_clock_monotonic_ms();
    const sandbox_job_t job = {
        .helper = self->helper,
        .argv = command->argv,
        .env = command->env,
        .reads = command->reads,
        .threads = command->threads,
        .input = command->input,
        .max_memory = self->options.max_memory,
        .max_output = command->max_output,
        .wall_ms = left > 0 ? left : 0,
        .cpu_s = self->options.cpu_s,
        .without = self->without,
    };
    mailbus_code_t code = sandbox_run(&job, ret_result, error);
    if (code == MAILBUS_OK) {
        extraction_t *extraction = task->extraction;
        extraction->wall_ms += ret_result->wall_ms;
        extraction->cpu_ms += ret_result->cpu_ms;
        if (ret_result->peak_memory > extraction->peak_memory) {
            extraction->peak_memory = ret_result->peak_memory;
        }
    }
    return code;
}

mailbus_code_t extractor_engine(extract_task_t *task, const types_entry_t *entry,
                                mailbus_error_t *error)
{
    extraction_t *extraction = task->extraction;
    int64_t max = task->self->options.max_output;
    const extract_command_t command = {
        entry->argv, entry->env, entry->reads, entry->threads, task->input, max * ALLOWANCE,
    };
    sandbox_result_t result;
    mailbus_code_t code = extractor_command(task, &command, &result, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    bool own = strcmp(entry->argv[0], task->self->engine) == 0;
    extraction->status = verdict_of(&result, own ? VERDICT_OWN : VERDICT_PROGRAM,
                                    extraction->detail, sizeof extraction->detail);
    if (extraction->status == EXTRACT_OK || extraction->status == EXTRACT_TRUNCATED) {
        bool cut = false;
        code = clean_text(result.out.data, result.out.size, (size_t)max, &extraction->text, &cut,
                          error);
        if (cut) {
            set(task, EXTRACT_TRUNCATED, "the text is longer than it may be");
        } else if (extraction->text.size == 0) {
            extraction->status = EXTRACT_NO_TEXT_LAYER;
        }
    }
    sandbox_result_free(&result);
    return code == MAILBUS_ENOMEM ? MAILBUS_EAGAIN : code;
}

/* A media type, and nothing else, in what the process said that looked into the file. */
static bool read_type(const sandbox_result_t *result, char *type, size_t size)
{
    const char *line = result->out.data;
    size_t length = result->out.size;
    if (length < 2 || length > size || line[length - 1] != '\n') {
        return false;
    }
    length--;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.+-/";
    for (size_t i = 0; i < length; i++) {
        if (strchr(letters, line[i]) == NULL || line[i] == '\0') {
            return false;
        }
    }
    memcpy(type, line, length);
    type[length] = '\0';
    return memchr(line, '/', length) != NULL;
}

/* What it is. EXTRACT_OK: go on. */
static mailbus_code_t find_kind(extract_task_t *task, mailbus_error_t *error)
{
    extraction_t *extraction = task->extraction;
    const char *const argv[] = {task->self->engine, "kind", NULL};
    const extract_command_t command = {
        .argv = argv, .input = task->input, .max_output = EXTRACTOR_ERROR_OUTPUT};
    sandbox_result_t result;
    mailbus_code_t code = extractor_command(task, &command, &result, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    extraction->status =
        verdict_of(&result, VERDICT_OWN, extraction->detail, sizeof extraction->detail);
    bool typed = read_type(&result, extraction->type, sizeof extraction->type);
    if (extraction->status == EXTRACT_OK && !typed) {
        set(task, EXTRACT_CORRUPT, "what it is can't be told");
    }
    sandbox_result_free(&result);
    return MAILBUS_OK;
}

static void name_engine(extract_task_t *task, const types_entry_t *entry)
{
    const extractor_t *self = task->self;
    extraction_t *extraction = task->extraction;
    const char *name = strrchr(entry->argv[0], '/');
    name = name != NULL ? name + 1 : entry->argv[0];
    const char *version = strcmp(name, "pdftotext") == 0              ? self->pdftotext_version
                          : strcmp(name, "tesseract") == 0            ? self->tesseract_version
                          : strcmp(entry->argv[0], self->engine) == 0 ? MAILBUS_VERSION
                                                                      : "";
    snprintf(extraction->engine, sizeof extraction->engine, "%s", name);
    snprintf(extraction->version, sizeof extraction->version, "%s", version);
}

static bool is_image(const char *type)
{
    return strncmp(type, "image/", 6) == 0;
}

/* With the engine for its type, if there is one. */
static mailbus_code_t run_by_type(extract_task_t *task, mailbus_error_t *error)
{
    const char *type = task->extraction->type;
    const types_entry_t *entry = types_find(task->self->types, type);
    if (entry == NULL || entry->argv[0] == NULL) {
        return set(task, EXTRACT_UNSUPPORTED, "no engine is set for this type");
    }
    if (entry->shipped && is_image(type) && (!task->self->options.ocr || entry->missing != NULL)) {
        return set(task, EXTRACT_NO_TEXT_LAYER,
                   entry->missing != NULL ? "an image, and tesseract is not installed"
                                          : "an image, and OCR is switched off");
    }
    if (entry->missing != NULL) {
        char detail[128];
        snprintf(detail, sizeof detail, "%.80s is not installed", entry->missing);
        return set(task, EXTRACT_UNSUPPORTED, detail);
    }
    name_engine(task, entry);
    if (entry->shipped && strcmp(type, "application/pdf") == 0) {
        return extractor_pdf(task, entry, error);
    }
    return extractor_engine(task, entry, error);
}

mailbus_code_t extractor_run(extractor_t *self, const void *data, size_t size,
                             extraction_t *ret_extraction, mailbus_error_t *error)
{
    extraction_t extraction = {.text = MAILBUS_BUF_INIT};
    extract_task_t task = {
        .self = self,
        .input = -1,
        .deadline_ms = mb_clock_monotonic_ms() + self->options.wall_ms,
        .extraction = &extraction,
    };
    mailbus_code_t code = MAILBUS_OK;
    if (size == 0) {
        code = set(&task, EXTRACT_CORRUPT, "the file is empty");
    } else if ((int64_t)size > self->options.max_file) {
        code = set(&task, EXTRACT_TOO_LARGE, "the file is larger than it may be");
    } else {
        code = sandbox_input(data, size, &task.input, error);
        if (code == MAILBUS_OK) {
            code = find_kind(&task, error);
        }
        if (code == MAILBUS_OK && extraction.status == EXTRACT_OK) {
            code = run_by_type(&task, error);
        }
    }
    if (task.input >= 0) {
        close(task.input);
    }
    if (code != MAILBUS_OK) {
        extraction_free(&extraction);
        return code;
    }
    if (extraction.status != EXTRACT_OK && extraction.status != EXTRACT_TRUNCATED) {
        mailbus_buf_free(&extraction.text);
    }
    *ret_extraction = extraction;
    return MAILBUS_OK;
}
