/* One XML part of a package, read as a stream of elements and text.
 *
 * A document type declaration ends the reading: neither ECMA-376 (part 2, §6.2.5) nor the writers
 * of OpenDocument have them in content, and all of billion laughs, external entities and quadratic
 * blow-up begin with one. Nothing is ever fetched. Namespaces are not looked at, only local names:
 * the transitional and the strict ones of OOXML differ in nothing else. */
#ifndef ENGINE_XML_H
#define ENGINE_XML_H

#include <stdbool.h>

#include "package.h"

/* An element as it begins. */
typedef struct {
    const char *name; /* without its prefix */
    const void *attributes;
    int count;
} xml_element_t;

typedef struct {
    void (*start)(void *context, const xml_element_t *element);
    void (*end)(void *context, const char *name);
    void (*text)(void *context, const char *data, size_t size); /* UTF-8, in pieces */
} xml_handler_t;

/* Copy the attribute's value, cut at `size` - 1 bytes; "" and false where there is none. */
bool xml_attribute(const xml_element_t *element, const char *name, char *value, size_t size);
/* The same for an attribute with a prefix: r:id beside id. */
bool xml_prefixed(const xml_element_t *element, const char *name, char *value, size_t size);
/* Its number, 0 to `most`; `otherwise` where there is none. */
long xml_number(const xml_element_t *element, const char *name, long most, long otherwise);

/* ENGINE_CORRUPT where it is not well-formed or has a document type; what was read before that was
 * handed over. */
engine_status_t xml_read(package_t *package, const char *part, const xml_handler_t *handler,
                         void *context, mailbus_error_t *why);

#endif
