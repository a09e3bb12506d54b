/* One row of a file of suppressed addresses, from the values of its columns. */
#ifndef CLI_SUPPRESSION_ROW_H
#define CLI_SUPPRESSION_ROW_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "mailbus/error.h"

/* What a column holds. */
typedef enum {
    FIELD_ADDRESS,
    FIELD_REASON,
    FIELD_FIRST,
    FIELD_LAST,
    FIELD_CREATED,
    FIELD_COUNT,
    FIELD_AMBIGUOUS,
    FIELD_EVENT,
    FIELD_MESSAGE,
    FIELD_NOTE,
    FIELD_CODE,
    FIELD_ERROR,
    FIELD_TAGS,
    FIELDS,
} field_t;

/* `values`: "" where there is none. `assumed`: the reason of a row that names none. The row is as
 * suppression_file_next gives it. EINVAL with what is wrong about it. */
MAILBUS_MUST_USE mailbus_code_t suppression_row(const char *const values[FIELDS], size_t line,
                                                const char *assumed, cJSON **ret_row,
                                                mailbus_error_t *error);

#endif
