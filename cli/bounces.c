/* mailbus bounces: which addresses can't be written to, and why. */
#include <stdio.h>

#include "bounces/commands.h"
#include "bounces/ledger.h"
#include "cli.h"
#include "mailbus/json.h"
#include "state.h"

static const state_program_t program = {
    .name = "bounces", .schema = ledger_schema, .commands = bounces_commands};

static const table_column_t list_columns[] = {
    {"address", "ADDRESS", 40},    {"state", "STATE", 0},
    {"until", "UNTIL", 0},         {"soft", "SOFT", 0},
    {"hard", "HARD", 0},           {"sender", "SENDER", 0},
    {"delivered", "DELIVERED", 0}, {"last", "LAST", 0},
    {"reason", "REASON", 0},       {NULL, NULL, 0},
};

static const table_column_t all_columns[] = {
    {"address", "ADDRESS", 0}, {"state", "STATE", 0},
    {"since", "SINCE", 0},     {"until", "UNTIL", 0},
    {"reason", "REASON", 0},   {"counting", "COUNTING", 0},
    {"sent", "SENT", 0},       {"delivered", "DELIVERED", 0},
    {"soft", "SOFT", 0},       {"hard", "HARD", 0},
    {"sender", "SENDER", 0},   {"known", "KNOWN", 0},
    {"notice", "NOTICE", 0},   {"rejected", "REJECTED", 0},
    {"first", "FIRST", 0},     {"last", "LAST", 0},
    {NULL, NULL, 0},
};

static const table_column_t history_columns[] = {
    {"time", "TIME", 0},       {"what", "WHAT", 0},          {"status", "STATUS", 24},
    {"type", "TYPE", 16},      {"sub_type", "SUB TYPE", 24}, {"inbox", "INBOX", 32},
    {"message", "MESSAGE", 0}, {"event", "EVENT", 0},        {"reason", "REASON", 0},
    {NULL, NULL, 0},
};

static const table_column_t rates_columns[] = {
    {"inbox", "INBOX", 0},         {"verdict", "VERDICT", 0},   {"percent", "PERCENT", 0},
    {"sent", "SENT", 0},           {"bounced", "BOUNCED", 0},   {"hard", "HARD", 0},
    {"delivered", "DELIVERED", 0}, {"rejected", "REJECTED", 0}, {NULL, NULL, 0},
};

static mailbus_code_t no_memory(mailbus_error_t *error)
{
    return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

/* Put the setting's text under `name` where it is not empty. */
static bool pass_on(cli_t *cli, const char *key, const char *name, cJSON *request)
{
    const char *text = mb_settings_text(cli->settings, key);
    return text[0] == '\0' || cJSON_AddStringToObject(request, name, text) != NULL;
}

static mailbus_code_t list_as(cli_t *cli, const char *only, const table_column_t *columns,
                              table_format_t format, mailbus_error_t *error)
{
    cJSON *request = cJSON_CreateObject();
    const char *chosen = mb_settings_text(cli->settings, "bounces.only");
    chosen = chosen[0] != '\0' ? chosen : only;
    mailbus_code_t code = cJSON_AddStringToObject(request, "only", chosen) != NULL &&
                                  pass_on(cli, "bounces.domain", "domain", request) &&
                                  pass_on(cli, "bounces.inbox", "inbox", request)
                              ? MAILBUS_OK
                              : no_memory(error);
    if (code == MAILBUS_OK) {
        code =
            state_list_as(cli, &program, "list", request, columns, format,
                          "no address like that (--only all shows every one that is known)", error);
    }
    cJSON_Delete(request);
    return code;
}

static mailbus_code_t list(cli_t *cli, mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    mailbus_code_t code = state_format(cli, &format, error);
    return code != MAILBUS_OK
               ? code
               : list_as(cli, "bounced", format == TABLE_TEXT ? list_columns : all_columns, format,
                         error);
}

static mailbus_code_t export(cli_t *cli, mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    mailbus_code_t code = state_format(cli, &format, error);
    return code != MAILBUS_OK
               ? code
               : list_as(cli, "all", all_columns, format == TABLE_TEXT ? TABLE_CSV : format, error);
}

/* One address: what is known, and then its history. As CSV the history alone: one table a file. */
static mailbus_code_t print_address(const cJSON *answer, table_format_t format,
                                    mailbus_error_t *error)
{
    table_t *summary = NULL;
    table_t *history = NULL;
    mailbus_code_t code = table_new(all_columns, format, stdout, &summary, error);
    if (code == MAILBUS_OK) {
        code = table_new(history_columns, format, stdout, &history, error);
    }
    if (code == MAILBUS_OK && format != TABLE_CSV) {
        table_object(summary, answer);
    }
    if (code == MAILBUS_OK && format == TABLE_TEXT) {
        printf("\n");
    }
    if (code == MAILBUS_OK && format != TABLE_JSON) {
        table_rows(history, mailbus_json_item(answer, "history"));
    }
    table_destroy(&summary);
    table_destroy(&history);
    return code;
}

/* Ask about the address in the first operand, and print what is known of it then. */
static mailbus_code_t ask_address(cli_t *cli, const char *command, mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    cJSON *answer = NULL;
    cJSON *request = cJSON_CreateObject();
    mailbus_code_t code = state_format(cli, &format, error);
    if (code == MAILBUS_OK &&
        (cJSON_AddStringToObject(request, "address", cli->operands[0]) == NULL ||
         !pass_on(cli, "bounces.reason", "reason", request))) {
        code = no_memory(error);
    }
    if (code == MAILBUS_OK) {
        code = state_ask(cli, &program, command, request, &answer, error);
    }
    if (code == MAILBUS_OK) {
        code = print_address(answer, format, error);
    }
    cJSON_Delete(request);
    cJSON_Delete(answer);
    return code;
}

static mailbus_code_t show(cli_t *cli, mailbus_error_t *error)
{
    return ask_address(cli, "show", error);
}

static mailbus_code_t clear(cli_t *cli, mailbus_error_t *error)
{
    if (mb_settings_text(cli->settings, "bounces.reason")[0] == '\0') {
        return cli_usage(cli, error,
                         "say why, for whoever reads the history later: --reason \"asked her\"");
    }
    return ask_address(cli, "clear", error);
}

static mailbus_code_t rates(cli_t *cli, mailbus_error_t *error)
{
    cJSON *request = cJSON_CreateObject();
    mailbus_code_t code =
        pass_on(cli, "bounces.inbox", "inbox", request) ? MAILBUS_OK : no_memory(error);
    if (code == MAILBUS_OK) {
        code = state_list(cli, &program, "rates", request, rates_columns,
                          "nothing was sent within rates.window", error);
    }
    cJSON_Delete(request);
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {
        {"list", 0, 0, list},   {"show", 1, 1, show},     {"clear", 1, 1, clear},
        {"rates", 0, 0, rates}, {"export", 0, 0, export},
    };
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t own_settings[] = {
    {.key = "bounces.only",
     .type = MB_TEXT,
     .value = "",
     .help = "which addresses: bounced, ok, paused, dead or all; empty: bounced (list), all "
             "(export)"},
    {.key = "bounces.domain",
     .type = MB_TEXT,
     .value = "",
     .help = "addresses of this domain only"},
    {.key = "bounces.inbox",
     .type = MB_TEXT,
     .value = "",
     .help = "addresses that bounced mail of this inbox only; the rate of this one"},
    {.key = "bounces.reason", .type = MB_TEXT, .value = "", .help = "why an address is cleared"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {state_settings, own_settings, NULL};

static const cli_option_t options[] = {
    {"--only", "bounces.only", true, "bounced, ok, paused, dead or all (list, export)"},
    {"--domain", "bounces.domain", true, "of this domain only (list, export)"},
    {"--inbox", "bounces.inbox", true, "of this inbox only (list, export, rates)"},
    {"--reason", "bounces.reason", true, "why (clear)"},
    STATE_OPTIONS,
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_bounces = {
    .name = "bounces",
    .synopsis = "list | show ADDRESS | clear ADDRESS --reason WHY | rates | export",
    .summary = "addresses that bounced: who is dead, who is paused, bounce rates of the inboxes",
    .details =
        "  list    addresses that bounced, and what that makes of them\n"
        "  show    all that is known of one, with its history\n"
        "  clear   forget what speaks against it; the reason is kept in the history\n"
        "  rates   what was sent and what bounced, per inbox, against the service's limits\n"
        "  export  every address that is known, as CSV (or --json)\n"
        "  A program that runs is asked through its admin listener, of a stopped one the file is "
        "read.",
    .settings = settings,
    .options = options,
    .run = run,
};
