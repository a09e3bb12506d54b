/* A value that many threads read and one now and then replaces: what the settings say, read again
 * after SIGHUP. Whoever takes the value keeps the same one until it gives it back; a replaced value
 * is freed when the last thread gives it back. */
#ifndef MB_HELD_H
#define MB_HELD_H

#include "mailbus/error.h"

typedef struct mb_held mb_held_t;
typedef void(mb_held_free_fn)(void *value);

/* Takes `value`, also where it fails: ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t mb_held_new(void *value, mb_held_free_fn *free_value,
                                            mb_held_t **ret_self, mailbus_error_t *error);
/* Nobody holds a value any more. Takes NULL. */
void mb_held_destroy(mb_held_t **self_p);

/* The present value, lent until it is given back. */
void *mb_held_take(mb_held_t *self);
/* `value` is one that this thread has taken. */
void mb_held_give(mb_held_t *self, const void *value);

/* Whoever takes one from now on gets `value`. Takes it, also where it fails: ENOMEM, and the
 * present value stays. */
MAILBUS_MUST_USE mailbus_code_t mb_held_replace(mb_held_t *self, void *value,
                                                mailbus_error_t *error);

#endif
