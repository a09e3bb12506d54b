/* The parts that a workbook or a presentation lists, in its order (ECMA-376 part 2, §6.5). */
#ifndef ENGINE_RELATIONS_H
#define ENGINE_RELATIONS_H

#include "xml.h"

enum {
    RELATION_ID_SIZE = 64,
    RELATION_NAME_SIZE = 128,
    RELATION_PART_SIZE = 256,
};

typedef struct {
    char id[RELATION_ID_SIZE];     /* "rId1" */
    char name[RELATION_NAME_SIZE]; /* of a sheet */
    char part[RELATION_PART_SIZE]; /* "xl/worksheets/sheet1.xml"; "" until it is found */
} relation_t;

typedef struct {
    relation_t *items;
    size_t count, capacity;
} relations_t;

#define RELATIONS_INIT                                                                             \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

/* The parts named by the elements `element` of `folder``main`, where they exist: "xl/",
 * "workbook.xml", "sheet". Free it, also after a failure. */
engine_status_t relations_list(package_t *package, const char *folder, const char *main,
                               const char *element, relations_t *ret_list, mailbus_error_t *why);
void relations_free(relations_t *list);

#endif
