#include "clean.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "agentmail/text.h"

enum {
    MAX_MARKS = 30,      /* combining characters in a row, UAX #15 §13 */
    MAX_EMPTY_LINES = 2, /* one is a paragraph, two are a page */
    REPLACEMENT = 0xFFFD,
    BYTE_ORDER_MARK = 0xFEFF,
};

/* Where the writing of text stands. */
typedef struct {
    mailbus_buf_t *out;
    size_t marks;    /* combining characters in a row */
    size_t newlines; /* owed before the next character */
    size_t blanks;   /* owed too, unless a line ends first */
    bool cr;         /* the last one was CR: LF behind it is the same end */
} writer_t;

static void put(writer_t *writer, utf8proc_int32_t code)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t size = utf8proc_encode_char(code, bytes);
    size_t most = MAX_EMPTY_LINES + 1;
    if (writer->out->size > 0) {
        for (size_t n = writer->newlines < most ? writer->newlines : most; n > 0; n--) {
            mailbus_buf_char(writer->out, '\n');
        }
    }
    for (; writer->blanks > 0; writer->blanks--) {
        mailbus_buf_char(writer->out, ' ');
    }
    writer->newlines = 0;
    mailbus_buf_append(writer->out, bytes, (size_t)size);
}

static void put_line_end(writer_t *writer)
{
    writer->newlines++;
    writer->blanks = 0;
}

/* Every character that ends a line, whatever else it does. */
static bool is_line_end(utf8proc_int32_t code)
{
    return (code >= '\n' && code <= '\r') || code == 0x85 || code == 0x2028 || code == 0x2029;
}

static void take(writer_t *writer, utf8proc_int32_t code)
{
    bool behind_cr = writer->cr && code == '\n';
    writer->cr = code == '\r';
    if (is_line_end(code)) {
        if (!behind_cr) {
            put_line_end(writer);
        }
        return;
    }
    if (code == ' ') {
        writer->blanks++;
        writer->marks = 0;
        return;
    }
    if ((code < ' ' && code != '\t') || (code >= 0x7F && code < 0xA0) || code == BYTE_ORDER_MARK) {
        return;
    }
    if (code >= 0x300 && utf8proc_get_property(code)->combining_class != 0) {
        writer->marks++;
        if (writer->marks > MAX_MARKS) {
            return;
        }
    } else {
        writer->marks = 0;
    }
    put(writer, code);
}

static void filter(const char *data, size_t size, mailbus_buf_t *out)
{
    writer_t writer = {.out = out};
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)data;
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t length =
            utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(size - at), &code);
        if (length <= 0) {
            code = REPLACEMENT;
            length = 1;
        }
        take(&writer, code);
        at += (size_t)length;
    }
}

/* The largest size up to `max` that cuts no character in two. */
static size_t cut(const char *text, size_t size, size_t max)
{
    if (size <= max) {
        return size;
    }
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80) {
        max--;
    }
    return max;
}

/* Append one line, its end included, in NFC. What ends a line combines with nothing, so that lines
 * can be composed one by one. */
static mailbus_code_t compose(const char *line, size_t size, mailbus_buf_t *out,
                              mailbus_error_t *error)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)line, (utf8proc_ssize_t)size,
                                           &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (length < 0) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "%s", utf8proc_errmsg(length));
    }
    mailbus_buf_append(out, composed, (size_t)length);
    free(composed);
    return out->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
}

mailbus_code_t clean_text(const char *data, size_t size, size_t max, mailbus_buf_t *out,
                          bool *ret_cut, mailbus_error_t *error)
{
    mailbus_buf_t filtered = MAILBUS_BUF_INIT;
    size_t before = out->size;
    filter(data, size, &filtered);
    mailbus_code_t code =
        filtered.failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
    for (size_t at = 0; code == MAILBUS_OK && at < filtered.size && out->size - before <= max;) {
        const char *line = filtered.data + at;
        const char *end = memchr(line, '\n', filtered.size - at);
        size_t length = end != NULL ? (size_t)(end - line) + 1 : filtered.size - at;
        code = compose(line, length, out, error);
        at += length;
    }
    mailbus_buf_free(&filtered);
    if (code != MAILBUS_OK) {
        return code;
    }
    size_t total = out->size - before;
    *ret_cut = total > max;
    if (*ret_cut) {
        out->size = before + cut(out->data + before, total, max);
        out->data[out->size] = '\0';
    }
    return MAILBUS_OK;
}

void clean_line(const char *data, size_t data_size, char *text, size_t size)
{
    text[0] = '\0';
    while (data_size > 0) {
        const char *end = memchr(data, '\n', data_size);
        size_t line = end != NULL ? (size_t)(end - data) : data_size;
        mailbus_buf_t out = MAILBUS_BUF_INIT;
        agentmail_text_line(data, line, size - 1, &out);
        if (out.size > 0 && !out.failed) {
            memcpy(text, out.data, out.size);
            text[out.size] = '\0';
            mailbus_buf_free(&out);
            return;
        }
        mailbus_buf_free(&out);
        data += end != NULL ? line + 1 : line;
        data_size -= end != NULL ? line + 1 : line;
    }
}
