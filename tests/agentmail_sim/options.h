/* The command line of the stand-in. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "log.h"
#include "mailbus/error.h"

typedef struct {
    const char *listen;
    const char *webhook_url; /* NULL: none */
    const char *secret;      /* NULL: one is made up */
    double time_scale;       /* how much faster than real time retries come */
    char **inboxes;          /* bare addresses; freed by options_clear */
    size_t inbox_count;
    bool reject_blocked;
    bool strip_marks;
    mb_log_format_t log_format;
    mb_log_level_t log_level;
    bool help;
    bool version;
} options_t;

MAILBUS_MUST_USE mailbus_code_t options_read(int argc, char **argv, options_t *ret_options,
                                             mailbus_error_t *error);
void options_clear(options_t *self);
const char *options_help(void);

#endif
