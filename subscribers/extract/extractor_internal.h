/* Between extractor*.c. */
#ifndef EXTRACT_EXTRACTOR_INTERNAL_H
#define EXTRACT_EXTRACTOR_INTERNAL_H

#include "extractor.h"
#include "sandbox.h"
#include "types.h"
#include "verdict.h"

#define EXTRACTOR_ERROR_OUTPUT                                                                     \
    65536 /* bytes of output of the small runs: kind, pdfinfo, versions */

struct extractor {
    extractor_options_t options; /* the strings are its own */
    char *languages, *table, *libexec;
    char *helper, *engine, *pdfinfo, *pdftoppm; /* paths; NULL: not installed (poppler) */
    types_t *types;
    char pdftotext_version[64], tesseract_version[64]; /* "": not installed */
    char engines[256];
    const char *without; /* test builds: layers to leave out */
};

/* One file on its way. */
typedef struct {
    extractor_t *self;
    int input;
    int64_t deadline_ms; /* monotonic */
    extraction_t *extraction;
} extract_task_t;

/* A program and what it may do. */
typedef struct {
    const char *const *argv;
    const char *const *env;   /* may be NULL */
    const char *const *reads; /* may be NULL */
    bool threads;
    int input;
    int64_t max_output;
} extract_command_t;

/* Run it in what is left of the task's time; what it took is added to the extraction. */
MAILBUS_MUST_USE mailbus_code_t extractor_command(extract_task_t *task,
                                                  const extract_command_t *command,
                                                  sandbox_result_t *ret_result,
                                                  mailbus_error_t *error);
/* Run the engine of `entry`, and put its verdict and its text into the extraction. */
MAILBUS_MUST_USE mailbus_code_t extractor_engine(extract_task_t *task, const types_entry_t *entry,
                                                 mailbus_error_t *error);
/* The shipped way with a PDF: pages, text, OCR. */
MAILBUS_MUST_USE mailbus_code_t extractor_pdf(extract_task_t *task, const types_entry_t *entry,
                                              mailbus_error_t *error);
/* Try every layer. */
MAILBUS_MUST_USE mailbus_code_t extractor_probe(extractor_t *self, mailbus_error_t *error);
/* Fill in versions and `engines`. */
MAILBUS_MUST_USE mailbus_code_t extractor_versions(extractor_t *self, mailbus_error_t *error);

#endif
