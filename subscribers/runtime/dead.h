/* Dead letters: events that were set aside, with the reason. Rows of mailbus_dead in the
 * subscriber's file.
 *
 * The functions here work on an open store and want no transaction of the caller's unless they say
 * so. A running program offers them on its admin listener (dead_http.h); for one that is stopped
 * open its file with store_open, which takes the file's lock. */
#ifndef RUNTIME_DEAD_H
#define RUNTIME_DEAD_H

#include "store.h"

enum { DEAD_LIST_MAX = 1000 }; /* rows of one answer */

/* One dead letter. Lent for the call. */
typedef struct {
    int64_t number; /* what a person types */
    uint64_t sequence;
    const char *id;
    const char *topic;
    const char *reason;
    unsigned attempts;
    unsigned crashes;
    int64_t first_ms;     /* taken in */
    int64_t set_aside_ms; /* given up */
    const void *header;   /* NULL in a list */
    size_t header_size;
    const void *body; /* NULL in a list */
    size_t body_size;
} dead_letter_t;

typedef void(dead_visit_fn)(void *arg, const dead_letter_t *letter);

/* At most `limit` letters with numbers above `after`, the oldest first. */
MAILBUS_MUST_USE mailbus_code_t dead_list(store_t *store, int64_t after, size_t limit,
                                          dead_visit_fn *visit, void *arg, mailbus_error_t *error);
/* One letter with its frames; ENOTFOUND. */
MAILBUS_MUST_USE mailbus_code_t dead_show(store_t *store, int64_t number, dead_visit_fn *visit,
                                          void *arg, mailbus_error_t *error);
/* Back into the inbox as row `row` (0: behind the last), due now, with no tries counted; ENOTFOUND.
 * In a transaction of the caller's. ret_size (may be NULL): bytes of its frames. */
MAILBUS_MUST_USE mailbus_code_t dead_retry(store_t *store, int64_t number, int64_t row,
                                           int64_t now_ms, int64_t *ret_size,
                                           mailbus_error_t *error);
/* Thrown away; ENOTFOUND. In a transaction of the caller's. */
MAILBUS_MUST_USE mailbus_code_t dead_drop(store_t *store, int64_t number, mailbus_error_t *error);

#endif
