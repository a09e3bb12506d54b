/* A target between targets.c (what it must be) and targets_read.c (reading the file). */
#ifndef ROUTE_TARGETS_PRIV_H
#define ROUTE_TARGETS_PRIV_H

#include "route/targets.h"

enum {
    KEY_CHANNEL = 1 << 0,
    KEY_TOKEN = 1 << 1,
    KEY_URL = 1 << 2,
    KEY_REPO = 1 << 3,
    KEY_LABELS = 1 << 4,
    KEY_PATH = 1 << 5,
    KEY_TO = 1 << 6,
    KEY_SECRET = 1 << 7,
    KEY_UNSURE = 1 << 8,
};

/* All keys are read: is it a whole target? `keys`: which it has. */
MAILBUS_MUST_USE mailbus_code_t target_finish(target_t *target, const char *kind, unsigned keys,
                                              mailbus_error_t *error);
void target_free(target_t *target);

#endif
