/* Where dead letters are looked at: in the state file of a program that is stopped, or through the
 * admin listener of one that runs, because one connection writes at once. */
#ifndef CLI_LETTERS_H
#define CLI_LETTERS_H

#include "dead.h"

typedef struct letters letters_t;

typedef struct {
    mailbus_code_t (*list)(letters_t *self, int64_t after, size_t limit, dead_visit_fn *visit,
                           void *arg, mailbus_error_t *error);
    mailbus_code_t (*show)(letters_t *self, int64_t number, dead_visit_fn *visit, void *arg,
                           mailbus_error_t *error);
    mailbus_code_t (*retry)(letters_t *self, int64_t number, mailbus_error_t *error);
    mailbus_code_t (*drop)(letters_t *self, int64_t number, mailbus_error_t *error);
    void (*close)(letters_t **self_p);
} letters_ops_t;

/* Each kind begins with this. */
struct letters {
    const letters_ops_t *ops;
};

/* The file at `path`; ENOTFOUND where there is none, EEXIST while its program runs. */
MAILBUS_MUST_USE mailbus_code_t letters_open_file(const char *path, letters_t **ret_self,
                                                  mailbus_error_t *error);
/* Where the program that holds the file at `path` has its admin listener; ENOTFOUND. */
MAILBUS_MUST_USE mailbus_code_t letters_find_admin(const char *path, char *address, size_t size);
/* The program whose admin listener is at `address`. */
MAILBUS_MUST_USE mailbus_code_t letters_open_admin(const char *address, long timeout_ms,
                                                   letters_t **ret_self, mailbus_error_t *error);

#endif
