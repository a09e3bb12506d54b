/* Text out of one file: what it is (by content), which engine reads it, and that engine in a
 * sandboxed process of its own. Knows nothing of mails, of the bus or of stores. */
#ifndef EXTRACT_EXTRACTOR_H
#define EXTRACT_EXTRACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "mailbus/buf.h"

/* The fixed set of results. */
typedef enum {
    EXTRACT_OK,
    EXTRACT_TRUNCATED, /* text, but the output cap or the page range cut it */
    EXTRACT_ENCRYPTED,
    EXTRACT_NO_TEXT_LAYER, /* a scan, and no OCR (or OCR found nothing): never an empty success */
    EXTRACT_CORRUPT,
    EXTRACT_TOO_LARGE,
    EXTRACT_TIMEOUT,
    EXTRACT_MEMORY,
    EXTRACT_UNSUPPORTED,
    EXTRACT_DOWNLOAD_FAILED, /* never by the extractor: the subscriber's */
} extract_status_t;

const char *extract_status_name(extract_status_t status); /* "ok", "no_text_layer", … */

typedef struct {
    int64_t max_file;   /* bytes; 25 MiB */
    int64_t max_memory; /* bytes of address space; 512 MiB */
    int64_t max_output; /* bytes of text; 1 MiB */
    int64_t wall_ms;    /* 60 s: then the whole process group is killed */
    int64_t cpu_s;
    int max_pages;     /* 500 */
    bool ocr;          /* images and scans by tesseract, where it is installed */
    const char *types; /* the operator's table `type = command …` (a ZPL file), or "" */
} extractor_options_t;

typedef struct extractor extractor_t;

/* Checks that every mandatory layer of the sandbox works here, by trying it: where one does not,
 * EACCESS names it, and nothing is ever opened. Options are copied. */
MAILBUS_MUST_USE mailbus_code_t extractor_new(const extractor_options_t *options,
                                              extractor_t **ret_self, mailbus_error_t *error);
void extractor_destroy(extractor_t **self_p);

typedef struct {
    extract_status_t status;
    char type[64];      /* what the content is: "application/pdf" */
    char engine[64];    /* what read it: "pdftotext" */
    char version[64];   /* of the engine */
    int pages;          /* 0: has none, or not known */
    char detail[256];   /* for people: what went wrong, one line */
    mailbus_buf_t text; /* UTF-8, NFC, no control characters but LF and TAB; free it */
} extraction_t;

/* Any thread, several at a time. Never fails otherwise than by a status; ENOMEM and descriptors
 * that ran out are EAGAIN-like failures of this program, not of the file: not OK, try again later.
 */
MAILBUS_MUST_USE mailbus_code_t extractor_run(extractor_t *self, const void *data, size_t size,
                                              extraction_t *ret_extraction, mailbus_error_t *error);
void extraction_free(extraction_t *extraction);

#endif
