/* The history of a program that sends mail by itself (outgoing/history.h), printed: `mailbus
 * autoreply history` and the like. */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "state.h"

/* history.action, history.since; for cli_command_t.settings, beside state_settings. */
extern const mb_setting_t history_settings[];
/* Rows for cli_command_t.options, beside STATE_OPTIONS. */
#define HISTORY_OPTIONS                                                                            \
    {"--action", "history.action", true, "only what was answered, silent, rejected, …"},           \
    {                                                                                              \
        "--since", "history.since", true, "only since then: 2026-10-12, 2h, 3d"                    \
    }

/* The operand, where there is one, is an address: the sender's or the one that was written to. */
MAILBUS_MUST_USE mailbus_code_t history_list(cli_t *cli, const state_program_t *program,
                                             mailbus_error_t *error);

#endif
