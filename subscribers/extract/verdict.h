/* What the end of an engine's process says about the file. Pure. */
#ifndef EXTRACT_VERDICT_H
#define EXTRACT_VERDICT_H

#include "extractor.h"
#include "sandbox.h"

typedef enum {
    VERDICT_OWN,     /* mailbus-extract-engine: statuses of engine_status.h */
    VERDICT_PROGRAM, /* any other: 0 is success, words on standard error tell the rest */
} verdict_engine_t;

/* EXTRACT_OK or EXTRACT_TRUNCATED where the output is to be looked at. `detail` (of `size` bytes)
 * gets one line, or "". */
extract_status_t verdict_of(const sandbox_result_t *result, verdict_engine_t engine, char *detail,
                            size_t size);

#endif
