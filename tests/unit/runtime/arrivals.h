/* Events as the bus thread hands them to an inbox. */
#ifndef TESTS_RUNTIME_ARRIVALS_H
#define TESTS_RUNTIME_ARRIVALS_H

#include "inbox.h"

inbox_arrival_t arrival_new(uint64_t sequence, size_t body_size);
void arrival_free(inbox_arrival_t *made);
/* One of them into the inbox, with the note `gap` (may be NULL). */
MAILBUS_MUST_USE mailbus_code_t arrival_take_in(inbox_t *inbox, uint64_t sequence, size_t body_size,
                                                const char *gap);

#endif
