/* RFC 8259's grammar without recursion and without memory: what passes here means the same to every
 * reader. cJSON behind it then fails for want of memory only. */
#include "json_scan.h"

#include <stdint.h>
#include <string.h>

#include "mailbus/json.h"
#include "utf8.h"

/* cJSON copies a number into 64 bytes, the NUL's included, and cuts what is longer. */
enum { NUMBER_MAX = 63 };

/* What may come next. */
typedef enum {
    WANT_VALUE,
    WANT_VALUE_OR_END, /* behind '[' */
    WANT_KEY,
    WANT_KEY_OR_END, /* behind '{' */
    WANT_COLON,
    WANT_COMMA_OR_END,
    WANT_NOTHING, /* the document is complete */
} want_t;

typedef struct {
    const unsigned char *data;
    size_t size;
    size_t at;
    want_t want;
    int depth;
    uint64_t objects; /* bit n: level n + 1 is an object, else an array */
    const char *wrong;
} scan_t;

_Static_assert(MAILBUS_JSON_MAX_DEPTH <= 64, "one bit for every level");

static bool fail(scan_t *scan, const char *wrong)
{
    scan->wrong = wrong;
    return false;
}

static bool in_object(const scan_t *scan)
{
    return scan->depth > 0 && (scan->objects >> (scan->depth - 1) & 1) != 0;
}

static bool wants_value(const scan_t *scan)
{
    return scan->want == WANT_VALUE || scan->want == WANT_VALUE_OR_END;
}

static const char *what_is_missing(const scan_t *scan)
{
    switch (scan->want) {
    case WANT_VALUE:
    case WANT_VALUE_OR_END:
        return "a value is missing";
    case WANT_KEY:
    case WANT_KEY_OR_END:
        return "a key is missing";
    case WANT_COLON:
        return "a colon is missing";
    case WANT_COMMA_OR_END:
        return "a comma or a closing bracket is missing";
    case WANT_NOTHING:
        break;
    }
    return "something follows the document";
}

static void value_done(scan_t *scan)
{
    scan->want = scan->depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_END;
}

/* Four hex digits at `at`; -1 where they are not. */
static int hex4(const unsigned char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned char c = at[i];
        const int digit = c >= '0' && c <= '9'                     ? c - '0'
                          : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                   : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* At the backslash of \uXXXX, to behind it or behind the pair. */
static bool scan_unicode_escape(scan_t *scan)
{
    const unsigned char *at = scan->data + scan->at;
    const size_t left = scan->size - scan->at;
    const int code = left >= 6 ? hex4(at + 2) : -1;
    if (code < 0) {
        return fail(scan, "a \\u escape is malformed");
    }
    if (code == 0) {
        return fail(scan, "\\u0000 is not allowed");
    }
    if (code < 0xd800 || code > 0xdfff) {
        scan->at += 6;
        return true;
    }
    const int low = left >= 12 && at[6] == '\\' && at[7] == 'u' ? hex4(at + 8) : -1;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return fail(scan, "a surrogate has no partner");
    }
    scan->at += 12;
    return true;
}

static bool scan_escape(scan_t *scan)
{
    const unsigned char c = scan->size - scan->at >= 2 ? scan->data[scan->at + 1] : '\0';
    if (c == 'u') {
        return scan_unicode_escape(scan);
    }
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
        return fail(scan, "an escape is malformed");
    }
    scan->at += 2;
    return true;
}

/* True where none of these eight bytes needs a look inside a string: no control character, quote,
 * backslash, or byte from 0x80 on. Subtracting from each byte at once borrows into the next only
 * where there is something to find. */
static bool eight_plain(const unsigned char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t w;
    memcpy(&w, at, sizeof w);
    const uint64_t found =
        w | (w - ones * 0x20) | ((w ^ ones * '"') - ones) | ((w ^ ones * '\\') - ones);
    return (found & ones * 0x80) == 0;
}

/* To the next byte of a string that needs a look, or to the end. */
static void skip_plain(scan_t *scan)
{
    const unsigned char *at = scan->data + scan->at;
    const unsigned char *end = scan->data + scan->size;
    while (end - at >= 8 && eight_plain(at)) {
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    scan->at = (size_t)(at - scan->data);
}

/* From behind the opening quote to behind the closing one. */
static bool scan_string(scan_t *scan)
{
    for (skip_plain(scan); scan->at < scan->size; skip_plain(scan)) {
        const unsigned char c = scan->data[scan->at];
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c == '\\') {
            if (!scan_escape(scan)) {
                return false;
            }
        } else if (c < 0x20) {
            return fail(scan, "a control character stands in a string");
        } else {
            const size_t length = proto_utf8_sequence(scan->data + scan->at, scan->size - scan->at);
            if (length == 0) {
                return fail(scan, "a string is not UTF-8");
            }
            scan->at += length;
        }
    }
    return fail(scan, "a string has no end");
}

static bool scan_text(scan_t *scan)
{
    const bool key = scan->want == WANT_KEY || scan->want == WANT_KEY_OR_END;
    if (!key && !wants_value(scan)) {
        return fail(scan, what_is_missing(scan));
    }
    scan->at++;
    if (!scan_string(scan)) {
        return false;
    }
    if (key) {
        scan->want = WANT_COLON;
    } else {
        value_done(scan);
    }
    return true;
}

/* One digit or more. */
static bool scan_digits(scan_t *scan)
{
    const size_t start = scan->at;
    while (scan->at < scan->size && scan->data[scan->at] >= '0' && scan->data[scan->at] <= '9') {
        scan->at++;
    }
    return scan->at > start;
}

static bool scan_one_of(scan_t *scan, unsigned char a, unsigned char b)
{
    if (scan->at < scan->size && (scan->data[scan->at] == a || scan->data[scan->at] == b)) {
        scan->at++;
        return true;
    }
    return false;
}

/* RFC 8259 §6: no plus, no leading zero, digits on both sides of the point. */
static bool scan_number(scan_t *scan)
{
    if (!wants_value(scan)) {
        return fail(scan, what_is_missing(scan));
    }
    const size_t start = scan->at;
    scan_one_of(scan, '-', '-');
    bool ok = scan_one_of(scan, '0', '0') || scan_digits(scan);
    if (ok && scan_one_of(scan, '.', '.')) {
        ok = scan_digits(scan);
    }
    if (ok && scan_one_of(scan, 'e', 'E')) {
        scan_one_of(scan, '+', '-');
        ok = scan_digits(scan);
    }
    if (!ok) {
        return fail(scan, "a number is malformed");
    }
    if (scan->at - start > NUMBER_MAX) {
        return fail(scan, "a number is too long");
    }
    value_done(scan);
    return true;
}

static bool scan_word(scan_t *scan, const char *word)
{
    const size_t size = strlen(word);
    if (!wants_value(scan)) {
        return fail(scan, what_is_missing(scan));
    }
    if (scan->size - scan->at < size || memcmp(scan->data + scan->at, word, size) != 0) {
        return fail(scan, "a word stands there that JSON does not know");
    }
    scan->at += size;
    value_done(scan);
    return true;
}

static bool scan_open(scan_t *scan, bool object)
{
    if (!wants_value(scan)) {
        return fail(scan, what_is_missing(scan));
    }
    if (scan->depth == MAILBUS_JSON_MAX_DEPTH) {
        return fail(scan, "it is nested too deeply");
    }
    const uint64_t bit = UINT64_C(1) << scan->depth++;
    scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
    scan->want = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    scan->at++;
    return true;
}

static bool scan_close(scan_t *scan, bool object)
{
    const want_t empty = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    if (scan->want != empty && (scan->want != WANT_COMMA_OR_END || in_object(scan) != object)) {
        return fail(scan, what_is_missing(scan));
    }
    scan->depth--;
    scan->at++;
    value_done(scan);
    return true;
}

static bool scan_separator(scan_t *scan, want_t expected, want_t next)
{
    if (scan->want != expected) {
        return fail(scan, what_is_missing(scan));
    }
    scan->want = next;
    scan->at++;
    return true;
}

static bool scan_token(scan_t *scan)
{
    switch (scan->data[scan->at]) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        scan->at++;
        return true;
    case '"':
        return scan_text(scan);
    case '{':
    case '[':
        return scan_open(scan, scan->data[scan->at] == '{');
    case '}':
    case ']':
        return scan_close(scan, scan->data[scan->at] == '}');
    case ':':
        return scan_separator(scan, WANT_COLON, WANT_VALUE);
    case ',':
        return scan_separator(scan, WANT_COMMA_OR_END, in_object(scan) ? WANT_KEY : WANT_VALUE);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(scan);
    default:
        return fail(scan, "a character stands outside of strings that JSON does not know");
    }
}

bool proto_json_scan(const char *data, size_t size, size_t *ret_at, const char **ret_wrong)
{
    scan_t scan = {.data = (const unsigned char *)data, .size = size, .want = WANT_VALUE};
    bool ok = true;
    while (ok && scan.at < size) {
        ok = scan_token(&scan);
    }
    if (ok && scan.want != WANT_NOTHING) {
        ok = fail(&scan, size == 0 ? "it is empty" : "it ends too early");
    }
    if (!ok) {
        *ret_at = scan.at;
        *ret_wrong = scan.wrong;
    }
    return ok;
}
