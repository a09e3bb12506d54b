/* A subscriber's own tables, asked by its commands (mailbus_command_t): in its file where the
 * program is stopped, through its admin listener where it runs (place.h). */
#ifndef CLI_STATE_H
#define CLI_STATE_H

#include <cjson/cJSON.h>

#include "cli.h"
#include "mailbus/subscriber.h"
#include "table.h"

typedef struct {
    const char
        *name; /* "bounces": the file is mailbus-data/bounces.db unless --state says otherwise */
    const char *schema; /* the subscriber's, brought up to date before a command runs on the file */
    const mailbus_command_t *commands;
} state_program_t;

/* state.path, state.admin, state.json, state.csv, cli.timeout; for cli_command_t.settings. */
extern const mb_setting_t state_settings[];
/* --state FILE, --admin ADDRESS, --json, --csv, --timeout: rows for cli_command_t.options. */
#define STATE_OPTIONS                                                                              \
    {"--state", "state.path", true, "the subscriber's state file"},                                \
        {"--admin", "state.admin", true, "its admin listener, where the file is elsewhere"},       \
        {"--json", "state.json", false, "one JSON object a line"},                                 \
        {"--csv", "state.csv", false, "CSV (RFC 4180), with a header"},                            \
    {                                                                                              \
        "--timeout", "cli.timeout", true, "how long to wait for an answer"                         \
    }

/* One command, one answer (to be deleted). `request` may be NULL: {}. Errors are the command's;
 * besides them ENOTFOUND (no such file, nobody listens, a program that does not know the command),
 * EEXIST (in use by a program without an admin listener), EACCESS (it does not let us), ETIMEOUT,
 * EIO. `command` is one of the program's: asserted. */
MAILBUS_MUST_USE mailbus_code_t state_ask(cli_t *cli, const state_program_t *program,
                                          const char *command, const cJSON *request,
                                          cJSON **ret_answer, mailbus_error_t *error);
/* A listing command, page after page, printed as a table, JSON lines or CSV as the options say.
 * `request` (an object) gets "after" and "limit". `empty`: said on stderr where there is no row. */
MAILBUS_MUST_USE mailbus_code_t state_list(cli_t *cli, const state_program_t *program,
                                           const char *command, cJSON *request,
                                           const table_column_t *columns, const char *empty,
                                           mailbus_error_t *error);
/* The same in a format of the caller's choice: an export is CSV where nobody says otherwise. */
MAILBUS_MUST_USE mailbus_code_t state_list_as(cli_t *cli, const state_program_t *program,
                                              const char *command, cJSON *request,
                                              const table_column_t *columns, table_format_t format,
                                              const char *empty, mailbus_error_t *error);
/* A command whose answer is one object, printed as table_object does. */
MAILBUS_MUST_USE mailbus_code_t state_show(cli_t *cli, const state_program_t *program,
                                           const char *command, const cJSON *request,
                                           const table_column_t *columns, mailbus_error_t *error);
/* The format that --json and --csv ask for; a usage error where both do. */
MAILBUS_MUST_USE mailbus_code_t state_format(cli_t *cli, table_format_t *ret_format,
                                             mailbus_error_t *error);

#endif
