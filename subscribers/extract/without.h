/* Layers that a test leaves out, to see an attacker succeed: comma-separated names. Test builds
 * only; in all others nothing can be left out. */
#ifndef EXTRACT_WITHOUT_H
#define EXTRACT_WITHOUT_H

#include <stdbool.h>
#include <string.h>

static inline bool without_layer(const char *without, const char *layer)
{
#ifdef MAILBUS_TEST_POINTS
    size_t size = strlen(layer);
    for (const char *at = without; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, layer, size) == 0 && (at[size] == '\0' || at[size] == ',')) {
            return true;
        }
    }
#else
    (void)without;
    (void)layer;
#endif
    return false;
}

#endif
