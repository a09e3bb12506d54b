/* Reading proto/vectors for the tests of the codec. */
#ifndef VECTORS_H
#define VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mailbus/json.h"

enum { FRAMES_MAX = 8 };

/* The frames of one vector, decoded from base64, each in a block of its own size so that
 * AddressSanitizer sees a byte read too many. */
typedef struct {
    mailbus_buf_t frame[FRAMES_MAX];
    size_t count;
} frames_t;

typedef mailbus_code_t decode_fn(const frames_t *frames, void **ret_thing, mailbus_error_t *error);
typedef void check_fn(const cJSON *vector, const frames_t *frames, void *thing);

/* proto/vectors/<name>.json; the caller deletes it. */
cJSON *vectors_read_file(const char *name);
/* Every valid vector decodes and is handed to `check`, which frees it; every invalid one is
 * refused with a printable text, and nothing comes back. `vectors` has both lists. */
void vectors_run(const char *name, const cJSON *vectors, decode_fn *decode, check_fn *check,
                 size_t at_least);
void vectors_run_file(const char *name, decode_fn *decode, check_fn *check, size_t at_least);
bool vectors_canonical(const cJSON *vector);
/* The memory ends where the frame ends; free(frame->data). */
void vectors_decode_frame(const char *base64, mailbus_buf_t *frame);
void vectors_assert_text(const char *found, const cJSON *expect, const char *key);
void vectors_assert_number(uint64_t found, const cJSON *expect, const char *key);
void vectors_assert_bytes(const mailbus_buf_t *found, const mailbus_buf_t *wanted);

#endif
