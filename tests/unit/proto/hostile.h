/* Every damage of one frame: cut anywhere, any byte changed, any byte put in. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>

/* Decode `data` and free what came of it; true where it was taken. The bytes end where their memory
 * ends. */
typedef bool hostile_decode_fn(void *arg, const char *data, size_t size);

/* How many of the strict prefixes of the frame were taken. */
size_t hostile_truncations(const char *data, size_t size, hostile_decode_fn *decode, void *arg);

/* Each byte replaced by each of the 255 others. Returns how many were taken. */
size_t hostile_changes(const char *data, size_t size, hostile_decode_fn *decode, void *arg);

/* Each byte left out, and each byte doubled. Returns how many were taken. */
size_t hostile_shifts(const char *data, size_t size, hostile_decode_fn *decode, void *arg);

/* `count` documents of random tokens of JSON, from a fixed seed. */
void hostile_tokens(unsigned count, hostile_decode_fn *decode, void *arg);

#endif
