#include "agentmail/text.h"

#include <string.h>

enum { MAX_UTF8 = 4 };

/* One character of UTF-8 (RFC 3629) at `p`: its size, or 0 where there is none. */
static size_t utf8_decode(const unsigned char *p, size_t size, uint32_t *ret_code)
{
    static const uint32_t least[MAX_UTF8 + 1] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80           ? 1
                    : (p[0] >> 5) == 0x6  ? 2
                    : (p[0] >> 4) == 0xE  ? 3
                    : (p[0] >> 3) == 0x1E ? 4
                                          : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    uint32_t code = length == 1 ? p[0] : p[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        code = (code << 6) | (p[i] & 0x3Fu);
    }
    if (length > 1 && (code < least[length] || code > 0x10FFFF || (code >> 11) == 0x1B)) {
        return 0;
    }
    *ret_code = code;
    return length;
}

/* Blanks, and what must not reach a line: it becomes one. */
static bool is_blank(uint32_t code)
{
    return code <= 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0xA0 || code == 0x61C ||
           (code >= 0x200E && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void agentmail_text_line(const char *text, size_t size, size_t max, mailbus_buf_t *out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t written = 0;
    bool blank = false; /* one is owed before the next character */
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t code = 0xFFFD;
        const char *bytes = text + at;
        length = utf8_decode(p + at, size - at, &code);
        size_t width = length;
        if (length == 0) {
            length = 1;
            bytes = "\xEF\xBF\xBD";
            width = 3;
        }
        if (is_blank(code)) {
            blank = written > 0;
            continue;
        }
        if (max != 0 && written + width + (blank ? 1 : 0) > max) {
            return;
        }
        if (blank) {
            mailbus_buf_char(out, ' ');
            written++;
            blank = false;
        }
        mailbus_buf_append(out, bytes, width);
        written += width;
    }
}

size_t agentmail_text_next(const char *text, size_t size, uint32_t *ret_code)
{
    size_t length = utf8_decode((const unsigned char *)text, size, ret_code);
    if (length == 0) {
        *ret_code = 0xFFFD;
        length = 1;
    }
    return length;
}

/* What a block of text leaves out: controls and invisible marks. Blanks of all widths stay. */
static bool is_dropped(uint32_t code)
{
    return code != '\n' && code != '\t' && code != ' ' && code != 0xA0 && is_blank(code);
}

bool agentmail_text_block(const char *text, size_t size, size_t max, mailbus_buf_t *out)
{
    size_t start = out->size;
    size_t end = 0; /* written bytes up to the last one that is no white space */
    size_t written = 0;
    bool cut = false;
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t code = 0;
        length = agentmail_text_next(text + at, size - at, &code);
        bool line_end = code == '\r' && (at + 1 == size || text[at + 1] != '\n');
        const char *bytes = code == 0xFFFD ? "\xEF\xBF\xBD" : line_end ? "\n" : text + at;
        size_t width = code == 0xFFFD ? 3 : length;
        if (!line_end && is_dropped(code)) {
            continue;
        }
        if (max != 0 && written + width > max) {
            cut = true;
            break;
        }
        mailbus_buf_append(out, bytes, width);
        written += width;
        end = line_end || code <= ' ' ? end : written;
    }
    if (!out->failed && out->data != NULL) {
        out->size = start + end;
        out->data[out->size] = '\0';
    }
    return cut;
}

char agentmail_text_lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        c = (char)(c - 'A' + 'a');
    }
    return c;
}

/* How many bytes of `prefix` stand at the beginning of `text`. */
static size_t same(const char *text, const char *prefix)
{
    size_t i = 0;
    while (prefix[i] != '\0' && agentmail_text_lower(text[i]) == agentmail_text_lower(prefix[i])) {
        i++;
    }
    return i;
}

bool agentmail_text_equal(const char *a, const char *b)
{
    size_t size = strlen(b);
    return same(a, b) == size && a[size] == '\0';
}

bool agentmail_text_starts(const char *text, const char *prefix)
{
    return same(text, prefix) == strlen(prefix);
}

bool agentmail_text_contains(const char *text, const char *needle)
{
    for (;; text++) {
        if (agentmail_text_starts(text, needle)) {
            return true;
        }
        if (*text == '\0') {
            return false;
        }
    }
}
