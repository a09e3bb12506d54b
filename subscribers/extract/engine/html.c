/* HTML as libxml2's parser understands it: the words, line by line, without what is not shown. */
#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "text.h"

enum {
    OPTIONS = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET
};

typedef struct {
    layout_t layout;
    int skip; /* how deep in what is not shown */
    int raw;  /* how deep in pre and textarea: there blanks count */
} page_t;

typedef enum { INLINE, LINE, PARAGRAPH, CELL, ROW, RAW, HIDDEN, BREAK } shape_t;

static shape_t shape_of(const char *name)
{
    static const struct {
        const char *name;
        shape_t shape;
    } shapes[] = {
        {"address", LINE},     {"article", PARAGRAPH},
        {"aside", PARAGRAPH},  {"blockquote", PARAGRAPH},
        {"body", LINE},        {"br", BREAK},
        {"caption", LINE},     {"center", LINE},
        {"dd", LINE},          {"div", LINE},
        {"dl", PARAGRAPH},     {"dt", LINE},
        {"fieldset", LINE},    {"figure", LINE},
        {"footer", PARAGRAPH}, {"form", LINE},
        {"h1", PARAGRAPH},     {"h2", PARAGRAPH},
        {"h3", PARAGRAPH},     {"h4", PARAGRAPH},
        {"h5", PARAGRAPH},     {"h6", PARAGRAPH},
        {"header", PARAGRAPH}, {"hr", BREAK},
        {"li", LINE},          {"main", LINE},
        {"nav", LINE},         {"ol", LINE},
        {"option", LINE},      {"p", PARAGRAPH},
        {"pre", RAW},          {"script", HIDDEN},
        {"section", LINE},     {"style", HIDDEN},
        {"table", PARAGRAPH},  {"td", CELL},
        {"template", HIDDEN},  {"textarea", RAW},
        {"th", CELL},          {"title", PARAGRAPH},
        {"tr", ROW},           {"ul", LINE},
        {"noscript", HIDDEN},  {"object", HIDDEN},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(name, shapes[i].name) == 0) {
            return shapes[i].shape;
        }
    }
    return INLINE;
}

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes)
{
    (void)attributes;
    page_t *self = context;
    switch (shape_of((const char *)name)) {
    case HIDDEN:
        self->skip++;
        break;
    case RAW:
        self->raw++;
        layout_line(&self->layout);
        break;
    case LINE:
    case BREAK:
        layout_line(&self->layout);
        break;
    case PARAGRAPH:
        layout_paragraph(&self->layout);
        break;
    case CELL:
        layout_cell_begin(&self->layout);
        break;
    case ROW:
    case INLINE:
    default:
        break;
    }
}

static void on_end(void *context, const xmlChar *name)
{
    page_t *self = context;
    switch (shape_of((const char *)name)) {
    case HIDDEN:
        self->skip -= self->skip > 0 ? 1 : 0;
        break;
    case RAW:
        self->raw -= self->raw > 0 ? 1 : 0;
        layout_line(&self->layout);
        break;
    case LINE:
        layout_line(&self->layout);
        break;
    case PARAGRAPH:
        layout_paragraph(&self->layout);
        break;
    case CELL:
        layout_cell_end(&self->layout, 1);
        break;
    case ROW:
        layout_row_end(&self->layout);
        break;
    case BREAK:
    case INLINE:
    default:
        break;
    }
}

static void on_text(void *context, const xmlChar *data, int size)
{
    page_t *self = context;
    if (self->skip > 0) {
        return;
    }
    if (self->raw > 0) {
        layout_text(&self->layout, (const char *)data, (size_t)size);
    } else {
        layout_words(&self->layout, (const char *)data, (size_t)size);
    }
}

/* What the page's own declaration does not decide: UTF-8 where it is, else Windows-1252. NULL
 * leaves it to the declaration. */
static const char *charset_of(const engine_input_t *input)
{
    size_t mark;
    switch (text_charset(input, &mark)) {
    case TEXT_UTF_8:
        return "UTF-8";
    case TEXT_UTF_16_LE:
    case TEXT_UTF_16_BE:
    case TEXT_UTF_32_LE:
    case TEXT_UTF_32_BE:
        return NULL; /* its mark tells the parser */
    case TEXT_WINDOWS_1252:
    default:
        return memmem(input->data, input->size, "charset", 7) != NULL ? NULL : "windows-1252";
    }
}

engine_status_t engine_html(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    page_t page = {.skip = 0};
    xmlSAXHandler sax = {.startElement = on_start,
                         .endElement = on_end,
                         .characters = on_text,
                         .ignorableWhitespace = on_text,
                         .initialized = 1};
    layout_init(&page.layout, out);
    if (input->size > INT32_MAX) {
        return engine_fail(why, ENGINE_TOO_LARGE, "more than 2 GiB");
    }
    htmlParserCtxtPtr parser = htmlNewParserCtxt();
    if (parser == NULL) {
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    *parser->sax = sax;
    parser->userData = &page;
    const char *charset = charset_of(input);
    int options = OPTIONS | (charset != NULL ? HTML_PARSE_IGNORE_ENC : 0);
    /* With callbacks of our own it builds no tree. */
    xmlFreeDoc(htmlCtxtReadMemory(parser, (const char *)input->data, (int)input->size, NULL,
                                  charset, options));
    const xmlError *error = xmlCtxtGetLastError(parser);
    bool memory = error != NULL && error->code == XML_ERR_NO_MEMORY;
    htmlFreeParserCtxt(parser);
    return memory ? engine_fail(why, ENGINE_MEMORY, "out of memory") : ENGINE_OK;
}
