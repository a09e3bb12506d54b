#include "xml.h"

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTIONS = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA,
    NUMBER_SIZE = 24,
    PER_ATTRIBUTE = 5, /* pointers: local name, prefix, URI, value, the value's end */
};

typedef struct {
    const xml_handler_t *handler;
    void *context;
    xmlParserCtxt *parser;
    bool has_type;
} reader_t;

static void on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespace_count, const xmlChar **namespaces, int count, int defaulted,
                     const xmlChar **attributes)
{
    (void)prefix, (void)uri, (void)namespace_count, (void)namespaces, (void)defaulted;
    reader_t *reader = context;
    const xml_element_t element = {(const char *)name, (const void *)attributes, count};
    reader->handler->start(reader->context, &element);
}

static void on_end(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    (void)prefix, (void)uri;
    reader_t *reader = context;
    reader->handler->end(reader->context, (const char *)name);
}

static void on_text(void *context, const xmlChar *data, int size)
{
    reader_t *reader = context;
    reader->handler->text(reader->context, (const char *)data, (size_t)size);
}

static void on_type(void *context, const xmlChar *name, const xmlChar *external,
                    const xmlChar *system)
{
    (void)name, (void)external, (void)system;
    reader_t *reader = context;
    reader->has_type = true;
    xmlStopParser(reader->parser);
}

static xmlEntity *no_entity(void *context, const xmlChar *name)
{
    (void)context, (void)name;
    return NULL;
}

static engine_status_t xml_failed(const reader_t *reader, mailbus_error_t *why)
{
    if (reader->has_type) {
        return engine_fail(why, ENGINE_CORRUPT, "XML with a document type");
    }
    const xmlError *error = xmlCtxtGetLastError(reader->parser);
    if (error != NULL && error->code == XML_ERR_NO_MEMORY) {
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    return engine_fail(why, ENGINE_CORRUPT, "XML: %.120s",
                       error != NULL && error->message != NULL ? error->message
                                                               : "not well-formed");
}

static engine_status_t feed(void *context, const char *data, size_t size, mailbus_error_t *why)
{
    reader_t *reader = context;
    return xmlParseChunk(reader->parser, data, (int)size, 0) == 0 && !reader->has_type
               ? ENGINE_OK
               : xml_failed(reader, why);
}

engine_status_t xml_read(package_t *package, const char *part, const xml_handler_t *handler,
                         void *context, mailbus_error_t *why)
{
    reader_t reader = {.handler = handler, .context = context};
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .startElementNs = on_start,
                         .endElementNs = on_end,
                         .characters = on_text,
                         .cdataBlock = on_text,
                         .internalSubset = on_type,
                         .getEntity = no_entity,
                         .getParameterEntity = no_entity};
    reader.parser = xmlCreatePushParserCtxt(&sax, &reader, NULL, 0, NULL);
    if (reader.parser == NULL) {
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    xmlCtxtUseOptions(reader.parser, OPTIONS);
    engine_status_t status = package_read(package, part, feed, &reader, why);
    if (status == ENGINE_OK && xmlParseChunk(reader.parser, "", 0, 1) != 0) {
        status = xml_failed(&reader, why);
    }
    xmlFreeParserCtxt(reader.parser);
    return status;
}

static bool copy_value(const xml_element_t *element, const char *name, bool prefixed, char *value,
                       size_t size)
{
    const xmlChar *const *at = element->attributes;
    value[0] = '\0';
    for (int i = 0; i < element->count; i++, at += PER_ATTRIBUTE) {
        if (strcmp((const char *)at[0], name) == 0 && prefixed <= (at[1] != NULL)) {
            size_t length = (size_t)(at[4] - at[3]);
            length = length < size ? length : size - 1;
            memcpy(value, at[3], length);
            value[length] = '\0';
            return true;
        }
    }
    return false;
}

bool xml_attribute(const xml_element_t *element, const char *name, char *value, size_t size)
{
    return copy_value(element, name, false, value, size);
}

bool xml_prefixed(const xml_element_t *element, const char *name, char *value, size_t size)
{
    return copy_value(element, name, true, value, size);
}

long xml_number(const xml_element_t *element, const char *name, long most, long otherwise)
{
    char text[NUMBER_SIZE];
    if (!xml_attribute(element, name, text, sizeof text)) {
        return otherwise;
    }
    long number = strtol(text, NULL, 10);
    return number < 0 ? 0 : number > most ? most : number;
}
