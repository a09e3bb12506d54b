/* PDF: pdfinfo counts the pages, pdftotext takes their text; where there is none, they are scans:
 * pdftoppm draws them one by one, and tesseract reads them. Each is a process of its own in the
 * sandbox; none may start another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "extractor_internal.h"

enum {
    MAX_PAGE_COUNT = 10000000, /* of what is believed; no reader opens more */
    NUMBER_SIZE = 16,
    OCR_SIDE = 2600,          /* pixels of the longer side: A4 at 220 dpi */
    OCR_MAX_IMAGE = 16 << 20, /* bytes: a square of that side has 7 MB in grey */
    OCR_MIN_MS = 1000,        /* a page is not begun with less time left */
};

static const char *const poppler_data[] = {"/usr/share/poppler",
                                           "/etc/fonts",
                                           "/usr/share/fonts",
                                           "/usr/share/fontconfig",
                                           "/var/cache/fontconfig",
                                           "/usr/share/ghostscript",
                                           NULL};

/* The number behind the last "Pages:" at the beginning of a line: a title in front of it may hold
 * what it likes. 0 where there is none. */
static int read_pages(const sandbox_result_t *result)
{
    static const char key[] = "\nPages:";
    int pages = 0;
    const char *at = result->out.data;
    size_t left = result->out.size;
    for (const char *found; left > 0 && (found = memmem(at, left, key, sizeof key - 1)) != NULL;) {
        found += sizeof key - 1;
        left -= (size_t)(found - at);
        at = found;
        char number[NUMBER_SIZE + 1] = "";
        memcpy(number, at, left < NUMBER_SIZE ? left : NUMBER_SIZE);
        long value = strtol(number, NULL, 10);
        pages = value > 0 && value <= MAX_PAGE_COUNT ? (int)value : 0;
    }
    return pages;
}

/* Whether it can be opened, and how many pages it has. EXTRACT_OK: go on. */
static mailbus_code_t count_pages(extract_task_t *task, mailbus_error_t *error)
{
    extraction_t *extraction = task->extraction;
    extraction->status = EXTRACT_OK;
    if (task->self->pdfinfo == NULL) {
        return MAILBUS_OK;
    }
    const char *const argv[] = {task->self->pdfinfo, "-enc", "UTF-8", "-", NULL};
    const extract_command_t command = {.argv = argv,
                                       .reads = poppler_data,
                                       .input = task->input,
                                       .max_output = EXTRACTOR_ERROR_OUTPUT};
    sandbox_result_t result;
    mailbus_code_t code = extractor_command(task, &command, &result, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    extraction->status =
        verdict_of(&result, VERDICT_PROGRAM, extraction->detail, sizeof extraction->detail);
    if (extraction->status == EXTRACT_TRUNCATED) {
        extraction->status = EXTRACT_OK; /* a title of 64 KiB: the pages are behind it, unknown */
    }
    extraction->pages = read_pages(&result);
    sandbox_result_free(&result);
    return MAILBUS_OK;
}

/* A picture of one page, in a descriptor. *ret_fd is -1 where there is none. */
static mailbus_code_t draw_page(extract_task_t *task, int page, int *ret_fd, mailbus_error_t *error)
{
    char number[NUMBER_SIZE], side[NUMBER_SIZE];
    snprintf(number, sizeof number, "%d", page);
    snprintf(side, sizeof side, "%d", OCR_SIDE);
    const char *const argv[] = {
        task->self->pdftoppm, "-gray", "-scale-to", side, "-f", number, "-l", number, "-", NULL};
    const extract_command_t command = {
        .argv = argv, .reads = poppler_data, .input = task->input, .max_output = OCR_MAX_IMAGE};
    sandbox_result_t result;
    mailbus_code_t code = extractor_command(task, &command, &result, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    extraction_t *extraction = task->extraction;
    extraction->status =
        verdict_of(&result, VERDICT_PROGRAM, extraction->detail, sizeof extraction->detail);
    if (extraction->status == EXTRACT_TRUNCATED) {
        extraction->status = EXTRACT_TOO_LARGE;
    } else if (extraction->status == EXTRACT_OK) {
        code = sandbox_input(result.out.data, result.out.size, ret_fd, error);
    }
    sandbox_result_free(&result);
    return code;
}

/* Read one page's picture, and put its text behind what is there. */
static mailbus_code_t read_page(extract_task_t *task, const types_entry_t *ocr, int page,
                                mailbus_error_t *error)
{
    extraction_t *extraction = task->extraction;
    extraction_t one = {.text = MAILBUS_BUF_INIT};
    extract_task_t part = {task->self, task->input, task->deadline_ms, &one};
    int picture = -1;
    mailbus_code_t code = draw_page(&part, page, &picture, error);
    if (code == MAILBUS_OK && picture >= 0) {
        part.input = picture;
        code = extractor_engine(&part, ocr, error);
    }
    if (picture >= 0) {
        close(picture);
    }
    if (code == MAILBUS_OK) {
        extraction->status = one.status;
        snprintf(extraction->detail, sizeof extraction->detail, "%s", one.detail);
        extraction->wall_ms += one.wall_ms;
        extraction->cpu_ms += one.cpu_ms;
        if (one.peak_memory > extraction->peak_memory) {
            extraction->peak_memory = one.peak_memory;
        }
        if (one.text.size > 0) {
            mailbus_buf_text(&extraction->text, extraction->text.size > 0 ? "\n\n" : "");
            mailbus_buf_append(&extraction->text, one.text.data, one.text.size);
        }
    }
    mailbus_buf_free(&one.text);
    return code;
}

/* Pages read by OCR, all in all. */
typedef struct {
    bool stopped;            /* before the last page: time, or the text is as long as it may be */
    extract_status_t failed; /* of the last page that could not be read; EXTRACT_OK: none */
    char detail[256];
} ocr_t;

/* What all pages together come to. */
static void judge_ocr(extraction_t *extraction, const ocr_t *ocr)
{
    bool whole = !ocr->stopped && ocr->failed == EXTRACT_OK;
    if (extraction->text.size > 0) {
        extraction->status = whole ? EXTRACT_OK : EXTRACT_TRUNCATED;
    } else if (ocr->failed != EXTRACT_OK) {
        extraction->status = ocr->failed;
    } else {
        extraction->status = ocr->stopped ? EXTRACT_TIMEOUT : EXTRACT_NO_TEXT_LAYER;
    }
    snprintf(extraction->detail, sizeof extraction->detail, "%s", ocr->detail);
}

static mailbus_code_t read_scans(extract_task_t *task, const types_entry_t *entry, int pages,
                                 mailbus_error_t *error)
{
    extraction_t *extraction = task->extraction;
    ocr_t ocr = {.stopped = false, .failed = EXTRACT_OK, .detail = "no text on its pictures"};
    size_t max = (size_t)task->self->options.max_output;
    for (int page = 1; page <= pages; page++) {
        if (task->deadline_ms - mb_clock_monotonic_ms() < OCR_MIN_MS) {
            ocr.stopped = true;
            snprintf(ocr.detail, sizeof ocr.detail, "OCR had no time for page %d", page);
            break;
        }
        mailbus_code_t code = read_page(task, entry, page, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        if (extraction->status != EXTRACT_OK && extraction->status != EXTRACT_NO_TEXT_LAYER) {
            ocr.failed = extraction->status;
            snprintf(ocr.detail, sizeof ocr.detail, "page %d: %.200s", page, extraction->detail);
        }
        if (extraction->text.failed) {
            return mailbus_fail(error, MAILBUS_EAGAIN, "out of memory");
        }
        if (extraction->text.size >= max) {
            ocr.stopped = true;
            snprintf(ocr.detail, sizeof ocr.detail, "the text is longer than it may be");
            break;
        }
    }
    if (ocr.failed == EXTRACT_OK && !ocr.stopped && extraction->text.size > 0) {
        ocr.detail[0] = '\0';
    }
    judge_ocr(extraction, &ocr);
    return MAILBUS_OK;
}

/* The pictures of its pages, where there is a program for it. */
static mailbus_code_t try_ocr(extract_task_t *task, mailbus_error_t *error)
{
    const extractor_t *self = task->self;
    extraction_t *extraction = task->extraction;
    const types_entry_t *ocr = types_find(self->types, "image/x-portable-anymap");
    if (!self->options.ocr || self->pdftoppm == NULL || ocr == NULL || ocr->argv[0] == NULL ||
        ocr->missing != NULL) {
        snprintf(extraction->detail, sizeof extraction->detail, "a scan, and %s",
                 self->options.ocr ? "tesseract or pdftoppm is not installed"
                                   : "OCR is switched off");
        return MAILBUS_OK;
    }
    int pages = extraction->pages > 0 ? extraction->pages : 1;
    int most = self->options.max_pages;
    mailbus_code_t code = read_scans(task, ocr, pages < most ? pages : most, error);
    if (code == MAILBUS_OK) {
        snprintf(extraction->engine, sizeof extraction->engine, "tesseract");
        snprintf(extraction->version, sizeof extraction->version, "%s", self->tesseract_version);
    }
    return code;
}

mailbus_code_t extractor_pdf(extract_task_t *task, const types_entry_t *entry,
                             mailbus_error_t *error)
{
    extraction_t *extraction = task->extraction;
    mailbus_code_t code = count_pages(task, error);
    if (code != MAILBUS_OK || extraction->status != EXTRACT_OK) {
        return code;
    }
    int pages = extraction->pages;
    code = extractor_engine(task, entry, error);
    if (code == MAILBUS_OK && extraction->status == EXTRACT_NO_TEXT_LAYER) {
        if (pages == 0) {
            extraction->status = EXTRACT_CORRUPT;
            return MAILBUS_OK;
        }
        code = try_ocr(task, error);
    }
    if (code == MAILBUS_OK && extraction->status == EXTRACT_OK &&
        pages > task->self->options.max_pages) {
        extraction->status = EXTRACT_TRUNCATED;
        snprintf(extraction->detail, sizeof extraction->detail, "the first %d of %d pages",
                 task->self->options.max_pages, pages);
    }
    return code;
}
