#include "content.h"

#include <stdlib.h>
#include <string.h>

#include "encoding.h"

mailbus_code_t content_decode(const char *base64, size_t limit, mailbus_buf_t *out,
                              mailbus_error_t *error)
{
    size_t size = strlen(base64);
    size_t padding = size > 0 && base64[size - 1] == '=' ? 1 : 0;
    padding += size > 1 && base64[size - 2] == '=' ? 1 : 0;
    if (size % 4 != 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "its content is not base64");
    }
    size_t bytes = size / 4 * 3 - padding;
    if (bytes > limit) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "%zu bytes, and %zu is the limit", bytes,
                            limit);
    }
    uint8_t *data = malloc(bytes + 1);
    if (data == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    size_t decoded = 0;
    size_t before = out->size;
    mailbus_code_t code = mb_base64_decode(base64, size, data, bytes, &decoded);
    if (code != MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "its content is not base64");
    } else {
        mailbus_buf_append(out, data, decoded);
        if (out->failed) {
            out->size = before;
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
    }
    free(data);
    return code;
}
