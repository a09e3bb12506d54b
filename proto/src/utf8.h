/* UTF-8 as RFC 3629 §4 has it. Not a public header. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>

/* Bytes of the well-formed sequence that begins at `at`, of which `left` (at least 1) are there;
 * 0 where there is none: cut short, overlong, a surrogate, above U+10FFFF. */
size_t proto_utf8_sequence(const unsigned char *at, size_t left);

/* Bytes at the beginning of `data` that are well formed: all `size` where all of it is. */
size_t proto_utf8_prefix(const char *data, size_t size);

#endif
