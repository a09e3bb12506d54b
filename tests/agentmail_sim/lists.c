#include "lists.h"

#include <assert.h>
#include <czmq.h>
#include <string.h>

#include "address.h"
#include "mailbus/buf.h"
#include "mailbus/replay.h"
#include "memory.h"

struct lists {
    zhashx_t *entries; /* "direction/type/entry" → cJSON */
};

static void delete_entry(void **item)
{
    cJSON_Delete(*item);
    *item = NULL;
}

lists_t *lists_new(void)
{
    lists_t *self = memory_new(sizeof *self);
    self->entries = zhashx_new();
    assert(self->entries != NULL);
    zhashx_set_destructor(self->entries, delete_entry);
    return self;
}

void lists_destroy(lists_t **self_p)
{
    if (*self_p != NULL) {
        zhashx_destroy(&(*self_p)->entries);
        free(*self_p);
        *self_p = NULL;
    }
}

void lists_clear(lists_t *self)
{
    zhashx_purge(self->entries);
}

bool lists_known(const char *direction, const char *type)
{
    static const char *const directions[] = {"send", "receive", "reply"};
    bool known = false;
    for (size_t at = 0; at < sizeof directions / sizeof *directions; at++) {
        known = known || strcmp(direction, directions[at]) == 0;
    }
    return known && (strcmp(type, "allow") == 0 || strcmp(type, "block") == 0);
}

enum { ENTRY_KEY_MAX = ADDRESS_MAX + 32 };

/* An address in its bare form, or a domain in lower case. */
static bool make_key(const char *direction, const char *type, const char *entry,
                     char key[ENTRY_KEY_MAX], bool *ret_domain)
{
    char bare[ADDRESS_MAX + 1];
    char probe[ADDRESS_MAX + 1];
    bool domain = strchr(entry, '@') == NULL;
    if (domain) { /* what can stand behind an @ */
        int size = snprintf(probe, sizeof probe, "x@%s", entry);
        if (size < 0 || (size_t)size >= sizeof probe) {
            return false;
        }
        entry = probe;
    }
    if (!address_bare(entry, bare)) {
        return false;
    }
    snprintf(key, ENTRY_KEY_MAX, "%s/%s/%s", direction, type, domain ? bare + 2 : bare);
    *ret_domain = domain;
    return true;
}

const cJSON *lists_add(lists_t *self, const char *direction, const char *type, const char *entry,
                       const char *reason, bool read_only, int64_t now_ms)
{
    char key[ENTRY_KEY_MAX];
    char time[MAILBUS_TIME_SIZE];
    bool domain = false;
    if (!make_key(direction, type, entry, key, &domain) ||
        zhashx_size(self->entries) >= LISTS_ENTRIES_MAX) {
        return NULL;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "entry", key + strlen(direction) + strlen(type) + 2);
    cJSON_AddStringToObject(json, "organization_id", "org_local");
    if (reason != NULL) {
        cJSON_AddStringToObject(json, "reason", reason);
    }
    cJSON_AddStringToObject(json, "direction", direction);
    cJSON_AddStringToObject(json, "list_type", type);
    cJSON_AddStringToObject(json, "entry_type", domain ? "domain" : "email");
    mailbus_time_format(now_ms, time);
    cJSON_AddStringToObject(json, "created_at", time);
    if (read_only) {
        cJSON_AddBoolToObject(json, "read_only", true);
    }
    zhashx_update(self->entries, key, json);
    return json;
}

const cJSON *lists_find(const lists_t *self, const char *direction, const char *type,
                        const char *entry)
{
    char key[ENTRY_KEY_MAX];
    bool domain = false;
    return make_key(direction, type, entry, key, &domain) ? zhashx_lookup(self->entries, key)
                                                          : NULL;
}

bool lists_remove(lists_t *self, const char *direction, const char *type, const char *entry)
{
    char key[ENTRY_KEY_MAX];
    bool domain = false;
    if (!make_key(direction, type, entry, key, &domain) ||
        zhashx_lookup(self->entries, key) == NULL) {
        return false;
    }
    zhashx_delete(self->entries, key);
    return true;
}

static int by_text(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

cJSON *lists_json(const lists_t *self, const char *direction, const char *type)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s/%s/", direction, type);
    size_t count = 0;
    const char **keys = memory_new((zhashx_size(self->entries) + 1) * sizeof(char *));
    for (void *item = zhashx_first(self->entries); item != NULL;
         item = zhashx_next(self->entries)) {
        const char *key = zhashx_cursor(self->entries);
        if (strncmp(key, prefix, strlen(prefix)) == 0) {
            keys[count++] = key;
        }
    }
    qsort(keys, count, sizeof(char *), by_text);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "count", (double)count);
    cJSON *entries = cJSON_AddArrayToObject(json, "entries");
    for (size_t at = 0; at < count; at++) {
        cJSON_AddItemToArray(entries,
                             cJSON_Duplicate(zhashx_lookup(self->entries, keys[at]), true));
    }
    free(keys);
    return json;
}

const cJSON *lists_blocks(const lists_t *self, const char *direction, const char *address)
{
    char bare[ADDRESS_MAX + 1];
    if (zhashx_size(self->entries) == 0 || !address_bare(address, bare)) {
        return NULL;
    }
    const cJSON *own = lists_find(self, direction, "block", bare);
    if (own != NULL || lists_find(self, direction, "allow", bare) != NULL) {
        return own;
    }
    return lists_find(self, direction, "block", address_domain(bare));
}
