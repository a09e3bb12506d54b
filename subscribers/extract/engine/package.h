/* A ZIP file in memory, as DOCX, ODT and XLSX are: parts by name, unpacked piece by piece.
 *
 * What is unpacked is counted over all parts: beyond PACKAGE_MAX_UNPACKED the file is too large,
 * however small it came. */
#ifndef ENGINE_PACKAGE_H
#define ENGINE_PACKAGE_H

#include <stdbool.h>

#include "engine.h"

/* Bytes over all parts that are read: forty times what the largest attachment has on average in
 * XML, and two seconds of work. */
#define PACKAGE_MAX_UNPACKED ((uint64_t)256 * 1024 * 1024)

typedef struct package package_t;

/* ENGINE_CORRUPT where there is no readable directory. The bytes are lent. */
engine_status_t package_open(const engine_input_t *input, package_t **ret_self,
                             mailbus_error_t *why);
void package_close(package_t **self_p);

bool package_has(const package_t *self, const char *name);
/* The name of part number `index`, or NULL behind the last one. Any bytes but NUL. Lent. */
const char *package_name(const package_t *self, size_t index);
/* True where part `name` is encrypted by ZIP's own means. */
bool package_encrypted(const package_t *self, const char *name);

/* Gets the next piece of a part; what it returns ends the reading unless it is ENGINE_OK. */
typedef engine_status_t(package_sink_fn)(void *context, const char *data, size_t size,
                                         mailbus_error_t *why);
engine_status_t package_read(package_t *self, const char *name, package_sink_fn *sink,
                             void *context, mailbus_error_t *why);

#endif
