#include "options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "memory.h"

#define TIME_SCALE_MAX 1e6

static const char help[] =
    "agentmail-sim " MAILBUS_VERSION ": a local stand-in for AgentMail, to try things without an "
    "account\n"
    "\n"
    "usage: agentmail-sim [OPTION…]\n"
    "\n"
    "  --listen ADDRESS      where the API answers, under /v0; default 127.0.0.1:8090\n"
    "  --webhook-url URL     where events are delivered; further ones by POST /v0/webhooks\n"
    "  --secret SECRET       signs the deliveries to --webhook-url: whsec_… as Svix does, "
    "anything\n"
    "                        else as the guide does (X-AgentMail-Signature); also from the\n"
    "                        environment, SIM_WEBHOOK_SECRET; default: one is made up and printed\n"
    "  --time-scale N        retries come N times as fast as Svix's (5 s, 5 min, 30 min, 2 h, …)\n"
    "  --inbox ADDRESS       an inbox that is there from the start; may be repeated\n"
    "  --no-blocking         send to blocked, bounced and complained addresses too\n"
    "  --strip-marks         mail from one of its inboxes to another loses its header fields and\n"
    "                        its thread, as some systems on the way do: nothing says that a\n"
    "                        program wrote it\n"
    "  --log-format FORMAT   text or json\n"
    "  --log-level LEVEL     debug, info, warn or error; default info\n"
    "  --version             print the version, and end\n"
    "  --help                print this, and end\n"
    "\n"
    "What can be done to it (JSON in, JSON out):\n"
    "  POST /sim/receive     a mail arrives: "
    "{\"inbox_id\",\"from\",\"to\",\"subject\",\"text\",…},\n"
    "                        or a file with Content-Type: message/rfc822; ?event_type=… for\n"
    "                        message.received.spam and the like\n"
    "  POST /sim/events      sign and deliver this body as it is; ?scheme=guide, ?id=…\n"
    "  GET  /sim/sent        every mail that went out; ?format=text to read, ?format=count\n"
    "  GET  /sim/deliveries  every delivery with its attempts\n"
    "  POST /sim/fail        {\"target\":\"webhook\"|\"api\",\"count\":n,\"status\":503,\n"
    "                        \"retry_after\":2,\"mode\":\"status\"|\"reset\"|\"after\"}\n"
    "  POST /sim/reset       forget everything\n"
    "\n"
    "Mail to bounce@simulator.amazonses.com bounces, mail to complaint@… is complained of; both\n"
    "take a label (bounce+1@…).\n";

const char *options_help(void)
{
    return help;
}

static mailbus_code_t add_inbox(options_t *self, const char *address, mailbus_error_t *error)
{
    char bare[ADDRESS_MAX + 1];
    if (!address_bare(address, bare)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "--inbox: '%.100s' is not an address", address);
    }
    self->inboxes = memory_grow(self->inboxes, self->inbox_count + 1, sizeof(char *));
    self->inboxes[self->inbox_count++] = memory_text(bare);
    return MAILBUS_OK;
}

static mailbus_code_t set_time_scale(options_t *self, const char *text, mailbus_error_t *error)
{
    char *end = NULL;
    double scale = strtod(text, &end);
    if (end == text || *end != '\0' || !(scale > 0) || scale > TIME_SCALE_MAX) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "--time-scale: '%.40s' is not a number above 0, at most 1000000", text);
    }
    self->time_scale = scale;
    return MAILBUS_OK;
}

enum {
    LISTEN = 1,
    WEBHOOK_URL,
    SECRET,
    TIME_SCALE,
    INBOX,
    NO_BLOCKING,
    STRIP_MARKS,
    FORMAT,
    LEVEL,
    VERSION,
    HELP
};

static mailbus_code_t take(options_t *self, int option, char **argv, mailbus_error_t *error)
{
    switch (option) {
    case LISTEN:
        self->listen = optarg;
        return MAILBUS_OK;
    case WEBHOOK_URL:
        self->webhook_url = optarg;
        return MAILBUS_OK;
    case SECRET:
        self->secret = optarg;
        return MAILBUS_OK;
    case TIME_SCALE:
        return set_time_scale(self, optarg, error);
    case INBOX:
        return add_inbox(self, optarg, error);
    case NO_BLOCKING:
        self->reject_blocked = false;
        return MAILBUS_OK;
    case STRIP_MARKS:
        self->strip_marks = true;
        return MAILBUS_OK;
    case FORMAT:
        return mb_log_format_parse(optarg, &self->log_format) == MAILBUS_OK
                   ? MAILBUS_OK
                   : mailbus_fail(error, MAILBUS_EINVAL, "--log-format: text or json");
    case LEVEL:
        return mb_log_level_parse(optarg, &self->log_level) == MAILBUS_OK
                   ? MAILBUS_OK
                   : mailbus_fail(error, MAILBUS_EINVAL, "--log-level: debug, info, warn or error");
    case VERSION:
        self->version = true;
        return MAILBUS_OK;
    case HELP:
        self->help = true;
        return MAILBUS_OK;
    default:
        return mailbus_fail(error, MAILBUS_EINVAL, "%.60s: %s (--help lists the options)",
                            argv[optind - 1],
                            option == ':' ? "a value is missing" : "there is no such option");
    }
}

mailbus_code_t options_read(int argc, char **argv, options_t *ret_options, mailbus_error_t *error)
{
    static const struct option table[] = {
        {"listen", required_argument, NULL, LISTEN},
        {"webhook-url", required_argument, NULL, WEBHOOK_URL},
        {"secret", required_argument, NULL, SECRET},
        {"time-scale", required_argument, NULL, TIME_SCALE},
        {"inbox", required_argument, NULL, INBOX},
        {"no-blocking", no_argument, NULL, NO_BLOCKING},
        {"strip-marks", no_argument, NULL, STRIP_MARKS},
        {"log-format", required_argument, NULL, FORMAT},
        {"log-level", required_argument, NULL, LEVEL},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    options_t options = {
        .listen = "127.0.0.1:8090",
        .secret = getenv("SIM_WEBHOOK_SECRET"),
        .time_scale = 1,
        .reject_blocked = true,
        .log_format = MB_LOG_TEXT,
        .log_level = MB_INFO,
    };
    mailbus_code_t code = MAILBUS_OK;
    int option;
    opterr = 0;
    while (code == MAILBUS_OK && (option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        code = take(&options, option, argv, error);
    }
    if (code == MAILBUS_OK && optind < argc) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' was not expected", argv[optind]);
    }
    if (code == MAILBUS_OK && options.secret != NULL && *options.secret == '\0') {
        options.secret = NULL;
    }
    if (code == MAILBUS_OK && options.webhook_url != NULL &&
        strncmp(options.webhook_url, "http://", 7) != 0 &&
        strncmp(options.webhook_url, "https://", 8) != 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "--webhook-url: it must begin with http:// or https://");
    }
    if (code != MAILBUS_OK) {
        options_clear(&options);
        return code;
    }
    *ret_options = options;
    return MAILBUS_OK;
}

void options_clear(options_t *self)
{
    for (size_t at = 0; at < self->inbox_count; at++) {
        free(self->inboxes[at]);
    }
    free(self->inboxes);
    self->inboxes = NULL;
    self->inbox_count = 0;
}
