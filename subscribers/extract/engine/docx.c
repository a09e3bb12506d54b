/* DOCX (ECMA-376 part 1, §17) and PPTX (§19, §21.1): paragraphs of runs of text. */
#include <string.h>

#include "layout.h"
#include "relations.h"
#include "xml.h"

typedef struct {
    layout_t layout;
    int skip; /* how deep in what is not shown */
    int text; /* how deep in w:t, a:t, m:t */
    int run;  /* in w:r: w:tab is also the name of a tab stop */
} words_t;

/* Not shown, or shown elsewhere as well. */
static bool is_hidden(const char *name)
{
    static const char *const names[] = {
        "Fallback", /* of mc:AlternateContent: the same once more for old readers */
        "moveFrom", /* tracked changes: it is where it was moved to */
        "del",      "instrText", "delText",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void start(void *context, const xml_element_t *element)
{
    words_t *self = context;
    const char *name = element->name;
    if (self->skip > 0 || is_hidden(name)) {
        self->skip++;
    } else if (strcmp(name, "t") == 0) {
        self->text++;
    } else if (strcmp(name, "r") == 0) {
        self->run++;
    } else if (strcmp(name, "tc") == 0) {
        layout_cell_begin(&self->layout);
    } else if (strcmp(name, "tab") == 0 && self->run > 0) {
        layout_tab(&self->layout);
    } else if ((strcmp(name, "br") == 0 || strcmp(name, "cr") == 0)) {
        layout_line(&self->layout);
    } else if (strcmp(name, "noBreakHyphen") == 0) {
        layout_text(&self->layout, "-", 1);
    }
}

static void end(void *context, const char *name)
{
    words_t *self = context;
    if (self->skip > 0) {
        self->skip--;
    } else if (strcmp(name, "t") == 0) {
        self->text--;
    } else if (strcmp(name, "r") == 0) {
        self->run--;
    } else if (strcmp(name, "p") == 0) {
        layout_line(&self->layout);
    } else if (strcmp(name, "tc") == 0) {
        layout_cell_end(&self->layout, 1);
    } else if (strcmp(name, "tr") == 0) {
        layout_row_end(&self->layout);
    }
}

static void text(void *context, const char *data, size_t size)
{
    words_t *self = context;
    if (self->skip == 0 && self->text > 0) {
        layout_text(&self->layout, data, size);
    }
}

static const xml_handler_t handler = {start, end, text};

static engine_status_t read_part(package_t *package, const char *part, words_t *words,
                                 mailbus_error_t *why)
{
    words->skip = words->text = words->run = 0;
    engine_status_t status = xml_read(package, part, &handler, words, why);
    layout_paragraph(&words->layout);
    return status;
}

static bool matches(const char *name, const char *prefix)
{
    size_t size = strlen(name), head = strlen(prefix);
    return size >= head + 4 && strncmp(name, prefix, head) == 0 &&
           strcmp(name + size - 4, ".xml") == 0 && strchr(name + head, '/') == NULL;
}

/* All parts whose names begin so, "word/header" for word/header1.xml. */
static engine_status_t read_parts(package_t *package, const char *prefix, words_t *words,
                                  mailbus_error_t *why)
{
    engine_status_t status = ENGINE_OK;
    const char *name;
    for (size_t i = 0; status == ENGINE_OK && (name = package_name(package, i)) != NULL; i++) {
        if (matches(name, prefix)) {
            status = read_part(package, name, words, why);
        }
    }
    return status;
}

engine_status_t engine_docx(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    static const char *const parts[] = {"word/header", "word/document", "word/footnotes",
                                        "word/endnotes", "word/footer"};
    package_t *package = NULL;
    words_t words = {.skip = 0};
    layout_init(&words.layout, out);
    engine_status_t status = package_open(input, &package, why);
    for (size_t i = 0; status == ENGINE_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = read_parts(package, parts[i], &words, why);
    }
    package_close(&package);
    return status;
}

/* The slides in the order in which they are shown. */
engine_status_t engine_pptx(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    package_t *package = NULL;
    relations_t slides = RELATIONS_INIT;
    words_t words = {.skip = 0};
    layout_init(&words.layout, out);
    engine_status_t status = package_open(input, &package, why);
    if (status == ENGINE_OK) {
        status = relations_list(package, "ppt/", "presentation.xml", "sldId", &slides, why);
    }
    for (size_t i = 0; status == ENGINE_OK && i < slides.count; i++) {
        status = read_part(package, slides.items[i].part, &words, why);
    }
    relations_free(&slides);
    package_close(&package);
    return status;
}
