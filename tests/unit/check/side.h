/* A runtime with settings, metrics and a silent log, and nothing else: for either side of the check
 * protocol in one process. */
#ifndef SIDE_H
#define SIDE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check/client.h"
#include "check/server.h"
#include "mailbus/subscriber.h"

typedef struct side side_t;

/* `pairs`: "section.key=value" each, ends with NULL. */
side_t *side_new(const char *const *pairs);
void side_free(side_t **self_p);
mailbus_runtime_t *side_runtime(side_t *self);
/* A counter's value: side_count(self, "checks", "answer=\"yes\""). */
uint64_t side_count(side_t *self, const char *what, const char *labels);

#endif
