/* What people ask: list, show, clear, rates. README.md says what they answer. */
#ifndef BOUNCES_COMMANDS_H
#define BOUNCES_COMMANDS_H

#include "command.h"
#include "mailbus/subscriber.h"

extern const mailbus_command_t bounces_commands[]; /* ends with a NULL name */

mb_command_fn bounces_rates; /* commands_rates.c */

#endif
