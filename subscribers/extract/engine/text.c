/* Text whose character set nobody tells: by its marks, else UTF-8 where all of it is, else what
 * HTML's standard takes for it, Windows-1252 (a superset of Latin-1's printable part). */
#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "engine.h"
#include "mailbus/json.h"
#include "text.h"

#define REPLACEMENT 0xFFFD

enum { PIECE = 8192 };

/* Windows-1252 from 0x80 to 0x9F (encoding.spec.whatwg.org/index-windows-1252.txt); the five that
 * it does not have are C1 controls there, and are lost here. */
static const uint16_t windows_1252[32] = {
    0x20AC,      REPLACEMENT, 0x201A, 0x0192, 0x201E, 0x2026,      0x2020, 0x2021,
    0x02C6,      0x2030,      0x0160, 0x2039, 0x0152, REPLACEMENT, 0x017D, REPLACEMENT,
    REPLACEMENT, 0x2018,      0x2019, 0x201C, 0x201D, 0x2022,      0x2013, 0x2014,
    0x02DC,      0x2122,      0x0161, 0x203A, 0x0153, REPLACEMENT, 0x017E, 0x0178,
};

void text_put(FILE *out, uint32_t code)
{
    if (code < 0x80) {
        putc_unlocked((int)code, out);
        return;
    }
    utf8proc_uint8_t bytes[4];
    utf8proc_int32_t checked =
        utf8proc_codepoint_valid((utf8proc_int32_t)code) ? (utf8proc_int32_t)code : REPLACEMENT;
    fwrite_unlocked(bytes, 1, (size_t)utf8proc_encode_char(checked, bytes), out);
}

text_charset_t text_charset(const engine_input_t *input, size_t *ret_mark)
{
    static const struct {
        const char *mark;
        size_t size;
        text_charset_t charset;
    } marks[] = {
        {"\xEF\xBB\xBF", 3, TEXT_UTF_8},     {"\xFF\xFE\0\0", 4, TEXT_UTF_32_LE},
        {"\0\0\xFE\xFF", 4, TEXT_UTF_32_BE}, {"\xFF\xFE", 2, TEXT_UTF_16_LE},
        {"\xFE\xFF", 2, TEXT_UTF_16_BE},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (input->size >= marks[i].size &&
            memcmp(input->data, marks[i].mark, marks[i].size) == 0) {
            *ret_mark = marks[i].size;
            return marks[i].charset;
        }
    }
    *ret_mark = 0;
    return mailbus_utf8_valid((const char *)input->data, input->size) ? TEXT_UTF_8
                                                                      : TEXT_WINDOWS_1252;
}

static void put_utf8(const unsigned char *data, size_t size, FILE *out)
{
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t length = utf8proc_iterate(data + at, (utf8proc_ssize_t)(size - at), &code);
        text_put(out, length > 0 ? (uint32_t)code : REPLACEMENT);
        at += length > 0 ? (size_t)length : 1;
    }
}

static uint32_t unit(const unsigned char *at, size_t width, bool little)
{
    uint32_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = (value << 8) | at[little ? width - 1 - i : i];
    }
    return value;
}

static void put_wide(const unsigned char *data, size_t size, size_t width, bool little, FILE *out)
{
    for (size_t at = 0; at + width <= size; at += width) {
        uint32_t code = unit(data + at, width, little);
        if (width == 2 && (code & 0xFC00) == 0xD800 && at + 4 <= size) {
            uint32_t low = unit(data + at + 2, width, little);
            if ((low & 0xFC00) == 0xDC00) {
                code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF);
                at += width;
            }
        }
        text_put(out, code <= 0x10FFFF ? code : REPLACEMENT);
    }
}

static void put_windows_1252(const unsigned char *data, size_t size, FILE *out)
{
    for (size_t i = 0; i < size; i++) {
        text_put(out, data[i] >= 0x80 && data[i] < 0xA0 ? windows_1252[data[i] - 0x80] : data[i]);
    }
}

void text_put_all(const engine_input_t *input, FILE *out)
{
    size_t mark;
    text_charset_t charset = text_charset(input, &mark);
    const unsigned char *data = input->data + mark;
    size_t size = input->size - mark;
    switch (charset) {
    case TEXT_UTF_8:
        put_utf8(data, size, out);
        break;
    case TEXT_UTF_16_LE:
    case TEXT_UTF_16_BE:
        put_wide(data, size, 2, charset == TEXT_UTF_16_LE, out);
        break;
    case TEXT_UTF_32_LE:
    case TEXT_UTF_32_BE:
        put_wide(data, size, 4, charset == TEXT_UTF_32_LE, out);
        break;
    case TEXT_WINDOWS_1252:
    default:
        put_windows_1252(data, size, out);
        break;
    }
}

bool text_put_named(const engine_input_t *input, const char *name, FILE *out)
{
    iconv_t converter = iconv_open("UTF-8", name);
    if (converter == (iconv_t)-1) { /* NOLINT(performance-no-int-to-ptr) */
        return false;
    }
    char *from = (char *)input->data; /* iconv does not write there */
    size_t left = input->size;
    while (left > 0) {
        char piece[PIECE], *to = piece;
        size_t room = sizeof piece;
        size_t result = iconv(converter, &from, &left, &to, &room);
        fwrite_unlocked(piece, 1, sizeof piece - room, out);
        if (result == (size_t)-1 && errno != E2BIG) { /* a byte that is none, or a cut character */
            text_put(out, REPLACEMENT);
            from++;
            left--;
        }
    }
    iconv_close(converter);
    return true;
}

engine_status_t engine_text(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    text_put_all(input, out);
    return ferror(out) ? engine_fail(why, ENGINE_IO, "the text can't be written") : ENGINE_OK;
}
