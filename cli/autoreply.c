/* mailbus autoreply: what mailbus-autoreply did with each mail, and why. */
#include "history.h"
#include "outgoing/history.h"
#include "outgoing/outgoing.h"

static mailbus_code_t history(cli_t *cli, mailbus_error_t *error)
{
    static const mailbus_command_t commands[] = {OUTGOING_HISTORY, {NULL, NULL}};
    const state_program_t program = {
        .name = "autoreply", .schema = outgoing_schema, .commands = commands};
    return history_list(cli, &program, error);
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {{"history", 0, 1, history}};
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t *const settings[] = {state_settings, history_settings, NULL};

static const cli_option_t options[] = {
    HISTORY_OPTIONS,
    STATE_OPTIONS,
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_autoreply = {
    .name = "autoreply",
    .synopsis = "history [ADDRESS]",
    .summary = "what was done with each mail, and which rule or guard decided",
    .details =
        "  Newest first. ADDRESS is the sender's, or the one that the answer went to. A mail\n"
        "  that waits for its next try is not in it yet (its reason is in the log), and one that\n"
        "  was tried too often is among the dead letters (mailbus dead list --name autoreply).",
    .settings = settings,
    .options = options,
    .run = run,
};
