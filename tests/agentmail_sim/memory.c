#include "memory.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *must(void *block)
{
    static const char text[] = "agentmail-sim: out of memory\n";
    if (block == NULL) {
        ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
        (void)ignored;
        _exit(1);
    }
    return block;
}

void *memory_new(size_t size)
{
    return must(calloc(1, size > 0 ? size : 1));
}

void *memory_grow(void *block, size_t count, size_t size)
{
    return must(reallocarray(block, count > 0 ? count : 1, size));
}

char *memory_text(const char *text)
{
    return text == NULL ? NULL : must(strdup(text));
}

char *memory_copy(const void *data, size_t size)
{
    char *copy = memory_new(size + 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static void *json_malloc(size_t size)
{
    return must(malloc(size > 0 ? size : 1));
}

void memory_use_for_json(void)
{
    cJSON_Hooks hooks = {.malloc_fn = json_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
}
