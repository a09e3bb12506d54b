/* mailbus fetch: what the journal keeps, page by page. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "link.h"
#include "show.h"
#include "when.h"

typedef struct {
    show_options_t show;
    mailbus_buf_t text;
    uint64_t left; /* events that may still be printed; 0: all have been */
    uint64_t printed;
    bool endless;
    mailbus_code_t code;
    mailbus_error_t *error;
} printer_t;

/* A link_visit_fn. */
static bool print(void *arg, const mailbus_event_t *event, const void *header, size_t header_size)
{
    printer_t *self = arg;
    mailbus_buf_clear(&self->text);
    show_event(&self->show, event, header, header_size, &self->text);
    if (self->text.failed) {
        self->code = mailbus_fail(self->error, MAILBUS_ENOMEM, "out of memory");
        return false;
    }
    (void)fwrite(self->text.data, 1, self->text.size, stdout); /* cli_flush sees failures */
    self->printed++;
    if (!self->endless) {
        self->left--;
    }
    return self->endless || self->left > 0;
}

/* --from takes a sequence or a time, --since a time. */
static mailbus_code_t read_start(cli_t *cli, mailbus_fetch_t *fetch, mailbus_error_t *error)
{
    const char *from = mb_settings_text(cli->settings, "fetch.from");
    const char *since = mb_settings_text(cli->settings, "fetch.since");
    when_t when = {.is_time = false};
    if (from[0] != '\0' && since[0] != '\0') {
        return cli_usage(cli, error, "--from or --since, not both");
    }
    const char *text = from[0] != '\0' ? from : since;
    if (text[0] == '\0') {
        return MAILBUS_OK; /* the oldest there is */
    }
    mailbus_code_t code = when_parse(text, mb_clock_wall_ms(), &when, error);
    if (code != MAILBUS_OK) {
        cli->usage = true;
        return code;
    }
    if (text == since && !when.is_time) {
        return cli_usage(cli, error, "--since wants a time; --from takes a sequence");
    }
    fetch->from = when.sequence;
    fetch->has_since = when.is_time;
    fetch->since_ms = when.ms;
    return MAILBUS_OK;
}

static mailbus_code_t fetch_pages(link_t *link, mailbus_fetch_t *fetch, printer_t *printer,
                                  mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    uint64_t until = UINT64_MAX; /* what comes while we read is for tail */
    while (code == MAILBUS_OK && printer->code == MAILBUS_OK &&
           (printer->endless || printer->left > 0)) {
        uint64_t trimmed = 0;
        mailbus_answer_t *end = NULL;
        fetch->limit = printer->endless || printer->left > MAILBUS_FETCH_MAX_LIMIT
                           ? MAILBUS_FETCH_MAX_LIMIT
                           : (uint32_t)printer->left;
        code = link_ask(link, fetch, print, printer, &trimmed, &end, error);
        if (code != MAILBUS_OK) {
            break;
        }
        if (trimmed != 0) {
            fprintf(stderr,
                    "mailbus fetch: events before %llu are not kept any more, or never were\n",
                    (unsigned long long)trimmed);
        }
        until = until == UINT64_MAX ? end->heads->sequence : until;
        bool last = end->next > until || (!fetch->has_since && end->next <= fetch->from);
        /* The sequences of the next page belong to this journal. */
        snprintf(fetch->stream, sizeof fetch->stream, "%s", end->heads->stream);
        fetch->from = end->next;
        fetch->has_since = false;
        mailbus_answer_free(&end);
        code = cli_flush(error);
        if (last) {
            if (code == MAILBUS_OK && printer->printed == 0) {
                fprintf(stderr, "mailbus fetch: no such events; the journal ends at %llu\n",
                        (unsigned long long)until);
            }
            break;
        }
    }
    return code != MAILBUS_OK ? code : printer->code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    filter_t filter = {NULL, NULL, 0, 0};
    link_t *link = NULL;
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_FETCH};
    int64_t limit = mb_settings_integer(cli->settings, "fetch.limit");
    bool json = mb_settings_boolean(cli->settings, "fetch.json");
    bool bodies = mb_settings_boolean(cli->settings, "fetch.bodies");
    printer_t printer = {.show = {.form = json     ? SHOW_JSON
                                          : bodies ? SHOW_BODY
                                                   : SHOW_LINE,
                                  .colour = cli->colour},
                         .text = MAILBUS_BUF_INIT,
                         .left = (uint64_t)limit,
                         .endless = limit == 0,
                         .error = error};
    mailbus_code_t code = filter_read(cli->operands, cli->count, &filter, error);
    cli->usage = code != MAILBUS_OK && code != MAILBUS_ENOMEM;
    if (code == MAILBUS_OK) {
        code = read_start(cli, &fetch, error);
    }
    if (code == MAILBUS_OK) {
        code = link_read_stream(cli, "fetch.stream", fetch.stream, error);
    }
    if (code == MAILBUS_OK) {
        code = link_new(cli, &link, error);
    }
    if (code == MAILBUS_OK) {
        filter_apply(&filter, &fetch);
        code = fetch_pages(link, &fetch, &printer, error);
    }
    link_destroy(&link);
    filter_free(&filter);
    mailbus_buf_free(&printer.text);
    return code;
}

static const mb_setting_t fetch_settings[] = {
    {.key = "fetch.from", .type = MB_TEXT, .value = "", .help = "sequence or time to begin at"},
    {.key = "fetch.since", .type = MB_TEXT, .value = "", .help = "time to begin at"},
    {.key = "fetch.stream",
     .type = MB_TEXT,
     .value = "",
     .help = "the journal that the sequence belongs to; another one is an error"},
    {.key = "fetch.limit",
     .type = MB_INTEGER,
     .value = "0",
     .help = "most events to print; 0: all",
     .min = 0,
     .max = INT64_MAX},
    {.key = "fetch.json", .type = MB_BOOLEAN, .value = "no", .help = "one JSON object a line"},
    {.key = "fetch.bodies", .type = MB_BOOLEAN, .value = "no", .help = "the bodies too, to read"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {fetch_settings, cli_bus_settings, cli_key_settings,
                                               NULL};

static const cli_option_t options[] = {
    {"--from", "fetch.from", true,
     "begin at a sequence (1234) or a time (2026-10-12T09:00:00Z, 2h ago as 2h)"},
    {"--since", "fetch.since", true, "begin at a time"},
    {"--limit", "fetch.limit", true, "stop after so many events"},
    {"--json", "fetch.json", false, "one object a line, with header and body"},
    {"--bodies", "fetch.bodies", false, "show the bodies too"},
    {"--stream", "fetch.stream", true, "only from this journal (mailbus status shows its id)"},
    {"--timeout", "cli.timeout", true, "how long to wait for the gateway"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_fetch = {
    .name = "fetch",
    .synopsis = "[TOPIC…]",
    .summary = "events that the journal keeps, from the oldest on",
    .details = "  TOPIC is one (message.received) or all that begin so ('message.*').\n"
               "  Ends at what was the newest event when it began.",
    .settings = settings,
    .options = options,
    .run = run,
};
