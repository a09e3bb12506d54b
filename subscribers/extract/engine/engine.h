/* The engines of our own: one file in memory in, text out. They run inside the sandbox and trust
 * nothing in the file; what they print is checked again outside (clean.h).
 *
 * Every engine writes UTF-8 to `out`, and one line about what is wrong to `why` where it does not
 * return ENGINE_OK. What was written before that stays written. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine_status.h"
#include "mailbus/buf.h"

typedef struct {
    const unsigned char *data;
    size_t size;
} engine_input_t;

typedef engine_status_t(engine_fn)(const engine_input_t *input, FILE *out, mailbus_error_t *why);

/* What the content is: its media type, one line. ENGINE_OK always for a file that can be looked at;
 * ENGINE_ENCRYPTED or ENGINE_CORRUPT beside the type where that shows already. */
engine_fn engine_kind;
engine_fn engine_text; /* text/plain: its character set is found out */
engine_fn engine_html;
engine_fn engine_docx; /* word/…: paragraphs, tables, notes, headers and footers */
engine_fn engine_xlsx; /* xl/…: a line a row, cells with tabs between */
engine_fn engine_pptx; /* ppt/…: the slides in their order */
engine_fn engine_odf;  /* OpenDocument text, spreadsheet, presentation */

/* Fill `why` and return `status`, so that a failure is one line. */
engine_status_t engine_fail(mailbus_error_t *why, engine_status_t status, const char *format, ...)
    MAILBUS_PRINTF(3, 4);

#endif
