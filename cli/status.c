/* mailbus status: where the journal stands, and how fast it grows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "link.h"
#include "mailbus/json.h"

/* What came on one topic while we listened. */
typedef struct {
    char topic[MAILBUS_TOPIC_MAX + 1];
    uint64_t last;
    uint64_t count;
} row_t;

typedef struct {
    row_t *rows;
    size_t count;
    uint64_t seen;
    uint64_t first_head; /* of the first bus.heads */
    int64_t first_ms;    /* monotonic; 0: none yet */
    uint64_t last_head;
    int64_t last_ms;
} figures_t;

/* Take the topics of the heads over; those known stay where they are. */
static mailbus_code_t merge(figures_t *self, const mailbus_heads_t *heads, mailbus_error_t *error)
{
    row_t *rows = calloc(heads->count + 1, sizeof *rows);
    if (rows == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < heads->count; i++) {
        memcpy(rows[i].topic, heads->topics[i].topic, sizeof rows[i].topic);
        rows[i].last = heads->topics[i].sequence;
        for (size_t j = 0; j < self->count; j++) {
            if (strcmp(self->rows[j].topic, rows[i].topic) == 0) {
                rows[i].count = self->rows[j].count;
            }
        }
    }
    free(self->rows);
    self->rows = rows;
    self->count = heads->count;
    return MAILBUS_OK;
}

static mailbus_code_t read_live(figures_t *self, mb_message_t *message, mailbus_error_t *error)
{
    const char *topic = mb_message_data(message, 0);
    size_t size = mb_message_size(message, 0);
    if (message->count != 3) {
        return MAILBUS_OK;
    }
    if (size != strlen(MAILBUS_TOPIC_HEADS) || memcmp(topic, MAILBUS_TOPIC_HEADS, size) != 0) {
        for (size_t i = 0; i < self->count && self->first_ms != 0; i++) {
            if (strlen(self->rows[i].topic) == size &&
                memcmp(self->rows[i].topic, topic, size) == 0) {
                self->rows[i].count++;
                self->seen++;
            }
        }
        return MAILBUS_OK;
    }
    mailbus_heads_t *heads = NULL;
    mailbus_code_t code = mailbus_heads_decode(
        mb_message_data(message, 1), mb_message_size(message, 1), mb_message_data(message, 2),
        mb_message_size(message, 2), &heads, error);
    if (code == MAILBUS_OK) {
        self->last_head = heads->sequence;
        self->last_ms = mb_clock_monotonic_ms();
        if (self->first_ms == 0) {
            self->first_head = self->last_head;
            self->first_ms = self->last_ms;
        }
        code = merge(self, heads, error);
    }
    mailbus_heads_free(&heads);
    return code;
}

/* Listen from one bus.heads to one that comes `interval` later. */
static mailbus_code_t measure(link_t *link, int64_t interval, figures_t *self,
                              mailbus_error_t *error)
{
    int64_t end = mb_clock_monotonic_ms() + interval + link_timeout_ms(link);
    mailbus_code_t code = MAILBUS_OK;
    while (code == MAILBUS_OK &&
           (self->first_ms == 0 || self->last_ms - self->first_ms < interval)) {
        mb_message_t message;
        int64_t left = end - mb_clock_monotonic_ms();
        code = link_receive(link, left > 0 ? (int)left : 0, &message, error);
        if (code == MAILBUS_OK) {
            code = read_live(self, &message, error);
            mb_message_close(&message);
        }
    }
    return code;
}

static double per_second(uint64_t count, const figures_t *self)
{
    int64_t ms = self->last_ms - self->first_ms;
    return ms > 0 ? (double)count * 1000.0 / (double)ms : 0.0;
}

/* Events of one topic a second. Of the global numbers, only their sum says how many there were; so
 * topics are counted as they come, and scaled where the bus dropped some. */
static double topic_rate(const row_t *row, const figures_t *self)
{
    uint64_t all = self->last_head - self->first_head;
    double share = self->seen > 0 ? (double)row->count / (double)self->seen : 0.0;
    return per_second(all, self) * share;
}

static void print_text(cli_t *cli, const mailbus_answer_t *end, const figures_t *figures)
{
    const char *bold = cli->colour ? "\x1b[1m" : "";
    const char *plain = cli->colour ? "\x1b[0m" : "";
    printf("gateway  %s (live), %s (replay)\n", mb_settings_text(cli->settings, "bus.publish"),
           mb_settings_text(cli->settings, "bus.replay"));
    printf("stream   %s\n", end->heads->stream);
    printf("head     %llu\n", (unsigned long long)figures->last_head);
    uint64_t kept = end->oldest > figures->last_head ? 0 : figures->last_head - end->oldest + 1;
    if (kept == 0) {
        printf("oldest   no event is kept\n");
    } else {
        printf("oldest   %llu (%llu kept)\n", (unsigned long long)end->oldest,
               (unsigned long long)kept);
    }
    printf("rate     %.1f events/s over %.1f s\n",
           per_second(figures->last_head - figures->first_head, figures),
           (double)(figures->last_ms - figures->first_ms) / 1000.0);
    if (figures->count > 0) {
        printf("\n%s%-40s %12s %10s%s\n", bold, "TOPIC", "LAST", "EVENTS/S", plain);
    }
    for (size_t i = 0; i < figures->count; i++) {
        const row_t *row = &figures->rows[i];
        printf("%-40s %12llu %10.1f\n", row->topic, (unsigned long long)row->last,
               topic_rate(row, figures));
    }
}

static void print_json(const mailbus_answer_t *end, const figures_t *figures)
{
    printf("{\"stream\":\"%s\",\"head\":\"%llu\",\"oldest\":\"%llu\",\"seconds\":%.3f,"
           "\"rate\":%.3f,\"topics\":{",
           end->heads->stream, (unsigned long long)figures->last_head,
           (unsigned long long)end->oldest, (double)(figures->last_ms - figures->first_ms) / 1000.0,
           per_second(figures->last_head - figures->first_head, figures));
    for (size_t i = 0; i < figures->count; i++) {
        const row_t *row = &figures->rows[i];
        printf("%s\"%s\":{\"last\":\"%llu\",\"rate\":%.3f}", i > 0 ? "," : "", row->topic,
               (unsigned long long)row->last, topic_rate(row, figures));
    }
    printf("}}\n");
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    link_t *link = NULL;
    mailbus_answer_t *end = NULL;
    figures_t figures = {.rows = NULL};
    filter_t everything = {NULL, NULL, 0, 0};
    mailbus_fetch_t fetch = {.kind = MAILBUS_REPLAY_HEADS};
    if (cli->count > 0) {
        return cli_usage(cli, error, "'%.60s' was not expected (--help says what is)",
                         cli->operands[0]);
    }
    mailbus_code_t code = filter_read(NULL, 0, &everything, error);
    if (code == MAILBUS_OK) {
        code = link_new(cli, &link, error);
    }
    if (code == MAILBUS_OK) {
        code = link_subscribe(link, &everything, error);
    }
    if (code == MAILBUS_OK) {
        code = link_ask(link, &fetch, NULL, NULL, NULL, &end, error);
    }
    if (code == MAILBUS_OK) {
        code =
            measure(link, mb_settings_integer(cli->settings, "status.interval"), &figures, error);
    }
    if (code == MAILBUS_OK && mb_settings_boolean(cli->settings, "status.json")) {
        print_json(end, &figures);
    } else if (code == MAILBUS_OK) {
        print_text(cli, end, &figures);
    }
    mailbus_answer_free(&end);
    free(figures.rows);
    filter_free(&everything);
    link_destroy(&link);
    return code;
}

static const mb_setting_t status_settings[] = {
    {.key = "status.interval",
     .type = MB_DURATION,
     .value = "2s",
     .help = "how long to measure rates",
     .min = 500,
     .max = 600000},
    {.key = "status.json", .type = MB_BOOLEAN, .value = "no", .help = "as a JSON object"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {status_settings, cli_bus_settings, cli_key_settings,
                                               NULL};

static const cli_option_t options[] = {
    {"--interval", "status.interval", true, "how long to measure rates"},
    {"--json", "status.json", false, "as a JSON object"},
    {"--timeout", "cli.timeout", true, "how long to wait for the gateway"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_status = {
    .name = "status",
    .summary = "head, topics, rates, the oldest event kept",
    .settings = settings,
    .options = options,
    .run = run,
};
