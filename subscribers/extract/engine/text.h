/* Characters and character sets, for the engines. */
#ifndef ENGINE_TEXT_H
#define ENGINE_TEXT_H

#include <stdbool.h>

#include "engine.h"

typedef enum {
    TEXT_UTF_8,
    TEXT_UTF_16_LE,
    TEXT_UTF_16_BE,
    TEXT_UTF_32_LE,
    TEXT_UTF_32_BE,
    TEXT_WINDOWS_1252, /* what nothing else fits */
} text_charset_t;

/* By the mark at its beginning (whose size is *ret_mark), else by whether all of it is UTF-8. */
text_charset_t text_charset(const engine_input_t *input, size_t *ret_mark);

/* One character in UTF-8; U+FFFD for what is none. */
void text_put(FILE *out, uint32_t code);
/* All of it in UTF-8, from the character set that text_charset finds; its mark is left out. */
void text_put_all(const engine_input_t *input, FILE *out);
/* The same from a set by its name; false where this machine does not know it. Every byte that is
 * none in that set becomes U+FFFD. */
bool text_put_named(const engine_input_t *input, const char *name, FILE *out);

#endif
