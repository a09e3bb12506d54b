#include "mailbus/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

/* Make room for `more` bytes and the NUL. */
static bool reserve(mailbus_buf_t *buf, size_t more)
{
    if (buf->failed) {
        return false;
    }
    if (more > SIZE_MAX / 2 - buf->size - 1 ||
        (buf->limit != 0 && (buf->size > buf->limit || more > buf->limit - buf->size))) {
        buf->failed = true;
        return false;
    }
    size_t needed = buf->size + more + 1;
    if (needed <= buf->capacity) {
        return true;
    }
    size_t capacity = buf->capacity == 0 ? FIRST_CAPACITY : buf->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void mailbus_buf_clear(mailbus_buf_t *buf)
{
    buf->size = 0;
    buf->failed = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

void mailbus_buf_free(mailbus_buf_t *buf)
{
    free(buf->data);
    *buf = (mailbus_buf_t)MAILBUS_BUF_INIT;
}

void mailbus_buf_append(mailbus_buf_t *buf, const void *data, size_t size)
{
    if (!reserve(buf, size)) {
        return;
    }
    if (size > 0) {
        memcpy(buf->data + buf->size, data, size);
    }
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void mailbus_buf_text(mailbus_buf_t *buf, const char *text)
{
    mailbus_buf_append(buf, text, strlen(text));
}

void mailbus_buf_char(mailbus_buf_t *buf, char c)
{
    mailbus_buf_append(buf, &c, 1);
}

void mailbus_buf_u64(mailbus_buf_t *buf, uint64_t number)
{
    char digits[20]; /* 2^64 has twenty */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    mailbus_buf_append(buf, digits + at, sizeof digits - at);
}

void mailbus_buf_printf(mailbus_buf_t *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        buf->failed = true;
    } else if (reserve(buf, (size_t)size)) {
        vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
}

char *mailbus_buf_take(mailbus_buf_t *buf, size_t *ret_size)
{
    if (buf->failed || buf->data == NULL) {
        mailbus_buf_free(buf);
        return NULL;
    }
    char *data = buf->data;
    if (ret_size != NULL) {
        *ret_size = buf->size;
    }
    *buf = (mailbus_buf_t)MAILBUS_BUF_INIT;
    return data;
}
