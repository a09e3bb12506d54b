/* Dead letters, in the state file of a program that is stopped, or through the admin listener of
 * one that runs. */
#ifndef CLI_LETTERS_H
#define CLI_LETTERS_H

#include "dead.h"
#include "place.h"

typedef struct {
    mailbus_code_t (*list)(place_t *place, int64_t after, size_t limit, dead_visit_fn *visit,
                           void *arg, mailbus_error_t *error);
    mailbus_code_t (*show)(place_t *place, int64_t number, dead_visit_fn *visit, void *arg,
                           mailbus_error_t *error);
    mailbus_code_t (*retry)(place_t *place, int64_t number, mailbus_error_t *error);
    mailbus_code_t (*drop)(place_t *place, int64_t number, mailbus_error_t *error);
} letters_ops_t;

extern const letters_ops_t letters_file_ops;
extern const letters_ops_t letters_admin_ops;

/* Those that fit an open place. */
static inline const letters_ops_t *letters_ops(const place_t *place)
{
    return place->running != NULL ? &letters_admin_ops : &letters_file_ops;
}

#endif
