/* An event as text: one line for people, one JSON object for pipes, its body to read.
 *
 * Names, subjects and bodies come from strangers: whatever could move a cursor, ring, or turn the
 * direction of writing is taken out of lines, and escaped in JSON. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "mailbus/event.h"

typedef enum { SHOW_LINE, SHOW_BODY, SHOW_JSON } show_form_t;

typedef struct {
    show_form_t form; /* BODY: the line, and the body below it */
    bool colour;
} show_options_t;

/* Append the event with its last newline. `header`: its frame as it came. */
void show_event(const show_options_t *options, const mailbus_event_t *event, const void *header,
                size_t header_size, mailbus_buf_t *out);

/* Append a body to read, indented, a line at a time. */
void show_body(const void *body, size_t size, mailbus_buf_t *out);

/* Append valid JSON on one line, harmless to a terminal: white space between tokens goes, DEL, C1
 * controls and marks that turn the writing direction become \uXXXX, which means the same. */
void show_json(const char *json, size_t size, mailbus_buf_t *out);

#endif
