/* The allow and block lists of the three directions: /v0/lists/{send|receive|reply}/{allow|block}.
 */
#ifndef SIM_LISTS_H
#define SIM_LISTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#define LISTS_ENTRIES_MAX 100000

typedef struct lists lists_t;

lists_t *lists_new(void);
void lists_destroy(lists_t **self_p);
void lists_clear(lists_t *self);
/* Are these words of a path a direction and a type? */
bool lists_known(const char *direction, const char *type);
/* Add an address or a domain, or change its reason. Returns the entry, lent; NULL: the lists are
 * full, or it is neither. `read_only`: the service itself put it there. */
const cJSON *lists_add(lists_t *self, const char *direction, const char *type, const char *entry,
                       const char *reason, bool read_only, int64_t now_ms);
const cJSON *lists_find(const lists_t *self, const char *direction, const char *type,
                        const char *entry);
bool lists_remove(lists_t *self, const char *direction, const char *type, const char *entry);
/* {"count","entries":[…]} of one list, sorted; the caller deletes. */
cJSON *lists_json(const lists_t *self, const char *direction, const char *type);
/* The block entry that an address or its domain is on, or NULL; an allow entry for the address
 * itself overrides one for its domain. */
const cJSON *lists_blocks(const lists_t *self, const char *direction, const char *address);

#endif
