/* Memory for a test tool: where there is none left the program says so and ends with status 1.
 * Nothing here returns NULL, but for a NULL given. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stddef.h>

void *memory_new(size_t size);                             /* zeroed */
void *memory_grow(void *block, size_t count, size_t size); /* as reallocarray */
char *memory_text(const char *text);                       /* a copy; NULL for NULL */
char *memory_copy(const void *data, size_t size);          /* a copy with a NUL behind */
/* Make cJSON end the program too, so that building a tree needs no check at every step. */
void memory_use_for_json(void);

#endif
