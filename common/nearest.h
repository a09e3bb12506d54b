/* "Did you mean …": the nearest of the names that are known. */
#ifndef MB_NEAREST_H
#define MB_NEAREST_H

#include <stddef.h>

#define MB_NEAREST_MAX 128 /* bytes of a name that is compared; longer ones are near to nothing */

/* Levenshtein's distance of two texts, each shorter than MB_NEAREST_MAX. */
size_t mb_edit_distance(const char *a, const char *b);
/* Which of `names` is nearest to `text`: at most half of its letters differ. NULL where none is.
 * Lent. */
const char *mb_nearest(const char *text, const char *const *names, size_t count);

#endif
