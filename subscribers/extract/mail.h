/* The way of one mail: choose its files, fetch and read each, write down what came out, do with it
 * what the settings say, answer the mail.
 *
 * Every step is noted before the next one, so that a try that ends anywhere goes on where the last
 * one was: a file is read once, an effect happens once, and one bad file or a receiver that is away
 * holds nothing up but itself. */
#ifndef EXTRACT_MAIL_H
#define EXTRACT_MAIL_H

#include "busy.h"
#include "config.h"
#include "output_bus.h"

/* What all mails share. */
typedef struct {
    outgoing_t *outgoing;
    output_bus_t *bus; /* NULL: nothing is published, or this is a dry run */
    busy_t *busy;
} mail_program_t;

/* Handle one task to its verdict. */
mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config,
                              const mail_program_t *program, int64_t now_ms);

#endif
