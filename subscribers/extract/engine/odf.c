/* OpenDocument 1.3: text, spreadsheets and presentations have the same words in content.xml. */
#include <string.h>

#include "layout.h"
#include "xml.h"

enum {
    MAX_BLANKS = 64, /* of one text:s */
    MAX_REPEAT = 16, /* of one cell: empty ones go on to the sheet's end */
};

typedef struct {
    layout_t layout;
    int skip;      /* how deep in what is not shown */
    int body;      /* in office:body: styles and settings have text as well */
    int paragraph; /* in text:p or text:h: text between elements is layout */
    long repeat;   /* of this cell */
} content_t;

static bool is_hidden(const char *name)
{
    static const char *const names[] = {"tracked-changes", "annotation", "forms",
                                        "scripts",         "ruby-text",  "sequence-decls",
                                        "notes",           "binary-data"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_paragraph(const char *name)
{
    return strcmp(name, "p") == 0 || strcmp(name, "h") == 0;
}

static bool is_cell(const char *name)
{
    return strcmp(name, "table-cell") == 0 || strcmp(name, "covered-table-cell") == 0;
}

static void put_blanks(content_t *self, long count)
{
    for (long i = 0; i < count; i++) {
        layout_text(&self->layout, " ", 1);
    }
}

static void start(void *context, const xml_element_t *element)
{
    content_t *self = context;
    const char *name = element->name;
    if (self->skip > 0 || is_hidden(name)) {
        self->skip++;
    } else if (strcmp(name, "body") == 0) {
        self->body++;
    } else if (is_paragraph(name)) {
        self->paragraph++;
    } else if (is_cell(name)) {
        self->repeat = xml_number(element, "number-columns-repeated", MAX_REPEAT, 1);
        layout_cell_begin(&self->layout);
    } else if (strcmp(name, "s") == 0 && self->paragraph > 0) {
        put_blanks(self, xml_number(element, "c", MAX_BLANKS, 1));
    } else if (strcmp(name, "tab") == 0) {
        layout_tab(&self->layout);
    } else if (strcmp(name, "line-break") == 0) {
        layout_line(&self->layout);
    } else if (strcmp(name, "note-body") == 0) {
        layout_aside_begin(&self->layout);
    }
}

static void end(void *context, const char *name)
{
    content_t *self = context;
    if (self->skip > 0) {
        self->skip--;
    } else if (strcmp(name, "body") == 0) {
        self->body--;
    } else if (is_paragraph(name)) {
        self->paragraph--;
        layout_line(&self->layout);
    } else if (is_cell(name)) {
        layout_cell_end(&self->layout, (unsigned)self->repeat);
    } else if (strcmp(name, "note-body") == 0) {
        layout_aside_end(&self->layout);
    } else if (strcmp(name, "table-row") == 0) {
        layout_row_end(&self->layout);
    } else if (strcmp(name, "table") == 0 || strcmp(name, "page") == 0) {
        layout_paragraph(&self->layout);
    }
}

static void text(void *context, const char *data, size_t size)
{
    content_t *self = context;
    if (self->skip == 0 && self->body > 0 && self->paragraph > 0) {
        layout_text(&self->layout, data, size);
    }
}

/* --- encryption ---------------------------------------------------------------------------------
 */

static void manifest_start(void *context, const xml_element_t *element)
{
    bool *encrypted = context;
    *encrypted = *encrypted || strcmp(element->name, "encryption-data") == 0;
}

static void manifest_end(void *context, const char *name)
{
    (void)context, (void)name;
}

static void manifest_text(void *context, const char *data, size_t size)
{
    (void)context, (void)data, (void)size;
}

/* Part 2, §3.8: what is encrypted says so in the manifest. One that can't be read says nothing. */
static bool is_encrypted(package_t *package)
{
    static const xml_handler_t manifest = {manifest_start, manifest_end, manifest_text};
    mailbus_error_t ignored;
    bool encrypted = false;
    return xml_read(package, "META-INF/manifest.xml", &manifest, &encrypted, &ignored) ==
               ENGINE_OK &&
           encrypted;
}

engine_status_t engine_odf(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    static const xml_handler_t content = {start, end, text};
    package_t *package = NULL;
    content_t self = {.repeat = 1};
    layout_init(&self.layout, out);
    engine_status_t status = package_open(input, &package, why);
    if (status == ENGINE_OK && is_encrypted(package)) {
        status = engine_fail(why, ENGINE_ENCRYPTED, "an OpenDocument behind a password");
    }
    if (status == ENGINE_OK) {
        status = xml_read(package, "content.xml", &content, &self, why);
    }
    package_close(&package);
    return status;
}
