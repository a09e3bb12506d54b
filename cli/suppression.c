/* mailbus suppression: the list of those whom nobody writes to. */
#include "suppression/suppression_commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"
#include "state.h"
#include "suppression/list.h"
#include "suppression_file.h"

static const state_program_t program = {
    .name = "suppression", .schema = list_schema, .commands = suppression_commands};

static const char *setting(cli_t *cli, const char *key)
{
    return mb_settings_text(cli->settings, key);
}

static const char *operand(const cli_t *cli)
{
    return cli->operands[0];
}

/* {"address": …}, with the reason where one is given. */
static cJSON *request_for(const char *address, const char *reason)
{
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "address", address);
    if (reason[0] != '\0') {
        cJSON_AddStringToObject(request, "reason", reason);
    }
    return request;
}

/* --- list and export ----------------------------------------------------------------------------
 */

/* The columns that `import` takes back. */
static const table_column_t entry_columns[] = {
    {"address", "ADDRESS", 44}, {"reason", "REASON", 0}, {"ambiguous", "AMBIGUOUS", 0},
    {"first", "FIRST", 0},      {"last", "LAST", 0},     {"count", "COUNT", 0},
    {"event_id", "EVENT", 30},  {"note", "NOTE", 0},     {NULL, NULL, 0},
};

static const table_column_t export_columns[] = {
    {"address", "address", 0},   {"reason", "reason", 0},
    {"first", "first", 0},       {"last", "last", 0},
    {"count", "count", 0},       {"ambiguous", "ambiguous", 0},
    {"event_id", "event_id", 0}, {"message_id", "message_id", 0},
    {"note", "note", 0},         {NULL, NULL, 0},
};

static cJSON *list_request(cli_t *cli)
{
    cJSON *request = cJSON_CreateObject();
    if (setting(cli, "suppression.only")[0] != '\0') {
        cJSON_AddStringToObject(request, "reason", setting(cli, "suppression.only"));
    }
    if (mb_settings_boolean(cli->settings, "suppression.ambiguous")) {
        cJSON_AddTrueToObject(request, "ambiguous");
    }
    return request;
}

static mailbus_code_t list(cli_t *cli, mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    mailbus_code_t code = state_format(cli, &format, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    cJSON *request = list_request(cli);
    code = state_list(cli, &program, "list", request,
                      format == TABLE_TEXT ? entry_columns : export_columns, "nobody is suppressed",
                      error);
    cJSON_Delete(request);
    return code;
}

/* The whole list as CSV, or JSON lines, whichever way it is printed otherwise. */
static mailbus_code_t export_list(cli_t *cli, mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    table_t *table = NULL;
    cJSON *request = list_request(cli);
    bool more = true;
    mailbus_code_t code = state_format(cli, &format, error);
    if (code == MAILBUS_OK) {
        code = table_new(export_columns, format == TABLE_JSON ? TABLE_JSON : TABLE_CSV, stdout,
                         &table, error);
    }
    cJSON_AddNumberToObject(request, "limit", SUPPRESSION_IMPORT_MAX);
    while (code == MAILBUS_OK && more) {
        cJSON *answer = NULL;
        code = state_ask(cli, &program, "list", request, &answer, error);
        const char *next = mailbus_json_string(answer, "next");
        if (code == MAILBUS_OK) {
            table_rows(table, mailbus_json_item(answer, "rows"));
            code = cli_flush(error);
        }
        cJSON_DeleteItemFromObjectCaseSensitive(request, "after");
        more = next != NULL && cJSON_AddStringToObject(request, "after", next) != NULL;
        cJSON_Delete(answer);
    }
    table_destroy(&table);
    cJSON_Delete(request);
    return code;
}

/* --- show ---------------------------------------------------------------------------------------
 */

static mailbus_code_t show(cli_t *cli, mailbus_error_t *error)
{
    static const table_column_t columns[] = {
        {"address", "ADDRESS", 0},
        {"suppressed", "SUPPRESSED", 0},
        {"by", "BY THE ENTRY", 0},
        {"reason", "REASON", 0},
        {"ambiguous", "AMBIGUOUS", 0},
        {"first", "FIRST", 0},
        {"last", "LAST", 0},
        {"count", "COUNT", 0},
        {"event_id", "EVENT", 0},
        {"message_id", "MESSAGE", 0},
        {"note", "NOTE", 0},
        {"removed", "LAST REMOVED", 0},
        {"block_list", "BLOCK LIST", 0},
        {NULL, NULL, 0},
    };
    cJSON *request = request_for(operand(cli), "");
    mailbus_code_t code = state_show(cli, &program, "show", request, columns, error);
    cJSON_Delete(request);
    return code;
}

static mailbus_code_t history(cli_t *cli, mailbus_error_t *error)
{
    static const table_column_t columns[] = {
        {"time", "TIME", 0},      {"said", "SAID", 0},     {"counts_as", "COUNTS AS", 0},
        {"why", "WHY", 0},        {"type", "TYPE", 20},    {"sub_type", "SUB-TYPE", 24},
        {"status", "STATUS", 20}, {"candidates", "OF", 0}, {"event_id", "EVENT", 30},
        {"note", "NOTE", 0},      {NULL, NULL, 0},
    };
    cJSON *request = request_for(operand(cli), "");
    mailbus_code_t code = state_list(cli, &program, "history", request, columns,
                                     "nothing was ever said about it", error);
    cJSON_Delete(request);
    return code;
}

/* --- add and remove -----------------------------------------------------------------------------
 */

/* One after the other; what was done is said before the first failure is. */
static mailbus_code_t change_all(cli_t *cli, const char *command, void (*tell)(const cJSON *answer),
                                 mailbus_error_t *error)
{
    const char *reason = setting(cli, "suppression.reason");
    table_format_t format = TABLE_TEXT;
    mailbus_code_t code = state_format(cli, &format, error);
    if (code == MAILBUS_OK && reason[0] == '\0') {
        return cli_usage(cli, error, "say why: --reason TEXT (it is kept in the history)");
    }
    for (size_t i = 0; code == MAILBUS_OK && i < cli->count; i++) {
        cJSON *answer = NULL;
        cJSON *request = request_for(cli->operands[i], reason);
        code = state_ask(cli, &program, command, request, &answer, error);
        if (code == MAILBUS_OK && format == TABLE_JSON) {
            char *text = cJSON_PrintUnformatted(answer);
            puts(text != NULL ? text : "");
            cJSON_free(text);
        } else if (code == MAILBUS_OK) {
            tell(answer);
        }
        cJSON_Delete(answer);
        cJSON_Delete(request);
    }
    return code;
}

/* What the program answers is checked there: one line, an address. */
static const char *text_in(const cJSON *answer, const char *name)
{
    const char *text = mailbus_json_string(answer, name);
    return text != NULL ? text : "";
}

static void tell_added(const cJSON *answer)
{
    bool already = cJSON_IsTrue(mailbus_json_item(answer, "already"));
    printf("%s is suppressed%s\n", text_in(answer, "address"),
           already ? ", as before; the reason is in its history" : "");
}

static void tell_removed(const cJSON *answer)
{
    const char *by = text_in(answer, "by");
    printf("%s is taken off the list%s%s%s\n", text_in(answer, "address"),
           by[0] != '\0' ? "; the entry " : "", by, by[0] != '\0' ? " still suppresses it" : "");
}

static mailbus_code_t add(cli_t *cli, mailbus_error_t *error)
{
    return change_all(cli, "add", tell_added, error);
}

static mailbus_code_t take_off(cli_t *cli, mailbus_error_t *error)
{
    return change_all(cli, "remove", tell_removed, error);
}

/* --- import -------------------------------------------------------------------------------------
 */

typedef struct {
    const char *name; /* of the file, for people */
    cJSON *rows;      /* that wait to be sent */
    double added, counted, known, kept_off;
    size_t bad;
    bool told; /* the note about the file */
} import_t;

static void tell_bad(import_t *import, double line, const char *why, bool is_bad)
{
    fprintf(stderr, "%s: line %.0f: %s\n", import->name, line, why);
    import->bad += is_bad;
    import->kept_off += !is_bad;
}

static mailbus_code_t send_rows(cli_t *cli, import_t *import, mailbus_error_t *error)
{
    if (cJSON_GetArraySize(import->rows) == 0) {
        return MAILBUS_OK;
    }
    cJSON *answer = NULL;
    cJSON *request = cJSON_CreateObject();
    cJSON_AddItemToObject(request, "rows", import->rows);
    import->rows = cJSON_CreateArray();
    mailbus_code_t code = state_ask(cli, &program, "import", request, &answer, error);
    if (code == MAILBUS_OK) {
        import->added += cJSON_GetNumberValue(mailbus_json_item(answer, "added"));
        import->counted += cJSON_GetNumberValue(mailbus_json_item(answer, "counted"));
        import->known += cJSON_GetNumberValue(mailbus_json_item(answer, "known"));
        const cJSON *item;
        cJSON_ArrayForEach(item, mailbus_json_item(answer, "skipped"))
        {
            tell_bad(import, cJSON_GetNumberValue(mailbus_json_item(item, "line")),
                     text_in(item, "why"), !cJSON_IsTrue(mailbus_json_item(item, "removed")));
        }
    }
    cJSON_Delete(answer);
    cJSON_Delete(request);
    return code;
}

/* All rows, in pieces; a bad one stops nothing. */
static mailbus_code_t import_rows(cli_t *cli, suppression_file_t *file, import_t *import,
                                  mailbus_error_t *error)
{
    for (;;) {
        cJSON *row = NULL;
        mailbus_error_t why = {0};
        mailbus_code_t code = suppression_file_next(file, &row, &why);
        if (!import->told && suppression_file_note(file)[0] != '\0') {
            import->told = true;
            fprintf(stderr, "%s: %s\n", import->name, suppression_file_note(file));
        }
        if (code == MAILBUS_EINVAL) {
            tell_bad(import, (double)suppression_file_line(file), why.text, true);
            continue;
        }
        if (code != MAILBUS_OK) {
            return mailbus_fail(error, code, "%.80s: %.160s", import->name, why.text);
        }
        if (row != NULL) {
            cJSON_AddItemToArray(import->rows, row);
        }
        if (row == NULL || cJSON_GetArraySize(import->rows) == SUPPRESSION_IMPORT_MAX) {
            code = send_rows(cli, import, error);
        }
        if (code != MAILBUS_OK || row == NULL) {
            return code;
        }
    }
}

static mailbus_code_t tell_import(const import_t *import, bool json, mailbus_error_t *error)
{
    printf(json
               ? "{\"added\":%.0f,\"counted\":%.0f,\"known\":%.0f,\"kept_off\":%.0f,\"bad\":%zu}\n"
               : "%.0f added, %.0f were suppressed already, %.0f known already, %.0f kept off by a "
                 "person's removal, %zu bad\n",
           import->added, import->counted, import->known, import->kept_off, import->bad);
    return import->bad == 0 ? MAILBUS_OK
                            : mailbus_fail(error, MAILBUS_EINVAL,
                                           "%zu rows were left out: see above", import->bad);
}

static mailbus_code_t import_list(cli_t *cli, mailbus_error_t *error)
{
    bool from_stdin = strcmp(operand(cli), "-") == 0;
    import_t import = {.name = from_stdin ? "standard input" : operand(cli)};
    suppression_file_t *file = NULL;
    table_format_t format = TABLE_TEXT;
    FILE *in = NULL;
    mailbus_code_t code = state_format(cli, &format, error);
    if (code == MAILBUS_OK) {
        in = from_stdin ? stdin : fopen(operand(cli), "re");
        code = in != NULL
                   ? MAILBUS_OK
                   : mailbus_fail(error, MAILBUS_EIO, "%.120s: %s", operand(cli), strerror(errno));
    }
    if (code == MAILBUS_OK) {
        code = suppression_file_new(in, format == TABLE_JSON, setting(cli, "suppression.as"), &file,
                                    error);
    }
    if (code == MAILBUS_OK) {
        import.rows = cJSON_CreateArray();
        code = import_rows(cli, file, &import, error);
    }
    if (code == MAILBUS_OK) {
        code = tell_import(&import, format == TABLE_JSON, error);
    }
    cJSON_Delete(import.rows);
    suppression_file_destroy(&file);
    if (in != NULL && !from_stdin) {
        fclose(in);
    }
    return code;
}

/* --- the command --------------------------------------------------------------------------------
 */

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    enum { ADDRESSES_MAX = 1000 };
    static const cli_verb_t verbs[] = {
        {"list", 0, 0, list},
        {"show", 1, 1, show},
        {"history", 1, 1, history},
        {"add", 1, ADDRESSES_MAX, add},
        {"remove", 1, ADDRESSES_MAX, take_off},
        {"import", 1, 1, import_list},
        {"export", 0, 0, export_list},
    };
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof verbs[0], error);
}

static const mb_setting_t own_settings[] = {
    {.key = "suppression.reason", .type = MB_TEXT, .value = "", .help = "why it is changed"},
    {.key = "suppression.only",
     .type = MB_TEXT,
     .value = "",
     .help = "list and export these only: complaint, manual, unsubscribe, bounce or rejected"},
    {.key = "suppression.ambiguous",
     .type = MB_BOOLEAN,
     .value = "no",
     .help = "list and export only those that are one of several candidates"},
    {.key = "suppression.as",
     .type = MB_TEXT,
     .value = "",
     .help = "import: the reason of rows that name none"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {state_settings, own_settings, NULL};

static const cli_option_t options[] = {
    {"--reason", "suppression.reason", true, "add, remove: why; kept in the history"},
    {"--only", "suppression.only", true, "list, export: entries with this reason"},
    {"--ambiguous", "suppression.ambiguous", false, "list, export: candidates only"},
    {"--as", "suppression.as", true, "import: the reason of rows that name none"},
    STATE_OPTIONS,
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_suppression = {
    .name = "suppression",
    .synopsis = "list | show ADDRESS | history ADDRESS | add ADDRESS… | remove ADDRESS… | "
                "import FILE | export",
    .summary = "whom nobody may write to: look, add, take off, import and export",
    .details =
        "  ADDRESS is a mailbox, *@example.com (all of that domain, not of its subdomains) or\n"
        "  *@*.example.com (all subdomains). FILE is CSV with Mailgun's, Amazon SES's or our\n"
        "  own columns, or JSON lines with --json; - is standard input. export prints CSV\n"
        "  that import takes back.",
    .settings = settings,
    .options = options,
    .run = run,
};
