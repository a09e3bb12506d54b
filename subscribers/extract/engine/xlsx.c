/* XLSX (ECMA-376 part 1, §18): sheet by sheet, a line a row, tabs between cells. Values are those
 * that were stored, formulas' too; dates are written as such. */
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "relations.h"
#include "sheet_date.h"
#include "xml.h"

enum {
    MAX_COLUMNS = 16384, /* XFD, §18.3.1.4 */
    VALUE_SIZE = 64,     /* of a number, as text */
};

/* --- strings that cells share -------------------------------------------------------------------
 */

typedef struct {
    mailbus_buf_t text;
    size_t *ends; /* of string i in text */
    size_t count, capacity;
    int in_text, in_reading; /* t, and rPh: how a Japanese name is read */
    bool no_memory;
} strings_t;

static void strings_start(void *context, const xml_element_t *element)
{
    strings_t *self = context;
    self->in_text += strcmp(element->name, "t") == 0 ? 1 : 0;
    self->in_reading += strcmp(element->name, "rPh") == 0 ? 1 : 0;
}

static void strings_end(void *context, const char *name)
{
    strings_t *self = context;
    self->in_text -= strcmp(name, "t") == 0 ? 1 : 0;
    self->in_reading -= strcmp(name, "rPh") == 0 ? 1 : 0;
    if (strcmp(name, "si") != 0) {
        return;
    }
    if (self->count == self->capacity) {
        size_t capacity = self->capacity == 0 ? 256 : self->capacity * 2;
        size_t *ends = realloc(self->ends, capacity * sizeof *ends);
        if (ends == NULL) {
            self->no_memory = true;
            return;
        }
        self->ends = ends;
        self->capacity = capacity;
    }
    self->ends[self->count++] = self->text.size;
}

static void strings_text(void *context, const char *data, size_t size)
{
    strings_t *self = context;
    if (self->in_text > 0 && self->in_reading == 0) {
        mailbus_buf_append(&self->text, data, size);
    }
}

static engine_status_t strings_read(package_t *package, strings_t *self, mailbus_error_t *why)
{
    static const xml_handler_t handler = {strings_start, strings_end, strings_text};
    if (!package_has(package, "xl/sharedStrings.xml")) {
        return ENGINE_OK;
    }
    engine_status_t status = xml_read(package, "xl/sharedStrings.xml", &handler, self, why);
    if (status == ENGINE_OK && (self->no_memory || self->text.failed)) {
        return engine_fail(why, ENGINE_MEMORY, "out of memory");
    }
    return status;
}

/* --- sheets -------------------------------------------------------------------------------------
 */

typedef struct {
    layout_t layout;
    const strings_t *strings;
    const sheet_dates_t *dates;
    long column;            /* of this cell, from 0 */
    long style;             /* of this cell */
    bool shared;            /* its value is a number of a string */
    bool number;            /* its value is a number, perhaps a date */
    int in_value;           /* v, or t of an inline string */
    int in_reading;         /* rPh */
    char value[VALUE_SIZE]; /* of a number */
    size_t value_size;
} sheet_t;

/* "BC12" → 54; -1 where it is no such name. */
static long column_of(const char *reference)
{
    long column = 0;
    for (; *reference >= 'A' && *reference <= 'Z'; reference++) {
        column = column * 26 + (*reference - 'A' + 1);
        if (column > MAX_COLUMNS) {
            return -1;
        }
    }
    return column - 1;
}

static void begin_cell(sheet_t *self, const xml_element_t *element)
{
    char reference[16], type[16];
    long column = xml_attribute(element, "r", reference, sizeof reference) ? column_of(reference)
                                                                           : self->column + 1;
    if (column > self->column) {
        /* Cells of a row are one piece of text each, and what is between them tabs. */
        layout_cell_begin(&self->layout);
        layout_cell_end(&self->layout, (unsigned)(column - (self->column < 0 ? 0 : self->column)));
        self->column = column;
    }
    bool typed = xml_attribute(element, "t", type, sizeof type);
    self->shared = strcmp(type, "s") == 0;
    self->number = !typed || strcmp(type, "n") == 0;
    self->style = xml_number(element, "s", INT32_MAX, 0);
    self->value_size = 0;
}

static void put_shared(sheet_t *self)
{
    const strings_t *strings = self->strings;
    char *behind = NULL;
    unsigned long index = strtoul(self->value, &behind, 10);
    if (behind != self->value && index < strings->count) {
        size_t begin = index == 0 ? 0 : strings->ends[index - 1];
        layout_text(&self->layout, strings->text.data + begin, strings->ends[index] - begin);
    }
}

static void end_cell(sheet_t *self)
{
    char date[SHEET_DATE_SIZE];
    self->value[self->value_size] = '\0';
    if (self->value_size == 0) {
        return;
    }
    if (self->shared) {
        put_shared(self);
    } else if ((size_t)self->style < self->dates->count && self->dates->styles[self->style] &&
               sheet_date_text(self->value, self->dates->since_1904, date)) {
        layout_text(&self->layout, date, strlen(date));
    } else {
        layout_text(&self->layout, self->value, self->value_size);
    }
}

static void sheet_start(void *context, const xml_element_t *element)
{
    sheet_t *self = context;
    if (strcmp(element->name, "row") == 0) {
        self->column = -1;
    } else if (strcmp(element->name, "c") == 0) {
        begin_cell(self, element);
    } else if (strcmp(element->name, "v") == 0 || strcmp(element->name, "t") == 0) {
        self->in_value++;
    } else if (strcmp(element->name, "rPh") == 0) {
        self->in_reading++;
    }
}

static void sheet_end(void *context, const char *name)
{
    sheet_t *self = context;
    if (strcmp(name, "row") == 0) {
        layout_row_end(&self->layout);
    } else if (strcmp(name, "c") == 0) {
        end_cell(self);
    } else if (strcmp(name, "v") == 0 || strcmp(name, "t") == 0) {
        self->in_value--;
    } else if (strcmp(name, "rPh") == 0) {
        self->in_reading--;
    }
}

static void sheet_text(void *context, const char *data, size_t size)
{
    sheet_t *self = context;
    if (self->in_value == 0 || self->in_reading > 0) {
        return;
    }
    if (!self->shared && !self->number) {
        layout_text(&self->layout, data, size);
        return;
    }
    size_t room = VALUE_SIZE - 1 - self->value_size;
    size_t keep = size < room ? size : room;
    memcpy(self->value + self->value_size, data, keep);
    self->value_size += keep;
}

static engine_status_t read_sheets(package_t *package, const relations_t *sheets, sheet_t *sheet,
                                   mailbus_error_t *why)
{
    static const xml_handler_t handler = {sheet_start, sheet_end, sheet_text};
    engine_status_t status = ENGINE_OK;
    for (size_t i = 0; status == ENGINE_OK && i < sheets->count; i++) {
        const relation_t *item = &sheets->items[i];
        sheet->in_value = sheet->in_reading = 0;
        sheet->column = -1;
        layout_text(&sheet->layout, item->name, strlen(item->name));
        layout_line(&sheet->layout);
        status = xml_read(package, item->part, &handler, sheet, why);
        layout_paragraph(&sheet->layout);
    }
    return status;
}

engine_status_t engine_xlsx(const engine_input_t *input, FILE *out, mailbus_error_t *why)
{
    package_t *package = NULL;
    strings_t strings = {.text = MAILBUS_BUF_INIT};
    sheet_dates_t dates = SHEET_DATES_INIT;
    relations_t sheets = RELATIONS_INIT;
    sheet_t sheet = {.strings = &strings, .dates = &dates};
    layout_init(&sheet.layout, out);
    engine_status_t status = package_open(input, &package, why);
    if (status == ENGINE_OK) {
        status = strings_read(package, &strings, why);
    }
    if (status == ENGINE_OK) {
        status = sheet_dates_read(package, &dates, why);
    }
    if (status == ENGINE_OK) {
        status = relations_list(package, "xl/", "workbook.xml", "sheet", &sheets, why);
    }
    if (status == ENGINE_OK) {
        status = read_sheets(package, &sheets, &sheet, why);
    }
    relations_free(&sheets);
    sheet_dates_free(&dates);
    mailbus_buf_free(&strings.text);
    free(strings.ends);
    package_close(&package);
    return status;
}
