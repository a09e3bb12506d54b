/* mailbus route: what mailbus-route did with each mail, and doing again what it was unsure of. */
#include <stdio.h>
#include <string.h>

#include "mailbus/json.h"
#include "route/commands.h"
#include "route/effects.h"
#include "state.h"

static const state_program_t program = {
    .name = "route", .schema = effects_schema, .commands = route_commands};

static const table_column_t columns[] = {
    {"time", "TIME", 20},      {"action", "ACTION", 10},   {"rule", "RULE", 16},
    {"target", "TARGET", 16},  {"sender", "FROM", 30},     {"subject", "SUBJECT", 30},
    {"event_id", "EVENT", 40}, {"reference", "WHERE", 60}, {"reason", "WHY", 0},
    {NULL, NULL, 0},
};

/* An option's value, where it is given, as a member of the request. */
static bool add(cli_t *cli, cJSON *request, const char *key, const char *setting)
{
    const char *value = mb_settings_text(cli->settings, setting);
    return value[0] == '\0' || cJSON_AddStringToObject(request, key, value) != NULL;
}

static mailbus_code_t make_request(cli_t *cli, cJSON **ret_request, mailbus_error_t *error)
{
    cJSON *request = cJSON_CreateObject();
    if (request == NULL || !add(cli, request, "rule", "route.rule") ||
        !add(cli, request, "event", "route.event")) {
        cJSON_Delete(request);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_request = request;
    return MAILBUS_OK;
}

static mailbus_code_t history(cli_t *cli, mailbus_error_t *error)
{
    cJSON *request = NULL;
    const char *action = mb_settings_text(cli->settings, "route.action");
    mailbus_code_t code = make_request(cli, &request, error);
    if (code == MAILBUS_OK && strcmp(action, "all") != 0 &&
        cJSON_AddStringToObject(request, "action", action) == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = state_list(cli, &program, "history", request, columns,
                          "nothing in the history that fits", error);
    }
    cJSON_Delete(request);
    return code;
}

static mailbus_code_t again(cli_t *cli, mailbus_error_t *error)
{
    cJSON *request = NULL;
    cJSON *answer = NULL;
    if (mb_settings_text(cli->settings, "route.event")[0] == '\0') {
        return cli_usage(cli, error,
                         "which event? --event ID, as 'mailbus route history' shows it");
    }
    mailbus_code_t code = make_request(cli, &request, error);
    if (code == MAILBUS_OK) {
        code = state_ask(cli, &program, "again", request, &answer, error);
    }
    if (code == MAILBUS_OK) {
        printf("it will be done when its dead letter is retried: mailbus dead list --name route\n");
    }
    cJSON_Delete(request);
    cJSON_Delete(answer);
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {{"history", 0, 0, history}, {"again", 0, 0, again}};
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t route_settings[] = {
    {.key = "route.rule", .type = MB_TEXT, .value = "", .help = "only this rule"},
    {.key = "route.event", .type = MB_TEXT, .value = "", .help = "only this event"},
    {.key = "route.action",
     .type = MB_CHOICE,
     .value = "all",
     .help = "what was done with the mail",
     .choices = "all sent silent rejected would-send"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {state_settings, route_settings, NULL};

static const cli_option_t options[] = {
    {"--rule", "route.rule", true, "only what this rule asked for"},
    {"--event", "route.event", true, "only what was done with this event"},
    {"--action", "route.action", true, "only what was sent, silent, rejected, …"},
    STATE_OPTIONS,
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_route = {
    .name = "route",
    .synopsis = "history | again --event ID",
    .summary = "what was done with each mail: rule, target, result",
    .details =
        "  history    newest first. A mail that waits for its next try is not in it yet.\n"
        "  again      what was given up because it may have happened already is done (perhaps a\n"
        "             second time) when its dead letter is retried.",
    .settings = settings,
    .options = options,
    .run = run,
};
