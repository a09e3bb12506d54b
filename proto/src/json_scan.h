/* JSON's grammar, checked in one pass before cJSON builds a tree. Not a public header. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* True where `data` is one JSON document as mailbus_json_parse demands it. Where it is not,
 * *ret_at is the offset of the first byte that is wrong and *ret_wrong says what is (static
 * text). Allocates nothing; its time is linear in `size`. */
bool proto_json_scan(const char *data, size_t size, size_t *ret_at, const char **ret_wrong);

#endif
