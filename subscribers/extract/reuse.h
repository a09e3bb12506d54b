/* The same bytes are read once: which earlier result still holds. Pure functions. */
#ifndef EXTRACT_REUSE_H
#define EXTRACT_REUSE_H

#include "archive.h"

/* A digest of everything that could make another result of the same bytes: limits, OCR, engines
 * with their versions (extractor_engines), the operator's table (its content, may be ""). ENOMEM.
 */
MAILBUS_MUST_USE mailbus_code_t reuse_setup(const extractor_options_t *options, const char *engines,
                                            const char *table, char ret_setup[ARCHIVE_SHA256_SIZE],
                                            mailbus_error_t *error);

/* Text that was found stays, whatever engines there are by now. Everything else is tried anew under
 * another setup; running out of time or memory, which may be the machine's fault and not the
 * file's, also `again_after_ms` later. */
bool reuse_holds(const document_t *document, const char *setup, int64_t again_after_ms,
                 int64_t now_ms);

#endif
