/* A stable 64-bit hash: the same for ever and on every machine, because shards and pauses depend on
 * it. */
#ifndef RUNTIME_HASH_H
#define RUNTIME_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a with a finishing mix, so that its low bits may be used as they are. Not for hash tables
 * that an enemy fills. */
uint64_t hash_bytes(const void *data, size_t size);

#endif
