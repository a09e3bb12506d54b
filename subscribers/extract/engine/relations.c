#include "relations.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_RELATIONS = 4096, /* sheets or slides; more are not read */
    MAX_TARGETS = 16384,  /* all kinds of them; each is compared with every sheet */
};

typedef struct {
    relations_t *list;
    const char *element, *folder;
    size_t targets;
    bool no_memory;
} collector_t;

static void nothing_ends(void *context, const char *name)
{
    (void)context, (void)name;
}

static void nothing_said(void *context, const char *data, size_t size)
{
    (void)context, (void)data, (void)size;
}

/* <sheet name="…" r:id="rId1"/>. In a presentation it has an id of its own beside r:id. */
static void collect(void *context, const xml_element_t *element)
{
    collector_t *self = context;
    relations_t *list = self->list;
    if (strcmp(element->name, self->element) != 0 || list->count == MAX_RELATIONS) {
        return;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        relation_t *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            self->no_memory = true;
            return;
        }
        list->items = items;
        list->capacity = capacity;
    }
    relation_t *item = &list->items[list->count++];
    item->part[0] = '\0';
    xml_attribute(element, "name", item->name, sizeof item->name);
    xml_prefixed(element, "id", item->id, sizeof item->id);
}

/* <Relationship Id="rId1" Target="worksheets/sheet1.xml"/>, or "/xl/worksheets/sheet1.xml". */
static void resolve(void *context, const xml_element_t *element)
{
    collector_t *self = context;
    char id[RELATION_ID_SIZE], target[RELATION_PART_SIZE];
    if (strcmp(element->name, "Relationship") != 0 || self->targets++ >= MAX_TARGETS ||
        !xml_attribute(element, "Id", id, sizeof id) ||
        !xml_attribute(element, "Target", target, sizeof target)) {
        return;
    }
    for (size_t i = 0; i < self->list->count; i++) {
        relation_t *item = &self->list->items[i];
        if (strcmp(item->id, id) == 0 && item->part[0] == '\0') {
            const char *folder = target[0] == '/' ? "" : self->folder;
            snprintf(item->part, sizeof item->part, "%s%s", folder,
                     target[0] == '/' ? target + 1 : target);
        }
    }
}

/* Keep those that are there. */
static void keep_found(package_t *package, relations_t *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].part[0] != '\0' && package_has(package, list->items[i].part)) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

engine_status_t relations_list(package_t *package, const char *folder, const char *main,
                               const char *element, relations_t *ret_list, mailbus_error_t *why)
{
    static const xml_handler_t list_handler = {collect, nothing_ends, nothing_said};
    static const xml_handler_t target_handler = {resolve, nothing_ends, nothing_said};
    collector_t collector = {.list = ret_list, .element = element, .folder = folder};
    char part[RELATION_PART_SIZE];
    snprintf(part, sizeof part, "%s%s", folder, main);
    engine_status_t status = xml_read(package, part, &list_handler, &collector, why);
    if (status == ENGINE_OK) {
        snprintf(part, sizeof part, "%s_rels/%s.rels", folder, main);
        status = xml_read(package, part, &target_handler, &collector, why);
    }
    if (status == ENGINE_OK && collector.no_memory) {
        status = engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    keep_found(package, ret_list);
    return status;
}

void relations_free(relations_t *list)
{
    free(list->items);
    *list = (relations_t)RELATIONS_INIT;
}
