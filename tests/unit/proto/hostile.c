#include "hostile.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool decode_copy(const char *data, size_t size, hostile_decode_fn *decode, void *arg)
{
    char *copy = malloc(size);
    assert(copy != NULL || size == 0);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    bool taken = decode(arg, copy, size);
    free(copy);
    return taken;
}

size_t hostile_truncations(const char *data, size_t size, hostile_decode_fn *decode, void *arg)
{
    size_t taken = 0;
    for (size_t cut = 0; cut < size; cut++) {
        taken += decode_copy(data, cut, decode, arg);
    }
    return taken;
}

size_t hostile_changes(const char *data, size_t size, hostile_decode_fn *decode, void *arg)
{
    size_t taken = 0;
    char *copy = malloc(size);
    assert(copy != NULL);
    memcpy(copy, data, size);
    for (size_t at = 0; at < size; at++) {
        for (int other = 1; other < 256; other++) {
            copy[at] = (char)(data[at] ^ other);
            taken += decode(arg, copy, size);
        }
        copy[at] = data[at];
    }
    free(copy);
    return taken;
}

size_t hostile_shifts(const char *data, size_t size, hostile_decode_fn *decode, void *arg)
{
    size_t taken = 0;
    char *copy = malloc(size + 1);
    assert(copy != NULL);
    for (size_t at = 0; at < size; at++) {
        memcpy(copy, data, at);
        memcpy(copy + at, data + at + 1, size - at - 1);
        taken += decode_copy(copy, size - 1, decode, arg);
        memcpy(copy, data, at + 1);
        memcpy(copy + at + 1, data + at, size - at);
        taken += decode_copy(copy, size + 1, decode, arg);
    }
    free(copy);
    return taken;
}

void hostile_tokens(unsigned count, hostile_decode_fn *decode, void *arg)
{
    static const char *const tokens[] = {
        "{",       "}",        "[",    "]",    ":",     ",",         "\"",      "\\",
        "\"a\"",   "\"b\":",   "0",    "-1",   "1.5e9", "true",      "false",   "null",
        "\\u0041", "\\ud83d",  "\x80", "\xff", " ",     "\n",        "\"id\":", "\"1\"",
        "\\n",     "\xc3\xa9", "\x01", "\x7f", "1e",    "\"type\":", "\"\"",    "tru",
    };
    uint32_t random = 2463534242u;
    char text[256];
    for (unsigned n = 0; n < count; n++) {
        size_t size = 0;
        for (unsigned i = 0; i < 20; i++) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            const char *token = tokens[random % (sizeof tokens / sizeof *tokens)];
            memcpy(text + size, token, strlen(token));
            size += strlen(token);
        }
        decode_copy(text, size, decode, arg);
    }
}
