#include "json_keys.h"

#include <stdlib.h>
#include <string.h>

/* Up to here comparing all pairs is quicker than sorting, and beyond it nobody can make us compare
 * the square of what they sent. */
enum { PAIRWISE_KEYS = 32 };

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool differ_pairwise(const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (strcmp(keys[i], keys[j]) == 0) {
                return false;
            }
        }
    }
    return true;
}

static bool differ_sorted(const char **keys, size_t count)
{
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            return false;
        }
    }
    return true;
}

mailbus_code_t proto_json_keys_check(const cJSON *object, size_t most, const char *what,
                                     mailbus_error_t *error)
{
    size_t count = 0;
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        if (++count > most) {
            return mailbus_fail(error, MAILBUS_ETOOBIG, "%s has more than %zu keys", what, most);
        }
    }
    const char *few[PAIRWISE_KEYS];
    const char **keys = few;
    if (count > PAIRWISE_KEYS && (keys = malloc(count * sizeof *keys)) == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the keys of %s", what);
    }
    size_t n = 0;
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        keys[n++] = item->string;
    }
    bool differ = count > PAIRWISE_KEYS ? differ_sorted(keys, count) : differ_pairwise(keys, count);
    if (keys != few) {
        free(keys);
    }
    return differ ? MAILBUS_OK
                  : mailbus_fail(error, MAILBUS_EINVAL, "%s has the same key twice", what);
}
