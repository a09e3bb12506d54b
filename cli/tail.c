/* mailbus tail: events as they come, without a gap and without one twice: what the bus loses, a
 * standstill of this terminal included, is fetched. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "gap.h"
#include "link.h"
#include "show.h"
#include "when.h"

enum {
    SILENCE_MS = 5000, /* heads come every second; five missing are a fault */
    RETRY_MS = 1000,   /* pause before asking a gateway again that did not answer */
    BROKEN_MAX = 5,    /* pages in a row that don't fit the gap rule */
};

typedef struct {
    link_t *link;
    filter_t filter;
    gap_t *gap;
    show_options_t show;
    mailbus_buf_t text;
    bool from_time; /* --from TIME: the first page says which sequence that is */
    int64_t since_ms;
    bool behind;      /* something is missing: ask */
    bool broken;      /* a page did not fit the rule: drop the rest of it */
    uint64_t trimmed; /* of the open page: the oldest event kept; 0: nothing is missing */
    bool foreign;     /* the gateway has another journal */
    bool quiet;       /* told that nothing comes */
    int64_t heard_ms; /* monotonic: the last sign of life */
    mailbus_code_t code;
    mailbus_error_t *error;
} tail_t;

static void print(tail_t *self, const mailbus_event_t *event, const void *header,
                  size_t header_size)
{
    mailbus_buf_clear(&self->text);
    show_event(&self->show, event, header, header_size, &self->text);
    if (self->text.failed) {
        self->code = mailbus_fail(self->error, MAILBUS_ENOMEM, "out of memory");
        return;
    }
    (void)fwrite(self->text.data, 1, self->text.size, stdout); /* cli_flush sees failures */
}

/* Give an event to the gap rule, and print what it takes. */
static gap_verdict_t take(tail_t *self, const mailbus_event_t *event, const void *header,
                          size_t header_size)
{
    gap_verdict_t verdict = gap_event(self->gap, event);
    switch (verdict) {
    case GAP_TAKE:
        print(self, event, header, header_size);
        break;
    case GAP_FETCH:
        self->behind = true;
        break;
    case GAP_FOREIGN:
        self->foreign = true;
        break;
    default:
        break;
    }
    return verdict;
}

/* What the gateway no longer keeps is lost for good: say so and go on behind it. */
static void skip_trimmed(tail_t *self)
{
    uint64_t from = 0;
    uint64_t to = 0;
    if (self->trimmed != 0 && self->from_time) {
        fprintf(stderr, "mailbus tail: events before %llu are not kept any more, or never were\n",
                (unsigned long long)self->trimmed);
    } else if (self->trimmed != 0 && gap_trimmed(self->gap, self->trimmed, &from, &to)) {
        fprintf(stderr, "mailbus tail: events %llu to %llu are not kept any more\n",
                (unsigned long long)from, (unsigned long long)to);
    }
    self->trimmed = 0;
}

/* A link_visit_fn. */
static bool visit(void *arg, const mailbus_event_t *event, const void *header, size_t header_size)
{
    tail_t *self = arg;
    skip_trimmed(self);
    if (self->from_time) { /* the first event since that time: all before it counts as seen */
        gap_reset(self->gap, event->stream, event->sequence - 1);
        self->from_time = false;
    }
    gap_verdict_t verdict = take(self, event, header, header_size);
    self->broken = verdict == GAP_FETCH || verdict == GAP_FOREIGN;
    return !self->broken && self->code == MAILBUS_OK;
}

/* The journal is another one: its numbers have nothing to do with the old ones. Go on with what is
 * live there, and say so. */
static void change_stream(tail_t *self, const char *stream, uint64_t head)
{
    fprintf(stderr,
            "mailbus tail: the gateway has another journal now (stream %s): going on behind its "
            "event %llu\n",
            stream, (unsigned long long)head);
    gap_reset(self->gap, stream, head);
    self->foreign = false;
    self->behind = false;
}

static void take_heads(tail_t *self, const mailbus_heads_t *heads)
{
    switch (gap_heads(self->gap, heads)) {
    case GAP_FETCH:
        self->behind = true;
        break;
    case GAP_FOREIGN:
        self->foreign = true;
        break;
    default:
        break;
    }
}

static mailbus_code_t ask_heads(tail_t *self, mailbus_answer_t **ret_end, mailbus_error_t *error)
{
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_HEADS};
    return link_ask(self->link, &fetch, NULL, NULL, NULL, ret_end, error);
}

/* One page from the cursor, or from the time that was asked for. */
static mailbus_code_t fetch_page(tail_t *self, mailbus_error_t *error)
{
    mailbus_answer_t *end = NULL;
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_FETCH,
                             .from = gap_cursor(self->gap) + 1,
                             .has_since = self->from_time,
                             .since_ms = self->since_ms};
    snprintf(fetch.stream, sizeof fetch.stream, "%s", gap_stream(self->gap));
    filter_apply(&self->filter, &fetch);
    self->broken = false;
    self->trimmed = 0;
    mailbus_code_t code = link_ask(self->link, &fetch, visit, self, &self->trimmed, &end, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    skip_trimmed(self);
    if (self->from_time) { /* a page without an event */
        gap_reset(self->gap, end->heads->stream, end->next - 1);
        self->from_time = false;
    }
    if (!self->broken) {
        gap_page(self->gap, end->next);
        self->behind = end->next <= end->heads->sequence;
    }
    mailbus_answer_free(&end);
    return MAILBUS_OK;
}

/* Fetch until nothing is missing. A gateway that goes away meanwhile is asked again later. */
static mailbus_code_t catch_up(tail_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int broken = 0;
    while (code == MAILBUS_OK && self->code == MAILBUS_OK && self->behind && !self->foreign) {
        code = fetch_page(self, error);
        broken = self->broken ? broken + 1 : 0;
        if (code == MAILBUS_OK && broken == BROKEN_MAX) {
            code = mailbus_fail(error, MAILBUS_EIO,
                                "the gateway's answers don't fit together behind event %llu",
                                (unsigned long long)gap_cursor(self->gap));
        }
        if (code == MAILBUS_OK) {
            code = cli_flush(error);
        }
        if (code == MAILBUS_ENOTFOUND) { /* 404: another stream */
            self->foreign = true;
            code = MAILBUS_OK;
        }
    }
    return code != MAILBUS_OK ? code : self->code;
}

static mailbus_code_t read_live(tail_t *self, mb_message_t *message, mailbus_error_t *error)
{
    const void *topic = mb_message_data(message, 0);
    size_t size = mb_message_size(message, 0);
    if (message->count != 3 || message->too_many) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the bus sent a message of %zu frames",
                            message->count);
    }
    const void *header = mb_message_data(message, 1);
    size_t header_size = mb_message_size(message, 1);
    const void *body = mb_message_data(message, 2);
    size_t body_size = mb_message_size(message, 2);
    mailbus_code_t code;
    if (size == strlen(MAILBUS_TOPIC_HEADS) && memcmp(topic, MAILBUS_TOPIC_HEADS, size) == 0) {
        mailbus_heads_t *heads = NULL;
        code = mailbus_heads_decode(header, header_size, body, body_size, &heads, error);
        if (code == MAILBUS_OK) {
            take_heads(self, heads);
        }
        mailbus_heads_free(&heads);
        return code;
    }
    mailbus_event_t *event = NULL;
    code = mailbus_event_decode(topic, size, header, header_size, body, body_size, &event, error);
    if (code == MAILBUS_OK) {
        (void)take(self, event, header, header_size);
    }
    mailbus_event_free(&event);
    return code;
}

/* Tell once that nothing comes, and once that it comes again. */
static void watch_silence(tail_t *self, bool heard)
{
    int64_t now = mb_clock_monotonic_ms();
    if (heard) {
        if (self->quiet) {
            fprintf(stderr, "mailbus tail: the gateway is back\n");
        }
        self->quiet = false;
        self->heard_ms = now;
    } else if (!self->quiet && now - self->heard_ms > SILENCE_MS) {
        mailbus_error_t why;
        (void)link_silent(self->link, &why);
        fprintf(stderr, "mailbus tail: nothing comes any more: %s; waiting for it\n", why.text);
        self->quiet = true;
    }
}

/* Something is missing, or the journal is another one. Failures of a gateway that is away are no
 * reason to end. */
static mailbus_code_t mend(tail_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = catch_up(self, error);
    if (code == MAILBUS_OK && self->foreign) {
        mailbus_answer_t *end = NULL;
        code = ask_heads(self, &end, error);
        if (code == MAILBUS_OK) {
            change_stream(self, end->heads->stream, end->heads->sequence);
        }
        mailbus_answer_free(&end);
    }
    return code == MAILBUS_ETIMEOUT || code == MAILBUS_EAGAIN ? MAILBUS_OK : code;
}

static mailbus_code_t follow(tail_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int64_t mend_at = 0;
    while (code == MAILBUS_OK && self->code == MAILBUS_OK) {
        mb_message_t message;
        int64_t now = mb_clock_monotonic_ms();
        if ((self->behind || self->foreign) && now >= mend_at) {
            code = mend(self, error);
            mend_at = self->behind || self->foreign ? now + RETRY_MS : 0;
            continue;
        }
        code = link_receive(self->link, RETRY_MS, &message, error);
        watch_silence(self, code == MAILBUS_OK);
        if (code == MAILBUS_ETIMEOUT || code == MAILBUS_EAGAIN) {
            code = MAILBUS_OK;
        } else if (code == MAILBUS_OK) {
            if (read_live(self, &message, error) != MAILBUS_OK) { /* what it held is fetched */
                fprintf(stderr, "mailbus tail: %s\n", error->text);
            }
            mb_message_close(&message);
        }
        if (code == MAILBUS_OK) {
            code = cli_flush(error);
        }
    }
    return code != MAILBUS_OK ? code : self->code;
}

/* Where to begin: behind the head, or where --from says. */
static mailbus_code_t position(cli_t *cli, tail_t *self, const when_t *from, bool has_from,
                               const char *stream, mailbus_error_t *error)
{
    mailbus_answer_t *end = NULL;
    mailbus_code_t code = ask_heads(self, &end, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const mailbus_heads_t *heads = end->heads;
    if (stream[0] != '\0' && strcmp(stream, heads->stream) != 0) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND,
                            "this gateway's journal is %s, not %s: sequences of the one mean "
                            "nothing in the other",
                            heads->stream, stream);
    } else if (has_from && !from->is_time && from->sequence > heads->sequence + 1) {
        code = cli_usage(cli, error, "--from %llu: the journal ends at %llu",
                         (unsigned long long)from->sequence, (unsigned long long)heads->sequence);
    } else {
        uint64_t base = heads->sequence;
        if (has_from) {
            base = from->is_time || from->sequence == 0 ? 0 : from->sequence - 1;
        }
        gap_reset(self->gap, heads->stream, base);
        self->from_time = has_from && from->is_time;
        self->since_ms = from->ms;
        self->behind = has_from;
    }
    mailbus_answer_free(&end);
    return code;
}

/* The live side is heard before anything is printed: a wrong bus.publish must not look like a
 * quiet day. */
static mailbus_code_t hear(tail_t *self, mailbus_error_t *error)
{
    mb_message_t message;
    int wait_ms = link_timeout_ms(self->link);
    mailbus_code_t code = link_receive(self->link, wait_ms, &message, error);
    if (code == MAILBUS_OK) {
        self->heard_ms = mb_clock_monotonic_ms();
        code = read_live(self, &message, error);
        mb_message_close(&message);
    }
    return code;
}

static mailbus_code_t start(cli_t *cli, tail_t *self, mailbus_error_t *error)
{
    const char *text = mb_settings_text(cli->settings, "tail.from");
    when_t from = {.is_time = false};
    char stream[MAILBUS_UUID_SIZE] = "";
    mailbus_code_t code = filter_read(cli->operands, cli->count, &self->filter, error);
    if (code == MAILBUS_OK && text[0] != '\0') {
        code = when_parse(text, mb_clock_wall_ms(), &from, error);
    }
    if (code != MAILBUS_OK) {
        cli->usage = code != MAILBUS_ENOMEM;
        return code;
    }
    code = link_read_stream(cli, "tail.stream", stream, error);
    if (code == MAILBUS_OK) {
        self->gap = gap_new(self->filter.topics, self->filter.prefixes);
        code =
            self->gap != NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = link_new(cli, &self->link, error);
    }
    if (code == MAILBUS_OK) { /* first the live side: what comes from now on is heard */
        code = link_subscribe(self->link, &self->filter, error);
    }
    if (code == MAILBUS_OK) {
        code = position(cli, self, &from, text[0] != '\0', stream, error);
    }
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    bool json = mb_settings_boolean(cli->settings, "tail.json");
    bool bodies = mb_settings_boolean(cli->settings, "tail.bodies");
    tail_t self = {.show = {.form = json     ? SHOW_JSON
                                    : bodies ? SHOW_BODY
                                             : SHOW_LINE,
                            .colour = cli->colour},
                   .text = MAILBUS_BUF_INIT,
                   .error = error};
    mailbus_code_t code = start(cli, &self, error);
    if (code == MAILBUS_OK) {
        code = catch_up(&self, error);
    }
    if (code == MAILBUS_OK) {
        code = hear(&self, error);
    }
    if (code == MAILBUS_OK && isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "listening on %s behind event %llu; Ctrl-C ends it\n",
                mb_settings_text(cli->settings, "bus.publish"),
                (unsigned long long)gap_cursor(self.gap));
    }
    if (code == MAILBUS_OK) {
        code = follow(&self, error);
    }
    link_destroy(&self.link);
    gap_destroy(&self.gap);
    filter_free(&self.filter);
    mailbus_buf_free(&self.text);
    return code;
}

static const mb_setting_t tail_settings[] = {
    {.key = "tail.from", .type = MB_TEXT, .value = "", .help = "sequence or time to begin at"},
    {.key = "tail.stream",
     .type = MB_TEXT,
     .value = "",
     .help = "the journal that the sequence belongs to; another one is an error"},
    {.key = "tail.json", .type = MB_BOOLEAN, .value = "no", .help = "one JSON object a line"},
    {.key = "tail.bodies", .type = MB_BOOLEAN, .value = "no", .help = "the bodies too, to read"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {tail_settings, cli_bus_settings, cli_key_settings,
                                               NULL};

static const cli_option_t options[] = {
    {"--from", "tail.from", true,
     "first what came since a sequence (1234) or a time (2026-10-12T09:00:00Z, 2h ago as 2h)"},
    {"--json", "tail.json", false, "one object a line, with header and body"},
    {"--bodies", "tail.bodies", false, "show the bodies too"},
    {"--stream", "tail.stream", true, "only from this journal (mailbus status shows its id)"},
    {"--timeout", "cli.timeout", true, "how long to wait for the gateway"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_tail = {
    .name = "tail",
    .synopsis = "[TOPIC…]",
    .summary = "events as they come",
    .details = "  TOPIC is one (message.received) or all that begin so ('message.*').\n"
               "  What the bus loses is fetched: every event is shown, and shown once.",
    .settings = settings,
    .options = options,
    .run = run,
};
