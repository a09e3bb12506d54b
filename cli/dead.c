/* mailbus dead: events that a subscriber set aside. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "cli.h"
#include "encoding.h"
#include "keys.h"
#include "letters.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "show.h"

enum { REASON_MAX = 120 }; /* bytes of a reason in a list */

/* The file that --state or the subscriber's name says. */
static mailbus_code_t state_path(cli_t *cli, const char *name, char *path, size_t size,
                                 mailbus_error_t *error)
{
    const char *state = mb_settings_text(cli->settings, "state.path");
    if (state[0] != '\0') {
        snprintf(path, size, "%s", state);
        return MAILBUS_OK;
    }
    if (name[0] == '\0') {
        return cli_usage(cli, error,
                         "whose? --name autoreply, or --state FILE (its state.path), or --admin "
                         "ADDRESS (its admin.listen)");
    }
    if (!mb_key_name_valid(name)) {
        return cli_usage(cli, error, "\"%.60s\" is no subscriber's name", name);
    }
    snprintf(path, size, "mailbus-data/%s.db", name);
    return MAILBUS_OK;
}

static mailbus_code_t open_letters(cli_t *cli, place_t *ret_place, mailbus_error_t *error)
{
    char path[1024] = "";
    place_options_t options = {
        .path = path,
        .admin = mb_settings_text(cli->settings, "dead.admin"),
        .timeout_ms = (long)mb_settings_integer(cli->settings, "cli.timeout"),
    };
    mailbus_code_t code = MAILBUS_OK;
    if (options.admin[0] == '\0') {
        const char *name = mb_settings_text(cli->settings, "dead.name");
        code = state_path(cli, name, path, sizeof path, error);
    }
    return code != MAILBUS_OK ? code : place_open(&options, ret_place, error);
}

static void put_line(const char *text, size_t max)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_text(&line, "");
    agentmail_text_line(text, strlen(text), max, &line);
    fputs(line.data != NULL ? line.data : "", stdout);
    mailbus_buf_free(&line);
}

static void format_time(int64_t ms, char text[MAILBUS_TIME_SIZE])
{
    mailbus_time_format(ms, text);
    text[10] = ' ';
    memcpy(text + 19, "Z", 2); /* seconds are enough */
}

typedef struct {
    bool json;
    int64_t last;
    uint64_t count;
} listing_t;

static void append_text(mailbus_buf_t *out, const char *key, const char *text)
{
    mailbus_buf_printf(out, ",\"%s\":", key);
    mailbus_json_write_string(out, text, strlen(text));
}

/* The letter as one JSON object, with its frames where it has them. */
static void print_object(const dead_letter_t *letter)
{
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_t safe = MAILBUS_BUF_INIT;
    char first[MAILBUS_TIME_SIZE];
    char set_aside[MAILBUS_TIME_SIZE];
    mailbus_time_format(letter->first_ms, first);
    mailbus_time_format(letter->set_aside_ms, set_aside);
    mailbus_buf_printf(&text, "{\"number\":\"%" PRId64 "\",\"sequence\":\"%" PRIu64 "\"",
                       letter->number, letter->sequence);
    append_text(&text, "event", letter->id);
    append_text(&text, "topic", letter->topic);
    append_text(&text, "reason", letter->reason);
    mailbus_buf_printf(&text, ",\"attempts\":%u,\"crashes\":%u", letter->attempts, letter->crashes);
    append_text(&text, "first", first);
    append_text(&text, "set_aside", set_aside);
    cJSON *tree = NULL;
    if (letter->header != NULL &&
        mailbus_json_parse(letter->header, letter->header_size, &tree, NULL) == MAILBUS_OK) {
        mailbus_buf_text(&text, ",\"header\":");
        mailbus_buf_append(&text, letter->header, letter->header_size);
    }
    cJSON_Delete(tree);
    tree = NULL;
    if (letter->body != NULL &&
        mailbus_json_parse(letter->body, letter->body_size, &tree, NULL) == MAILBUS_OK) {
        mailbus_buf_text(&text, ",\"body\":");
        mailbus_buf_append(&text, letter->body, letter->body_size);
    } else if (letter->body != NULL) {
        mailbus_buf_text(&text, ",\"body_base64\":\"");
        mb_base64_encode(letter->body, letter->body_size, &text);
        mailbus_buf_char(&text, '"');
    }
    cJSON_Delete(tree);
    mailbus_buf_char(&text, '}');
    if (!text.failed) {
        show_json(text.data, text.size, &safe);
        printf("%s\n", safe.data != NULL ? safe.data : "");
    }
    mailbus_buf_free(&text);
    mailbus_buf_free(&safe);
}

/* A dead_visit_fn. */
static void print_row(void *arg, const dead_letter_t *letter)
{
    listing_t *self = arg;
    self->last = letter->number;
    self->count++;
    if (self->json) {
        print_object(letter);
        return;
    }
    char time[MAILBUS_TIME_SIZE];
    format_time(letter->set_aside_ms, time);
    printf("%6" PRId64 "  %s  ", letter->number, time);
    put_line(letter->topic, 0);
    printf("  %u tr%s  ", letter->attempts, letter->attempts == 1 ? "y" : "ies");
    put_line(letter->id, 0);
    printf("\n        ");
    put_line(letter->reason, REASON_MAX);
    printf("\n");
}

static mailbus_code_t list(cli_t *cli, mailbus_error_t *error)
{
    place_t place = {0};
    listing_t listing = {.json = mb_settings_boolean(cli->settings, "dead.json")};
    mailbus_code_t code = open_letters(cli, &place, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    uint64_t before;
    do {
        before = listing.count;
        code = letters_ops(&place)->list(&place, listing.last, DEAD_LIST_MAX, print_row, &listing,
                                         error);
        if (code == MAILBUS_OK) {
            code = cli_flush(error);
        }
    } while (code == MAILBUS_OK && listing.count - before == DEAD_LIST_MAX);
    if (code == MAILBUS_OK && listing.count == 0) {
        fprintf(stderr, "no dead letters\n");
    }
    place_close(&place);
    return code;
}

/* A dead_visit_fn. */
static void print_letter(void *arg, const dead_letter_t *letter)
{
    const listing_t *self = arg;
    char first[MAILBUS_TIME_SIZE];
    char set_aside[MAILBUS_TIME_SIZE];
    if (self->json) {
        print_object(letter);
        return;
    }
    format_time(letter->first_ms, first);
    format_time(letter->set_aside_ms, set_aside);
    printf("number     %" PRId64 "\nevent      ", letter->number);
    put_line(letter->id, 0);
    printf("\ntopic      ");
    put_line(letter->topic, 0);
    printf("\nsequence   %" PRIu64 "\ntaken in   %s\nset aside  %s, after %u tries and %u crashes\n"
           "reason     ",
           letter->sequence, first, set_aside, letter->attempts, letter->crashes);
    put_line(letter->reason, 0);
    printf("\n");
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    if (letter->body != NULL) {
        show_body(letter->body, letter->body_size, &body);
    }
    if (body.data != NULL) {
        printf("body\n%s", body.data);
    }
    mailbus_buf_free(&body);
}

static mailbus_code_t read_number(cli_t *cli, const char *text, int64_t *ret_number,
                                  mailbus_error_t *error)
{
    uint64_t number;
    if (mailbus_sequence_parse(text, &number) != MAILBUS_OK || number > INT64_MAX) {
        return cli_usage(cli, error, "\"%.40s\" is no number as 'mailbus dead list' shows them",
                         text);
    }
    *ret_number = (int64_t)number;
    return MAILBUS_OK;
}

static mailbus_code_t show(cli_t *cli, mailbus_error_t *error)
{
    int64_t number = 0;
    place_t place = {0};
    listing_t listing = {.json = mb_settings_boolean(cli->settings, "dead.json")};
    mailbus_code_t code = read_number(cli, cli->operands[0], &number, error);
    if (code == MAILBUS_OK) {
        code = open_letters(cli, &place, error);
    }
    if (code == MAILBUS_OK) {
        code = letters_ops(&place)->show(&place, number, print_letter, &listing, error);
        place_close(&place);
    }
    return code;
}

/* All numbers are looked at before the first is acted on. */
static mailbus_code_t
change(cli_t *cli, mailbus_code_t (*act)(place_t *place, int64_t number, mailbus_error_t *error),
       place_t *place, const char *done, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < cli->count && code == MAILBUS_OK; i++) {
        int64_t number = 0;
        code = read_number(cli, cli->operands[i], &number, error);
        if (code == MAILBUS_OK) {
            code = act(place, number, error);
        }
        if (code == MAILBUS_OK) {
            printf("%" PRId64 " %s\n", number, done);
        }
    }
    return code;
}

static mailbus_code_t check_numbers(cli_t *cli, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < cli->count && code == MAILBUS_OK; i++) {
        int64_t number;
        code = read_number(cli, cli->operands[i], &number, error);
    }
    return code;
}

static mailbus_code_t retry(cli_t *cli, mailbus_error_t *error)
{
    place_t place = {0};
    mailbus_code_t code = check_numbers(cli, error);
    if (code == MAILBUS_OK) {
        code = open_letters(cli, &place, error);
    }
    if (code == MAILBUS_OK) {
        code = change(cli, letters_ops(&place)->retry, &place, "is in the inbox again", error);
        place_close(&place);
    }
    return code;
}

static mailbus_code_t drop(cli_t *cli, mailbus_error_t *error)
{
    place_t place = {0};
    mailbus_code_t code = check_numbers(cli, error);
    if (code == MAILBUS_OK) {
        code = open_letters(cli, &place, error);
    }
    if (code == MAILBUS_OK) {
        code = change(cli, letters_ops(&place)->drop, &place, "is thrown away", error);
        place_close(&place);
    }
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {
        {"list", 0, 0, list},
        {"show", 1, 1, show},
        {"retry", 1, SIZE_MAX, retry},
        {"drop", 1, SIZE_MAX, drop},
    };
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t dead_settings[] = {
    {.key = "dead.name",
     .type = MB_TEXT,
     .value = "",
     .help = "the subscriber's name: its file is mailbus-data/NAME.db"},
    {.key = "state.path", .type = MB_PATH, .value = "", .help = "the subscriber's state file"},
    {.key = "dead.admin",
     .type = MB_ADDRESS,
     .value = "",
     .help = "the admin listener of a subscriber that runs"},
    {.key = "dead.json", .type = MB_BOOLEAN, .value = "no", .help = "one JSON object a line"},
    {.key = "cli.timeout",
     .type = MB_DURATION,
     .value = "3s",
     .help = "how long to wait for an answer",
     .min = 100,
     .max = 600000},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {dead_settings, NULL};

static const cli_option_t options[] = {
    {"--name", "dead.name", true, "the subscriber's name (autoreply)"},
    {"--state", "state.path", true, "its state file"},
    {"--admin", "dead.admin", true, "its admin listener, where the file is on another machine"},
    {"--json", "dead.json", false, "one object a line (list, show)"},
    {"--timeout", "cli.timeout", true, "how long to wait for an answer"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_dead = {
    .name = "dead",
    .synopsis = "list | show NUMBER | retry NUMBER… | drop NUMBER…",
    .summary = "events that a subscriber set aside: look, try again, throw away",
    .details =
        "  Whose is said with --name or --state. A program that runs holds its file: then it is\n"
        "  asked through its admin listener, which its file names.",
    .settings = settings,
    .options = options,
    .run = run,
};
