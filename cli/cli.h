/* The mailbus program: a table of commands, and what all of them share. One thread. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "mailbus/error.h"
#include "settings.h"

typedef struct {
    mb_settings_t *settings;
    char **operands; /* what stands behind the command, less its options */
    size_t count;
    bool colour; /* standard output is a terminal that wants colours */
    bool usage;  /* the failure is one of the command line: exit status 2 */
    int status;  /* the exit status of a run that did not fail; 0 unless a command says more */
} cli_t;

/* One more option of a command: sets `key`. Ends with a NULL option. */
typedef struct {
    const char *option;
    const char *key;
    bool takes_value;
    const char *help;
} cli_option_t;

/* One command; everything is static. `run` prints to standard output; a failure comes back in
 * `error` and is printed by main. ESTOPPED: the user ended it, no failure. */
typedef struct {
    const char *name;
    const char *synopsis;                /* its operands in the usage line, or NULL */
    const char *summary;                 /* one line */
    const char *details;                 /* further lines of help, or NULL */
    const mb_setting_t *const *settings; /* tables, ends with NULL */
    const cli_option_t *options;
    mailbus_code_t (*run)(cli_t *cli, mailbus_error_t *error);
} cli_command_t;

extern const cli_command_t cli_tail;
extern const cli_command_t cli_fetch;
extern const cli_command_t cli_status;
extern const cli_command_t cli_webhook;
extern const cli_command_t cli_dead;
extern const cli_command_t cli_bounces;
extern const cli_command_t cli_keys;
extern const cli_command_t cli_check;
extern const cli_command_t cli_autoreply;
extern const cli_command_t cli_suppression;
extern const cli_command_t cli_route;
extern const cli_command_t cli_extract;

/* Tables that several commands take. */
extern const mb_setting_t
    cli_bus_settings[]; /* bus.publish, bus.replay, bus.curve_…, cli.timeout */
extern const mb_setting_t cli_key_settings[]; /* bus.curve_dir, bus.curve_name */

/* A failure of the command line: EINVAL, exit status 2. */
mailbus_code_t cli_usage(cli_t *cli, mailbus_error_t *error, const char *format, ...)
    MAILBUS_PRINTF(3, 4);

/* One of a command's own verbs: "keys new". */
typedef struct {
    const char *name;
    size_t least, most; /* operands behind it */
    mailbus_code_t (*run)(cli_t *cli, mailbus_error_t *error);
} cli_verb_t;
/* Run the verb that the first operand names; `operands` then are those behind it. */
mailbus_code_t cli_run_verb(cli_t *cli, const cli_verb_t *verbs, size_t count,
                            mailbus_error_t *error);

/* Flush standard output; ESTOPPED where its reader has gone (`mailbus fetch | head`), EIO where it
 * can't be written. */
MAILBUS_MUST_USE mailbus_code_t cli_flush(mailbus_error_t *error);

#endif
