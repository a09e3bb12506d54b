#include "layout.h"

#include <string.h>

enum {
    MAX_TABS = 16,    /* between two cells: a sheet may have 16384 empty columns */
    MAX_NEWLINES = 2, /* one is the line's, one is empty */
};

void layout_init(layout_t *self, FILE *out)
{
    *self = (layout_t){.out = out};
}

/* Pay what is owed. */
static void begin_text(layout_t *self)
{
    if (self->newlines > 0 && self->started) {
        for (unsigned i = self->newlines; i > 0; i--) {
            putc_unlocked('\n', self->out);
        }
        self->blank = false;
    }
    for (; self->tabs > 0; self->tabs--) {
        putc_unlocked('\t', self->out);
        self->blank = false;
    }
    if (self->blank && self->line) {
        putc_unlocked(' ', self->out);
    }
    self->newlines = 0;
    self->blank = false;
    self->started = true;
    self->line = true;
}

void layout_text(layout_t *self, const char *data, size_t size)
{
    if (size > 0) {
        begin_text(self);
        fwrite_unlocked(data, 1, size, self->out);
    }
}

void layout_words(layout_t *self, const char *data, size_t size)
{
    static const char blanks[] = " \t\n\f\r";
    while (size > 0) {
        size_t word = 0;
        while (word < size && (data[word] == '\0' || strchr(blanks, data[word]) == NULL)) {
            word++;
        }
        layout_text(self, data, word);
        data += word;
        size -= word;
        while (size > 0 && data[0] != '\0' && strchr(blanks, data[0]) != NULL) {
            self->blank = true;
            data++;
            size--;
        }
    }
}

static void owe(layout_t *self, unsigned newlines)
{
    if (self->cells > 0) {
        self->blank = true;
        return;
    }
    if (self->newlines < newlines) {
        self->newlines = newlines;
    }
    self->tabs = 0;
    self->line = false;
}

void layout_line(layout_t *self)
{
    owe(self, 1);
}

void layout_paragraph(layout_t *self)
{
    owe(self, MAX_NEWLINES);
}

void layout_tab(layout_t *self)
{
    if (self->line) {
        putc_unlocked('\t', self->out);
        self->blank = false;
    }
}

void layout_cell_begin(layout_t *self)
{
    self->cells++;
}

void layout_cell_end(layout_t *self, unsigned columns)
{
    if (self->cells == 0) {
        return;
    }
    self->cells--;
    self->blank = false;
    if (self->cells > 0) { /* a table in a table is on its outer row's line */
        self->blank = true;
        return;
    }
    self->tabs += columns < MAX_TABS ? columns : MAX_TABS;
    if (self->tabs > MAX_TABS) {
        self->tabs = MAX_TABS;
    }
}

void layout_row_end(layout_t *self)
{
    owe(self, 1);
}

void layout_aside_begin(layout_t *self)
{
    self->blank = true;
    layout_text(self, "[", 1);
    self->cells++;
}

void layout_aside_end(layout_t *self)
{
    self->cells -= self->cells > 0 ? 1 : 0;
    self->blank = false;
    layout_text(self, "]", 1);
}
