/* HTML as libxml2's parser understands it: the words, line by line, without what is not shown. */
#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "text.h"

enum {
    OPTIONS = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
              HTML_PARSE_IGNORE_ENC
};

enum {
    CHARSET_WITHIN = 1024, /* bytes that are searched for the page's own word about it */
    CHARSET_SIZE = 32,
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

/* Not Latin-1: that is Windows-1252, says the HTML standard. Not UTF-8, which it would be known by,
 * nor sets in which the declaration itself could not be read. */
static bool is_believable(const char *name)
{
    static const char *const others[] = {"iso-8859-1", "latin1", "us-ascii"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcasecmp(name, others[i]) == 0) {
            return false;
        }
    }
    return name[0] != '\0' && strncasecmp(name, "utf", 3) != 0 && strncasecmp(name, "ucs", 3) != 0;
}

/* The name behind "charset=" in the page's first bytes, as its writer meant it (the HTML standard's
 * prescan, §13.2.3.2, without its fine print). */
static bool declared_charset(const engine_input_t *input, char *name, size_t size)
{
    static const char key[] = "charset";
    size_t most = input->size < CHARSET_WITHIN ? input->size : CHARSET_WITHIN;
    const unsigned char *end = input->data + most;
    for (const unsigned char *at = input->data; at + sizeof key < end; at++) {
        if (strncasecmp((const char *)at, key, sizeof key - 1) != 0) {
            continue;
        }
        at += sizeof key - 1;
        while (at < end && (isspace(*at) || strchr("=\"'", *at) != NULL) && *at != '\0') {
            at++;
        }
        size_t length = 0;
        while (at + length < end && length + 1 < size &&
               (isalnum(at[length]) || at[length] == '-' || at[length] == '_')) {
            name[length] = (char)at[length];
            length++;
        }
        name[length] = '\0';
        return is_believable(name);
    }
    return false;
}

/* All of the page in UTF-8: the parser gives up at the first byte that is none in the set it was
 * told. */
static char *page_text(const engine_input_t *input, size_t *ret_size)
{
    char *text = NULL, name[CHARSET_SIZE];
    size_t mark;
    FILE *out = open_memstream(&text, ret_size);
    if (out == NULL) {
        return NULL;
    }
    bool guessed = text_charset(input, &mark) == TEXT_WINDOWS_1252;
    if (!guessed || !declared_charset(input, name, sizeof name) ||
        !text_put_named(input, name, out)) {
        text_put_all(input, out);
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

engine_status_t engine_html(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    page_t page = {.skip = 0};
    const xmlSAXHandler sax = {.startElement = on_start,
                               .endElement = on_end,
                               .characters = on_text,
                               .ignorableWhitespace = on_text,
                               .initialized = 1};
    size_t size = 0;
    layout_init(&page.layout, out);
    char *text = page_text(input, &size);
    htmlParserCtxtPtr parser = htmlNewParserCtxt();
    if (text == NULL || parser == NULL || size > INT32_MAX) {
        free(text);
        htmlFreeParserCtxt(parser);
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    *parser->sax = sax;
    parser->userData = &page;
    /* With callbacks of our own it builds no tree. */
    xmlFreeDoc(htmlCtxtReadMemory(parser, text, (int)size, NULL, "UTF-8", OPTIONS));
    const xmlError *error = xmlCtxtGetLastError(parser);
    bool memory = error != NULL && error->code == XML_ERR_NO_MEMORY;
    htmlFreeParserCtxt(parser);
    free(text);
    return memory ? engine_fail(why, ENGINE_MEMORY, "out of memory") : ENGINE_OK;
}
