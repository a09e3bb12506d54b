/* A growing byte buffer.
 *
 * Appending never fails at the call: the first failure (no memory, over the limit) is kept in
 * `failed` and later appends do nothing, so that a writer checks once, at the end. The bytes are
 * always followed by a NUL that does not count in `size` (except while data is NULL). */
#ifndef MAILBUS_BUF_H
#define MAILBUS_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbus/error.h"

typedef struct {
    char *data;      /* NULL until the first append */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated, the NUL's included */
    size_t limit;    /* most bytes it may hold; 0: no limit */
    bool failed;     /* an append did not fit or there was no memory */
} mailbus_buf_t;

#define MAILBUS_BUF_INIT                                                                           \
    {                                                                                              \
        NULL, 0, 0, 0, false                                                                       \
    }

void mailbus_buf_clear(mailbus_buf_t *buf); /* size 0, failed false; the memory is kept */
void mailbus_buf_free(mailbus_buf_t *buf);  /* as MAILBUS_BUF_INIT; takes half-made ones */
void mailbus_buf_append(mailbus_buf_t *buf, const void *data, size_t size);
void mailbus_buf_text(mailbus_buf_t *buf, const char *text);
void mailbus_buf_char(mailbus_buf_t *buf, char c);
void mailbus_buf_u64(mailbus_buf_t *buf, uint64_t number); /* decimal */
void mailbus_buf_printf(mailbus_buf_t *buf, const char *format, ...) MAILBUS_PRINTF(2, 3);
/* Hand the bytes over: the caller frees them with free(); the buffer is empty again. NULL where it
 * failed or nothing was ever appended. */
char *mailbus_buf_take(mailbus_buf_t *buf, size_t *ret_size);

#endif
