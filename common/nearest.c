#include "nearest.h"

#include <assert.h>
#include <string.h>

size_t mb_edit_distance(const char *a, const char *b)
{
    size_t row[MB_NEAREST_MAX + 1];
    size_t width = strlen(b);
    assert(width < MB_NEAREST_MAX);
    for (size_t at = 0; at <= width; at++) {
        row[at] = at;
    }
    for (size_t line = 1; *a != '\0'; a++, line++) {
        size_t diagonal = row[0];
        row[0] = line;
        for (size_t at = 1; at <= width; at++) {
            size_t changed = diagonal + (*a != b[at - 1]);
            size_t shorter = (row[at] < row[at - 1] ? row[at] : row[at - 1]) + 1;
            diagonal = row[at];
            row[at] = changed < shorter ? changed : shorter;
        }
    }
    return row[width];
}

const char *mb_nearest(const char *text, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t size = strlen(text);
    size_t least = size / 2 + 1; /* farther away it is no typing error */
    for (size_t i = 0; size < MB_NEAREST_MAX && i < count; i++) {
        size_t distance = mb_edit_distance(text, names[i]);
        if (distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
