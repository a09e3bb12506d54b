#include "log_escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void mb_line_bytes(mb_line_t *line, const char *data, size_t size)
{
    if (line->full || size > line->capacity - line->size) {
        line->full = true;
        return;
    }
    memcpy(line->data + line->size, data, size);
    line->size += size;
}

void mb_line_text(mb_line_t *line, const char *text)
{
    mb_line_bytes(line, text, strlen(text));
}

bool mb_log_needs_quotes(const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
            return true;
        }
    }
    return size == 0;
}

/* The length of the well-formed UTF-8 character at `text` (RFC 3629) and its code point; 0 where
 * there is none. */
static size_t utf8_character(const unsigned char *text, size_t size, uint32_t *ret_point)
{
    static const struct {
        unsigned char mask, lead;
        size_t length;
        uint32_t least; /* below it the form is overlong */
    } forms[] = {
        {0x80, 0x00, 1, 0},
        {0xe0, 0xc0, 2, 0x80},
        {0xf0, 0xe0, 3, 0x800},
        {0xf8, 0xf0, 4, 0x10000},
    };
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        size_t length = forms[form].length;
        if ((text[0] & forms[form].mask) != forms[form].lead || length > size) {
            continue;
        }
        uint32_t point = text[0] & (unsigned char)~forms[form].mask;
        for (size_t at = 1; at < length; at++) {
            if ((text[at] & 0xc0) != 0x80) {
                return 0;
            }
            point = point << 6 | (text[at] & 0x3f);
        }
        bool surrogate = point >= 0xd800 && point <= 0xdfff;
        if (point < forms[form].least || point > 0x10ffff || surrogate) {
            return 0;
        }
        *ret_point = point;
        return length;
    }
    return 0;
}

static bool is_harmless(uint32_t point)
{
    if (point < 0x20 || (point >= 0x7f && point < 0xa0)) { /* C0, DEL, C1 */
        return false;
    }
    if ((point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
        (point >= 0x2060 && point <= 0x206f) || point == 0xfeff) { /* unseen, or turns the text */
        return false;
    }
    return point != 0x061c;
}

static void escape_one(uint32_t point, const char *bytes, size_t length, mb_line_t *line)
{
    char text[16];
    if (point == '"' || point == '\\') {
        snprintf(text, sizeof text, "\\%c", (char)point);
    } else if (point == '\n' || point == '\t' || point == '\r') {
        snprintf(text, sizeof text, "\\%c", point == '\n' ? 'n' : point == '\t' ? 't' : 'r');
    } else if (is_harmless(point)) {
        mb_line_bytes(line, bytes, length);
        return;
    } else {
        snprintf(text, sizeof text, "\\u%04x", (unsigned)point); /* all of them are below 0x10000 */
    }
    mb_line_text(line, text);
}

void mb_log_escape(const char *text, size_t size, size_t most, mb_line_t *line)
{
    size_t at = 0;
    while (at < size && at < most) {
        uint32_t point = 0;
        size_t length = utf8_character((const unsigned char *)text + at, size - at, &point);
        if (length > 0) {
            escape_one(point, text + at, length, line);
            at += length;
        } else {
            char hex[8];
            snprintf(hex, sizeof hex, "\\\\x%02x", (unsigned)(unsigned char)text[at]);
            mb_line_text(line, hex);
            at++;
        }
    }
    if (at < size) {
        mb_line_text(line, MB_LOG_CUT);
    }
}
