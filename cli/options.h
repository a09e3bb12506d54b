/* The command line of one command: options may stand before and behind the operands. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"

typedef struct {
    mb_settings_t *settings;
    char **arguments; /* argv with the options first; the texts are argv's */
    char **operands;  /* in `arguments` */
    size_t count;
    char program[32];
} options_t;

/* Read `argv` (argv[1] is the command's name). Whatever comes back, options_free is called after
 * it. */
MAILBUS_MUST_USE mailbus_code_t options_read(options_t *self, const cli_command_t *command,
                                             int argc, char **argv,
                                             mb_settings_action_t *ret_action,
                                             mailbus_error_t *error);
void options_free(options_t *self);

#endif
