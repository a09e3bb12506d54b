#include "mime.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "mailbus/json.h"
#include "memory.h"

static int base64_value(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

void mime_base64(const char *data, size_t size, mailbus_buf_t *out)
{
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t at = 0; at < size && data[at] != '='; at++) {
        int value = base64_value(data[at]);
        if (value < 0) {
            continue;
        }
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            mailbus_buf_char(out, (char)(bits >> held));
        }
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

void mime_quoted_printable(const char *data, size_t size, bool word, mailbus_buf_t *out)
{
    for (size_t at = 0; at < size; at++) {
        if (word && data[at] == '_') {
            mailbus_buf_char(out, ' ');
            continue;
        }
        if (data[at] != '=') {
            mailbus_buf_char(out, data[at]);
            continue;
        }
        int high = size - at > 2 ? hex_value(data[at + 1]) : -1;
        int low = size - at > 2 ? hex_value(data[at + 2]) : -1;
        if (high >= 0 && low >= 0) {
            mailbus_buf_char(out, (char)(high << 4 | low));
            at += 2;
            continue;
        }
        size_t blank = at + 1; /* a soft line break: blanks may stand before its end */
        while (blank < size && (data[blank] == ' ' || data[blank] == '\t')) {
            blank++;
        }
        if (blank < size && data[blank] == '\r') {
            blank++;
        }
        if (blank < size && data[blank] == '\n') {
            at = blank;
        } else if (blank >= size) {
            at = size;
        } else {
            mailbus_buf_char(out, '='); /* no escape after all */
        }
    }
}

/* Append without NULs: they would cut every C string the text becomes. */
static void append_text(const char *data, size_t size, mailbus_buf_t *out)
{
    for (size_t at = 0; at < size; at++) {
        if (data[at] != '\0') {
            mailbus_buf_char(out, data[at]);
        }
    }
}

static void latin1_to_utf8(const char *data, size_t size, mailbus_buf_t *out)
{
    for (size_t at = 0; at < size; at++) {
        unsigned char c = (unsigned char)data[at];
        if (c >= 0x80) {
            mailbus_buf_char(out, (char)(0xc0 | c >> 6));
            mailbus_buf_char(out, (char)(0x80 | (c & 0x3f)));
        } else if (c != '\0') {
            mailbus_buf_char(out, (char)c);
        }
    }
}

void mime_to_utf8(const char *charset, const char *data, size_t size, mailbus_buf_t *out)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    bool utf8 = charset == NULL || strcasecmp(charset, "utf-8") == 0 ||
                strcasecmp(charset, "us-ascii") == 0;
    if (utf8 && mailbus_utf8_valid(data, size)) {
        append_text(data, size, out);
        return;
    }
    iconv_t converter = iconv_open("UTF-8", charset != NULL ? charset : "UTF-8");
    if (converter == (iconv_t)-1) { /* not equal to any pointer: POSIX's word for failure */
        latin1_to_utf8(data, size, out);
        return;
    }
    char *from = (char *)(uintptr_t)data; /* iconv's prototype lacks a const */
    while (size > 0) {
        char piece[1024];
        char *to = piece;
        size_t room = sizeof piece;
        size_t result = iconv(converter, &from, &size, &to, &room);
        int failed = errno;
        append_text(piece, sizeof piece - room, out);
        if (result == (size_t)-1 && failed != E2BIG && size > 0) {
            mailbus_buf_text(out, replacement);
            from++;
            size--;
        }
    }
    iconv_close(converter);
}

/* One encoded word, =?charset?B|Q?text?=, at `value`: how many bytes it takes, 0: it is none. */
static size_t decode_word(const char *value, size_t size, mailbus_buf_t *out)
{
    enum { WORD_MAX = 1000 }; /* RFC 2047 says 75; programs are careless */
    const char *end = value + (size > WORD_MAX ? WORD_MAX : size);
    const char *charset = value + 2;
    if (end - value < 8 || memcmp(value, "=?", 2) != 0) {
        return 0;
    }
    const char *first = memchr(charset, '?', (size_t)(end - charset));
    if (first == NULL || end - first < 4 || first[2] != '?') {
        return 0;
    }
    const char *text = first + 3;
    const char *last = memchr(text, '?', (size_t)(end - text));
    if (last == NULL || last + 1 >= end || last[1] != '=') {
        return 0;
    }
    char name[64];
    size_t name_size = strcspn(charset, "?*"); /* RFC 2231 may add a language */
    if (name_size == 0 || name_size >= sizeof name || charset + name_size > first) {
        return 0;
    }
    memcpy(name, charset, name_size);
    name[name_size] = '\0';
    mailbus_buf_t bytes = MAILBUS_BUF_INIT;
    bool base64 = first[1] == 'B' || first[1] == 'b';
    if (!base64 && first[1] != 'Q' && first[1] != 'q') {
        return 0;
    }
    if (base64) {
        mime_base64(text, (size_t)(last - text), &bytes);
    } else {
        mime_quoted_printable(text, (size_t)(last - text), true, &bytes);
    }
    mime_to_utf8(name, bytes.data != NULL ? bytes.data : "", bytes.size, out);
    mailbus_buf_free(&bytes);
    return (size_t)(last + 2 - value);
}

char *mime_header_text(const char *value, size_t size)
{
    mailbus_buf_t utf8 = MAILBUS_BUF_INIT;
    mailbus_buf_t decoded = MAILBUS_BUF_INIT;
    mailbus_buf_text(&utf8, "");
    mailbus_buf_text(&decoded, "");
    mime_to_utf8("utf-8", value, size, &utf8);
    for (size_t at = 0; at < utf8.size;) {
        size_t taken = decode_word(utf8.data + at, utf8.size - at, &decoded);
        if (taken > 0) {
            at += taken;
            size_t blanks = strspn(utf8.data + at, " \t"); /* blanks between two words vanish */
            if (blanks > 0 && strncmp(utf8.data + at + blanks, "=?", 2) == 0) {
                mailbus_buf_t probe = MAILBUS_BUF_INIT;
                at += decode_word(utf8.data + at + blanks, utf8.size - at - blanks, &probe) > 0
                          ? blanks
                          : 0;
                mailbus_buf_free(&probe);
            }
        } else {
            mailbus_buf_char(&decoded, utf8.data[at++]);
        }
    }
    for (size_t at = 0; at < decoded.size; at++) {
        unsigned char c = (unsigned char)decoded.data[at];
        if (c < 0x20 || c == 0x7f) { /* an encoded line break is a header to be, elsewhere */
            decoded.data[at] = ' ';
        }
    }
    mailbus_buf_free(&utf8);
    return mailbus_buf_take(&decoded, NULL);
}

/* The text of a value up to the next ; outside quotes; quotes and their backslashes removed. */
static const char *read_value(const char *at, mailbus_buf_t *out)
{
    bool quoted = false;
    for (; *at != '\0' && (quoted || *at != ';'); at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (quoted && *at == '\\' && at[1] != '\0') {
            mailbus_buf_char(out, *++at);
        } else {
            mailbus_buf_char(out, *at);
        }
    }
    while (!quoted && out->size > 0 && out->data[out->size - 1] == ' ') {
        out->data[--out->size] = '\0';
    }
    return at;
}

/* charset'language'percent-encoded (RFC 2231 §4). */
static char *decode_extended(const char *text)
{
    const char *first = strchr(text, '\'');
    const char *second = first != NULL ? strchr(first + 1, '\'') : NULL;
    mailbus_buf_t bytes = MAILBUS_BUF_INIT;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    if (second == NULL ||
        mb_url_decode(second + 1, strlen(second + 1), false, &bytes) != MAILBUS_OK) {
        mailbus_buf_text(&out, text);
    } else {
        char *charset = memory_copy(text, (size_t)(first - text));
        mime_to_utf8(charset, bytes.data != NULL ? bytes.data : "", bytes.size, &out);
        free(charset);
    }
    mailbus_buf_free(&bytes);
    return mailbus_buf_take(&out, NULL);
}

char *mime_parameter(const char *value, const char *name)
{
    size_t size = strlen(name);
    const char *at = strchr(value, ';');
    while (at != NULL && *at == ';') {
        at++;
        at += strspn(at, " \t");
        bool extended = strncasecmp(at, name, size) == 0 && at[size] == '*' && at[size + 1] == '=';
        bool plain = strncasecmp(at, name, size) == 0 && at[size] == '=';
        mailbus_buf_t text = MAILBUS_BUF_INIT;
        mailbus_buf_text(&text, "");
        const char *equals = at + strcspn(at, "=;");
        at = read_value(*equals == '=' ? equals + 1 : equals, &text);
        if (plain || extended) {
            char *decoded =
                extended ? decode_extended(text.data) : mime_header_text(text.data, text.size);
            mailbus_buf_free(&text);
            return decoded;
        }
        mailbus_buf_free(&text);
    }
    return NULL;
}
