#include "history.h"

#include <string.h>

#include "agentmail/address.h"
#include "clock.h"
#include "when.h"

const mb_setting_t history_settings[] = {
    {.key = "history.action",
     .type = MB_CHOICE,
     .value = "all",
     .help = "what was done with the mail",
     .choices = "all answered forwarded silent rejected would-answer would-forward"},
    {.key = "history.since", .type = MB_TEXT, .value = "", .help = "only since then"},
    {.key = NULL},
};

static const table_column_t columns[] = {
    {"time", "TIME", 20},       {"action", "ACTION", 13}, {"sender", "FROM", 36},
    {"inbox", "INBOX", 30},     {"part", "PART", 16},     {"recipient", "SENT TO", 36},
    {"subject", "SUBJECT", 30}, {"reason", "WHY", 0},     {NULL, NULL, 0},
};

static mailbus_code_t add_address(cli_t *cli, cJSON *request, mailbus_error_t *error)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    if (cli->count == 0) {
        return MAILBUS_OK;
    }
    const char *text = cli->operands[0];
    mailbus_code_t code = MAILBUS_OK;
    if (agentmail_address_parse(text, strlen(text), &list, NULL) != MAILBUS_OK || list.count != 1) {
        code = cli_usage(cli, error, "\"%.80s\" is no mail address", text);
    } else if (cJSON_AddStringToObject(request, "address", list.items[0].address) == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    agentmail_addresses_free(&list);
    return code;
}

static mailbus_code_t add_since(cli_t *cli, cJSON *request, mailbus_error_t *error)
{
    when_t when = {0};
    mailbus_error_t why = {0};
    const char *since = mb_settings_text(cli->settings, "history.since");
    if (since[0] == '\0') {
        return MAILBUS_OK;
    }
    if (when_parse(since, mb_clock_wall_ms(), &when, &why) != MAILBUS_OK || !when.is_time) {
        return cli_usage(cli, error, "--since: %s",
                         why.text[0] != '\0' ? why.text : "a time, or how long ago (2h, 3d)");
    }
    return cJSON_AddNumberToObject(request, "since_ms", (double)when.ms) != NULL
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

mailbus_code_t history_list(cli_t *cli, const state_program_t *program, mailbus_error_t *error)
{
    const char *action = mb_settings_text(cli->settings, "history.action");
    cJSON *request = cJSON_CreateObject();
    mailbus_code_t code = MAILBUS_OK;
    if (request == NULL || (strcmp(action, "all") != 0 &&
                            cJSON_AddStringToObject(request, "action", action) == NULL)) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = add_address(cli, request, error);
    }
    if (code == MAILBUS_OK) {
        code = add_since(cli, request, error);
    }
    if (code == MAILBUS_OK) {
        code = state_list(cli, program, "history", request, columns,
                          "nothing in the history that fits", error);
    }
    cJSON_Delete(request);
    return code;
}
