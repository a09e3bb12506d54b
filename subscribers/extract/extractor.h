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
    int64_t max_file;          /* bytes; 25 MiB */
    int64_t max_memory;        /* bytes of address space of one process; 512 MiB */
    int64_t max_output;        /* bytes of text; 1 MiB */
    int64_t wall_ms;           /* 60 s, for all that is done with one file: then it is killed */
    int64_t cpu_s;             /* 60 s, of one process; a file takes three of them at most, with OCR
                                  two a page */
    int max_pages;             /* 500 */
    bool ocr;                  /* images and scans by tesseract, where it is installed */
    const char *ocr_languages; /* as tesseract takes them: "eng", "deu+eng" */
    const char *types;         /* path of the operator's table (types.h), or "" */
    const char *libexec;       /* folder of mailbus-extract-helper and -engine; "": where they are
                                  installed, seen from the running program, or beside it */
} extractor_options_t;

#define EXTRACTOR_DEFAULTS                                                                         \
    {                                                                                              \
        .max_file = 25LL << 20, .max_memory = 512LL << 20, .max_output = 1LL << 20,                \
        .wall_ms = 60000, .cpu_s = 60, .max_pages = 500, .ocr = true, .ocr_languages = "eng",      \
        .types = "", .libexec = ""                                                                 \
    }

typedef struct extractor extractor_t;

/* Checks that every mandatory layer of the sandbox works here, by trying it: where one does not,
 * EACCESS names it, and nothing is ever opened. EINVAL: options or the table. ENOTFOUND: the
 * helper, the engine or the table is not there. Options are copied. Takes about 0.2 s. */
MAILBUS_MUST_USE mailbus_code_t extractor_new(const extractor_options_t *options,
                                              extractor_t **ret_self, mailbus_error_t *error);
void extractor_destroy(extractor_t **self_p);
/* For the log at the start: "pdftotext 22.12.0, tesseract 5.3.0", and which of them are missing.
 * Lent. */
const char *extractor_engines(const extractor_t *self);

typedef struct {
    extract_status_t status;
    char type[96];      /* what the content is: "application/pdf"; "" where it was not looked at */
    char engine[64];    /* what read it: "pdftotext" */
    char version[64];   /* of the engine */
    int pages;          /* 0: has none, or not known */
    char detail[256];   /* for people: what went wrong, or what the engine grumbled; one line */
    mailbus_buf_t text; /* UTF-8, NFC, no control characters but LF and TAB; empty unless the status
                           is OK or TRUNCATED. data may be NULL; free it */
    int64_t wall_ms;    /* what it took */
    int64_t cpu_ms;
    int64_t peak_memory; /* bytes, of the largest process */
} extraction_t;

/* Any thread, several at a time. What is wrong with the file is a status. It fails only for reasons
 * that are not the file's: EAGAIN where memory, processes or descriptors ran out (try again later),
 * EACCESS where a layer can't be set up any more, ENOTFOUND where an engine has gone since the
 * start: in both nothing was opened, and a person is needed. */
MAILBUS_MUST_USE mailbus_code_t extractor_run(extractor_t *self, const void *data, size_t size,
                                              extraction_t *ret_extraction, mailbus_error_t *error);
void extraction_free(extraction_t *extraction);

#endif
