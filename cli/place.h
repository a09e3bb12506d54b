/* Where a subscriber's state is reached: in its file while the program is stopped, through the
 * admin listener while it runs, because one connection writes at once and the program has it. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "running.h"
#include "store.h"

typedef struct {
    const char *path;   /* the state file; not looked at where `admin` is given */
    const char *admin;  /* an admin listener that the user named; "" : found through the file */
    const char *schema; /* of the subscriber's tables: the file is brought up to date with it; may
                           be NULL */
    long timeout_ms;    /* of each question to a program */
} place_options_t;

/* One of the two. */
typedef struct {
    store_t *store;     /* the file is open under its lock; no transaction */
    running_t *running; /* the program answers there */
    bool unclean;       /* the file's program did not end in order, and must still see that */
} place_t;

/* ENOTFOUND: no such file, or nobody listens; EEXIST: the file is in use, and its program can't be
 * asked. A lock that is held without a listener may be another command's, or of a program that is
 * just starting or stopping: that is waited for, two seconds at most. */
MAILBUS_MUST_USE mailbus_code_t place_open(const place_options_t *options, place_t *ret_self,
                                           mailbus_error_t *error);
void place_close(place_t *self); /* takes one that was never opened, all zero */

/* With a file: run `fn` in a transaction, which is kept where it returns OK. */
MAILBUS_MUST_USE mailbus_code_t place_run(place_t *self,
                                          mailbus_code_t (*fn)(store_t *store, void *arg,
                                                               mailbus_error_t *error),
                                          void *arg, mailbus_error_t *error);

#endif
