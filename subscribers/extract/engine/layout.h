/* Paragraphs, lines, rows and cells, for all engines whose documents have them: text that can be
 * read and searched, not the look of a page. */
#ifndef ENGINE_LAYOUT_H
#define ENGINE_LAYOUT_H

#include <stdbool.h>

#include "engine.h"

typedef struct {
    FILE *out;
    int cells;         /* how deep in cells and asides: there a paragraph ends with a blank */
    unsigned newlines; /* owed before the next text */
    unsigned tabs;     /* owed too, on the line */
    bool blank;        /* owed too */
    bool started;      /* there is text */
    bool line;         /* there is text on this line */
} layout_t;

void layout_init(layout_t *self, FILE *out);
/* Text as it stands; blanks are the caller's matter. */
void layout_text(layout_t *self, const char *data, size_t size);
/* Text as HTML takes it: any white space is one blank. */
void layout_words(layout_t *self, const char *data, size_t size);
/* From here on a new line, one empty line after `paragraph`; in a cell, a blank. */
void layout_line(layout_t *self);
void layout_paragraph(layout_t *self);
void layout_tab(layout_t *self); /* inside of a text */
void layout_cell_begin(layout_t *self);
void layout_cell_end(layout_t *self, unsigned columns); /* it spans as many; at most 16 are shown */
void layout_row_end(layout_t *self);
/* A text of its own in the middle of a line, in brackets: a footnote. */
void layout_aside_begin(layout_t *self);
void layout_aside_end(layout_t *self);

#endif
