/* mailbus extract: what was read out of the attachments of which mail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "extract/archive_commands.h"
#include "history.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

enum { NUMBER_DIGITS = 15 }; /* more digits than a file's number has: a digest */

static const table_column_t list_columns[] = {
    {"number", "FILE", 0},  {"time", "TIME", 20},     {"status", "STATUS", 0},
    {"sender", "FROM", 32}, {"filename", "NAME", 40}, {"pages", "PAGES", 0},
    {"size", "BYTES", 0},   {"detail", "WHY", 0},     {NULL, NULL, 0},
};

static const table_column_t search_columns[] = {
    {"number", "FILE", 0},    {"time", "TIME", 20},   {"sender", "FROM", 32},
    {"filename", "NAME", 32}, {"snippet", "TEXT", 0}, {NULL, NULL, 0},
};

static const table_column_t all_columns[] = {
    {"number", "FILE", 0},
    {"time", "TIME", 0},
    {"status", "STATUS", 0},
    {"detail", "WHY", 0},
    {"filename", "NAME", 0},
    {"type", "TYPE", 0},
    {"engine", "ENGINE", 0},
    {"version", "VERSION", 0},
    {"pages", "PAGES", 0},
    {"size", "BYTES", 0},
    {"sha256", "SHA256", 0},
    {"sender", "FROM", 0},
    {"inbox", "INBOX", 0},
    {"subject", "SUBJECT", 0},
    {"message_id", "MESSAGE", 0},
    {"event_id", "EVENT", 0},
    {"attachment", "ATTACHMENT", 0},
    {"snippet", "TEXT", 0},
    {NULL, NULL, 0},
};

static const table_column_t effect_columns[] = {
    {"effect", "EFFECT", 0}, {"state", "STATE", 0}, {"detail", "WHAT", 0}, {NULL, NULL, 0}};

/* --- asking -------------------------------------------------------------------------------------
 */

/* One question of a verb, with what it needs. */
typedef struct {
    char *schema;
    state_program_t program;
    cJSON *request;
} question_t;

static mailbus_code_t open_question(question_t *self, mailbus_error_t *error)
{
    *self = (question_t){.schema = archive_schema(), .request = cJSON_CreateObject()};
    self->program =
        (state_program_t){.name = "extract", .schema = self->schema, .commands = archive_commands};
    return self->schema != NULL && self->request != NULL
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static void close_question(question_t *self)
{
    cJSON_Delete(self->request);
    free(self->schema);
}

static mailbus_code_t added(const cJSON *item, mailbus_error_t *error)
{
    return item != NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

/* In a table the columns for people, else all there is. */
static mailbus_code_t list_rows(cli_t *cli, question_t *question, const char *command,
                                const table_column_t *columns, const char *empty,
                                mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    mailbus_code_t code = state_format(cli, &format, error);
    return code == MAILBUS_OK
               ? state_list(cli, &question->program, command, question->request,
                            format == TABLE_TEXT ? columns : all_columns, empty, error)
               : code;
}

/* --- the verbs ----------------------------------------------------------------------------------
 */

static mailbus_code_t list(cli_t *cli, mailbus_error_t *error)
{
    question_t question;
    const char *status = mb_settings_text(cli->settings, "extract.status");
    mailbus_code_t code = open_question(&question, error);
    if (code == MAILBUS_OK && strcmp(status, "all") != 0) {
        code = added(cJSON_AddStringToObject(question.request, "status", status), error);
    }
    if (code == MAILBUS_OK) {
        code = list_rows(cli, &question, "list", list_columns, "no files", error);
    }
    close_question(&question);
    return code;
}

static mailbus_code_t search(cli_t *cli, mailbus_error_t *error)
{
    question_t question;
    mailbus_code_t code = open_question(&question, error);
    cJSON *words = code == MAILBUS_OK ? cJSON_AddArrayToObject(question.request, "words") : NULL;
    for (size_t i = 0; i < cli->count && code == MAILBUS_OK; i++) {
        cJSON *word = cJSON_CreateString(cli->operands[i]);
        code = added(cJSON_AddItemToArray(words, word) ? word : NULL, error);
    }
    if (code == MAILBUS_OK) {
        code = list_rows(cli, &question, "search", search_columns, "nothing found", error);
    }
    close_question(&question);
    return code;
}

/* The file that the first operand names. */
static mailbus_code_t find(cli_t *cli, cJSON **ret_answer, mailbus_error_t *error)
{
    question_t question;
    uint64_t number = 0;
    const char *which = cli->operands[0];
    bool is_number =
        strlen(which) <= NUMBER_DIGITS && mailbus_sequence_parse(which, &number) == MAILBUS_OK;
    mailbus_code_t code = open_question(&question, error);
    if (code == MAILBUS_OK) {
        code = added(is_number ? cJSON_AddNumberToObject(question.request, "file", (double)number)
                               : cJSON_AddStringToObject(question.request, "sha256", which),
                     error);
    }
    if (code == MAILBUS_OK) {
        code = state_ask(cli, &question.program, "show", question.request, ret_answer, error);
    }
    close_question(&question);
    return code;
}

static void print_text(const cJSON *answer)
{
    const char *text = mailbus_json_string(answer, "text");
    mailbus_buf_t clean = MAILBUS_BUF_INIT;
    if (text != NULL) {
        agentmail_text_block(text, strlen(text), 0, &clean);
        printf("%s\n", clean.data == NULL ? "" : clean.data);
    }
    mailbus_buf_free(&clean);
}

static mailbus_code_t print_file(const cJSON *answer, table_format_t format, mailbus_error_t *error)
{
    table_t *about = NULL;
    table_t *effects = NULL;
    mailbus_code_t code = table_new(all_columns, format, stdout, &about, error);
    if (code == MAILBUS_OK) {
        code = table_new(effect_columns, format, stdout, &effects, error);
    }
    if (code == MAILBUS_OK) {
        table_object(about, answer);
    }
    if (code == MAILBUS_OK && format == TABLE_TEXT) {
        const cJSON *all = mailbus_json_item(answer, "effects");
        if (cJSON_GetArraySize(all) > 0) {
            printf("\n");
            table_rows(effects, all);
        }
        printf("\n");
        print_text(answer);
    }
    table_destroy(&about);
    table_destroy(&effects);
    return code;
}

static mailbus_code_t show(cli_t *cli, mailbus_error_t *error)
{
    table_format_t format = TABLE_TEXT;
    cJSON *answer = NULL;
    mailbus_code_t code = state_format(cli, &format, error);
    if (code == MAILBUS_OK) {
        code = find(cli, &answer, error);
    }
    if (code == MAILBUS_OK) {
        code = print_file(answer, format, error);
    }
    cJSON_Delete(answer);
    return code;
}

static mailbus_code_t text(cli_t *cli, mailbus_error_t *error)
{
    cJSON *answer = NULL;
    mailbus_code_t code = find(cli, &answer, error);
    const char *found = mailbus_json_string(answer, "text");
    if (code == MAILBUS_OK && (found == NULL || found[0] == '\0')) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "there is no text of this file");
    }
    if (code == MAILBUS_OK) {
        print_text(answer);
    }
    cJSON_Delete(answer);
    return code;
}

static mailbus_code_t history(cli_t *cli, mailbus_error_t *error)
{
    question_t question;
    mailbus_code_t code = open_question(&question, error);
    if (code == MAILBUS_OK) {
        code = history_list(cli, &question.program, error);
    }
    close_question(&question);
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {
        {"list", 0, 0, list},       {"search", 1, ARCHIVE_WORDS_MAX, search},
        {"show", 1, 1, show},       {"text", 1, 1, text},
        {"history", 0, 1, history},
    };
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t own_settings[] = {
    {.key = "extract.status",
     .type = MB_CHOICE,
     .value = "all",
     .help = "files that ended so",
     .choices = "all waiting ok truncated encrypted no_text_layer corrupt too_large timeout memory "
                "unsupported download_failed"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {state_settings, history_settings, own_settings,
                                               NULL};

static const cli_option_t options[] = {
    {"--status", "extract.status", true, "files that ended so (list)"},
    HISTORY_OPTIONS,
    STATE_OPTIONS,
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_extract = {
    .name = "extract",
    .synopsis = "list | search WORD… | show FILE | text FILE | history [ADDRESS]",
    .summary = "files of mails: what was read out of them, and finding it again",
    .details =
        "  list     files that were looked at, newest first\n"
        "  search   texts with all these words, newest first; \"two words\" stand together, a "
        "star\n"
        "           finds what begins so (rechn*); accents and case do not matter\n"
        "  show     all that is known of one file, with its text; FILE is its number, or the\n"
        "           beginning of its SHA-256\n"
        "  text     the text alone\n"
        "  history  the replies that went out, and why others did not",
    .settings = settings,
    .options = options,
    .run = run,
};
