/* A line of JSON a mail, and finding it again. Pure but for the reading of a descriptor. */
#ifndef ROUTE_JSONL_H
#define ROUTE_JSONL_H

#include "mailbus/event.h"
#include "route/card.h"

/* What every line begins with, followed by the mark. */
#define JSONL_BEGIN "{\"id\":\"route-"

/* Append the line, with its LF. */
void jsonl_render(const card_t *card, const mailbus_event_t *event,
                  const agentmail_message_t *message, mailbus_buf_t *out);
/* Is the whole line with that mark in the file, at or behind `place`? EIO. */
MAILBUS_MUST_USE mailbus_code_t jsonl_find(int fd, int64_t place, const char *mark, bool *ret_found,
                                           mailbus_error_t *error);

/* What is at the end of a file. */
typedef enum {
    JSONL_CLEAN,   /* nothing, or the end of a line */
    JSONL_TORN,    /* the beginning of a line of ours: the program or the machine went down */
    JSONL_FOREIGN, /* somebody else's line without its end */
} jsonl_end_t;

/* `ret_start`: where the last line begins that has no end. EIO. */
MAILBUS_MUST_USE mailbus_code_t jsonl_end(int fd, int64_t size, jsonl_end_t *ret_end,
                                          int64_t *ret_start, mailbus_error_t *error);

#endif
