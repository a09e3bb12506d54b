/* Which topics: "message.received" is that one, "message.*" all that begin with "message.". */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stddef.h>

#include "mailbus/error.h"
#include "mailbus/replay.h"

typedef struct {
    const char **topics;   /* ends with NULL; the texts belong to the filter */
    const char **prefixes; /* ends with NULL; "" is everything */
    size_t topic_count, prefix_count;
} filter_t;

/* No operands: everything. */
MAILBUS_MUST_USE mailbus_code_t filter_read(char *const *operands, size_t count, filter_t *ret_self,
                                            mailbus_error_t *error);
void filter_free(filter_t *self); /* takes a zeroed one */
bool filter_everything(const filter_t *self);
/* Lend the names to a request. */
void filter_apply(const filter_t *self, mailbus_fetch_t *fetch);

#endif
