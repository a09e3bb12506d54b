#include "state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "commands.h"
#include "mailbus/json.h"
#include "place.h"

enum {
    PAGE_ROWS = 500
}; /* of one question of a listing: the program does nothing else meanwhile */

const mb_setting_t state_settings[] = {
    {.key = "state.path",
     .type = MB_PATH,
     .value = "",
     .help = "the subscriber's state file; empty: mailbus-data/NAME.db"},
    {.key = "state.admin",
     .type = MB_ADDRESS,
     .value = "",
     .help = "its admin listener; empty: the one that its file names while it runs"},
    {.key = "state.json", .type = MB_BOOLEAN, .value = "no", .help = "one JSON object a line"},
    {.key = "state.csv", .type = MB_BOOLEAN, .value = "no", .help = "CSV, with a header"},
    {.key = "cli.timeout",
     .type = MB_DURATION,
     .value = "10s",
     .help = "how long to wait for an answer",
     .min = 100,
     .max = 600000},
    {.key = NULL},
};

mailbus_code_t state_format(cli_t *cli, table_format_t *ret_format, mailbus_error_t *error)
{
    bool json = mb_settings_boolean(cli->settings, "state.json");
    bool csv = mb_settings_boolean(cli->settings, "state.csv");
    if (json && csv) {
        return cli_usage(cli, error, "--json or --csv, not both");
    }
    *ret_format = json ? TABLE_JSON : csv ? TABLE_CSV : TABLE_TEXT;
    return MAILBUS_OK;
}

/* --- one question -------------------------------------------------------------------------------
 */

typedef struct {
    const state_program_t *program;
    const char *command;
    char *request; /* JSON */
} question_t;

/* On the file of a program that is stopped. */
static mailbus_code_t ask_file(place_t *place, const question_t *question, cJSON **ret_answer,
                               mailbus_error_t *error)
{
    mailbus_buf_t answer = {.limit = COMMANDS_ANSWER_MAX};
    commands_call_t call = {
        .command = commands_find(question->program->commands, question->command),
        .request = question->request,
        .size = strlen(question->request),
        .now_ms = mb_clock_wall_ms(),
        .answer = &answer,
    };
    assert(call.command != NULL);
    mailbus_code_t code = place_run(place, commands_run, &call, error);
    if (call.code != MAILBUS_OK) {
        code = mailbus_fail(error, call.code, "%s", call.why.text);
    }
    if (code == MAILBUS_OK) {
        code = mailbus_json_parse_object(answer.data != NULL ? answer.data : "", answer.size,
                                         ret_answer, error);
    }
    mailbus_buf_free(&answer);
    return code;
}

/* What a 404 means: the command's own, or there is nobody who knows the command. */
static mailbus_code_t judge_missing(const running_answer_t *answer, const place_t *place,
                                    const question_t *question, mailbus_error_t *error)
{
    const char *kind = mailbus_json_string(answer->tree, "code");
    if (kind == NULL || strcmp(kind, "unknown-command") == 0) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "the program on %.80s does not know the command \"%s\": it is an older "
                            "mailbus-%s, or another program",
                            running_address(place->running), question->command,
                            question->program->name);
    }
    const char *text = mailbus_json_string(answer->tree, "error");
    if (strcmp(kind, "other-program") == 0 && text != NULL) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND, "%.80s: %.160s",
                            running_address(place->running), text);
    }
    return running_judge(answer, error);
}

/* The program that runs. */
static mailbus_code_t ask_program(place_t *place, const question_t *question, cJSON **ret_answer,
                                  mailbus_error_t *error)
{
    char path[200];
    running_answer_t answer = {0};
    snprintf(path, sizeof path, "/command/%.80s?subscriber=%.80s", question->command,
             question->program->name);
    const running_question_t http = {.method = "POST",
                                     .path = path,
                                     .body = question->request,
                                     .size = strlen(question->request)};
    mailbus_code_t code = running_ask(place->running, &http, &answer, error);
    if (code == MAILBUS_OK) {
        code = answer.status == 404 ? judge_missing(&answer, place, question, error)
                                    : running_judge(&answer, error);
    }
    if (code != MAILBUS_OK) {
        cJSON_Delete(answer.tree);
        return code;
    }
    *ret_answer = answer.tree;
    return MAILBUS_OK;
}

mailbus_code_t state_ask(cli_t *cli, const state_program_t *program, const char *command,
                         const cJSON *request, cJSON **ret_answer, mailbus_error_t *error)
{
    char name[128];
    place_t place = {0};
    const char *path = mb_settings_text(cli->settings, "state.path");
    snprintf(name, sizeof name, "mailbus-data/%.80s.db", program->name);
    const place_options_t options = {
        .path = path[0] != '\0' ? path : name,
        .admin = mb_settings_text(cli->settings, "state.admin"),
        .schema = program->schema,
        .timeout_ms = (long)mb_settings_integer(cli->settings, "cli.timeout"),
    };
    question_t question = {
        .program = program,
        .command = command,
        .request = request != NULL ? cJSON_PrintUnformatted(request) : strdup("{}"),
    };
    mailbus_code_t code = question.request != NULL
                              ? place_open(&options, &place, error)
                              : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    if (code == MAILBUS_OK) {
        code = place.running != NULL ? ask_program(&place, &question, ret_answer, error)
                                     : ask_file(&place, &question, ret_answer, error);
        place_close(&place);
    }
    free(question.request); /* cJSON's allocator is malloc: its hooks are never set */
    return code;
}

/* --- printed ------------------------------------------------------------------------------------
 */

static bool set_item(cJSON *request, const char *key, cJSON *item)
{
    cJSON_DeleteItemFromObjectCaseSensitive(request, key);
    return cJSON_AddItemToObject(request, key, item);
}

/* Where the next page begins, put into the request; *ret_more is false at the end. */
static mailbus_code_t go_on(cJSON *request, const cJSON *answer, bool *ret_more,
                            mailbus_error_t *error)
{
    const cJSON *next = mailbus_json_item(answer, "next");
    if (next == NULL || cJSON_IsNull(next)) {
        *ret_more = false;
        return MAILBUS_OK;
    }
    if (cJSON_Compare(next, mailbus_json_item(request, "after"), true) != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "the answers go round in a circle");
    }
    cJSON *copy = cJSON_Duplicate(next, true);
    if (copy == NULL || !set_item(request, "after", copy)) {
        cJSON_Delete(copy);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_more = true;
    return MAILBUS_OK;
}

mailbus_code_t state_list(cli_t *cli, const state_program_t *program, const char *command,
                          cJSON *request, const table_column_t *columns, const char *empty,
                          mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    mailbus_code_t code = state_format(cli, &format, error);
    return code != MAILBUS_OK
               ? code
               : state_list_as(cli, program, command, request, columns, format, empty, error);
}

mailbus_code_t state_list_as(cli_t *cli, const state_program_t *program, const char *command,
                             cJSON *request, const table_column_t *columns, table_format_t format,
                             const char *empty, mailbus_error_t *error)
{
    table_t *table = NULL;
    int count = 0;
    bool more = true;
    mailbus_code_t code = table_new(columns, format, stdout, &table, error);
    if (code == MAILBUS_OK && !set_item(request, "limit", cJSON_CreateNumber(PAGE_ROWS))) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    while (code == MAILBUS_OK && more) {
        cJSON *answer = NULL;
        code = state_ask(cli, program, command, request, &answer, error);
        const cJSON *rows = mailbus_json_item(answer, "rows");
        if (code == MAILBUS_OK && !cJSON_IsArray(rows)) {
            code = mailbus_fail(error, MAILBUS_EIO, "the answer holds no rows");
        }
        if (code == MAILBUS_OK) {
            count += cJSON_GetArraySize(rows);
            if (count > 0 || format == TABLE_CSV) {
                table_rows(table, rows);
            }
            code = cli_flush(error);
        }
        if (code == MAILBUS_OK) {
            code = go_on(request, answer, &more, error);
        }
        cJSON_Delete(answer);
    }
    if (code == MAILBUS_OK && count == 0) {
        fprintf(stderr, "%s\n", empty);
    }
    table_destroy(&table);
    return code;
}

mailbus_code_t state_show(cli_t *cli, const state_program_t *program, const char *command,
                          const cJSON *request, const table_column_t *columns,
                          mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    table_t *table = NULL;
    cJSON *answer = NULL;
    mailbus_code_t code = state_format(cli, &format, error);
    if (code == MAILBUS_OK) {
        code = table_new(columns, format, stdout, &table, error);
    }
    if (code == MAILBUS_OK) {
        code = state_ask(cli, program, command, request, &answer, error);
    }
    if (code == MAILBUS_OK) {
        table_object(table, answer);
    }
    cJSON_Delete(answer);
    table_destroy(&table);
    return code;
}
