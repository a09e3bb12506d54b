/* route-sim: a local stand-in for Slack, GitHub and a receiver of webhooks. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "signals.h"
#include "stand.h"

#define BODY_MAX (8 * 1024 * 1024) /* bytes of a request */

static const char help[] =
    "route-sim " MAILBUS_VERSION ": a local stand-in for Slack, GitHub and a receiver of webhooks\n"
    "\n"
    "usage: route-sim [--listen ADDRESS] [--log-level LEVEL] [--version] [--help]\n"
    "\n"
    "  --listen ADDRESS   default 127.0.0.1:8091\n"
    "  --log-level LEVEL  debug, info, warn or error; default info\n"
    "\n"
    "What stands in for what:\n"
    "  POST /api/chat.postMessage, GET conversations.history and conversations.list;\n"
    "       tokens begin with xoxb-; one with 'nohistory' in it lacks the scopes for reading;\n"
    "       every channel is there but missing… (not found), archived… and private… (not joined)\n"
    "  POST /services/T/B/CHANNEL: an incoming webhook\n"
    "  POST and GET /repos/OWNER/REPO/issues; tokens: 'bad…' is refused, 'readonly…' may\n"
    "       not write; OWNER missing and REPO noissues and moved answer as they are called\n"
    "  POST /hook/NAME: takes anything\n"
    "\n"
    "What can be done to it (JSON in, JSON out):\n"
    "  GET  /sim/messages, /sim/issues, /sim/hooks   what came; ?format=count, ?format=text\n"
    "  GET  /sim/state    how much of it, and how often a limit was met\n"
    "  POST /sim/fail     {\"target\":T,\"count\":n,\"mode\":M,\"status\":429,\n"
    "                     \"headers\":{\"Retry-After\":\"2\"},\"body\":…,\"delay_ms\":500};\n"
    "                     T: post webhook history list issue issues hook;\n"
    "                     M: status (not carried out), reset (neither), after (carried out, then\n"
    "                     the status, or none for 0), slow (carried out, answered late)\n"
    "  POST /sim/limits   {\"slack_interval_ms\":1000,\"github_per_minute\":80,\n"
    "                     \"github_retry_after\":60,\"lag_ms\":0,\"page_max\":100}\n"
    "  POST /sim/reset    forget everything\n";

typedef struct {
    const char *listen;
    mb_log_level_t level;
    bool done; /* --help or --version: nothing more to do */
} options_t;

static mailbus_code_t options_read(int argc, char **argv, options_t *options,
                                   mailbus_error_t *error)
{
    static const struct option table[] = {{"listen", required_argument, NULL, 'l'},
                                          {"log-level", required_argument, NULL, 'v'},
                                          {"version", no_argument, NULL, 'V'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'l') {
            options->listen = optarg;
        } else if (option == 'v') {
            if (mb_log_level_parse(optarg, &options->level) != MAILBUS_OK) {
                return mailbus_fail(error, MAILBUS_EINVAL,
                                    "--log-level: debug, info, warn or error");
            }
        } else if (option == 'V' || option == 'h') {
            fputs(option == 'h' ? help : "route-sim " MAILBUS_VERSION "\n", stdout);
            options->done = true;
        } else {
            return mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' is not known or lacks its value",
                                argv[optind - 1]);
        }
    }
    return optind == argc
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' was not expected", argv[optind]);
}

static mailbus_code_t run(const options_t *options, mb_log_t *log, mailbus_error_t *error)
{
    stand_t stand;
    mb_httpd_t *httpd = NULL;
    int signals = -1;
    stand_init(&stand, log);
    mailbus_code_t code = mb_signals_block(&signals, error);
    if (code == MAILBUS_OK) {
        const mb_httpd_options_t http = {.listen = options->listen,
                                         .max_body = BODY_MAX,
                                         .timeout_s = 60,
                                         .handler = request_route,
                                         .arg = &stand};
        code = mb_httpd_new(&http, &httpd, error);
    }
    if (code == MAILBUS_OK) {
        mb_log(log, MB_INFO, "http", "listening", MB_S("address", mb_httpd_address(httpd)));
        mb_log(log, MB_INFO, "main", "ready");
        while (mb_signals_wait(signals, -1) != MB_SIGNAL_STOP) {
            mb_log(log, MB_INFO, "main", "nothing to reload");
        }
        mb_log(log, MB_INFO, "main", "stopping");
    }
    mb_httpd_destroy(&httpd);
    stand_clear(&stand);
    if (signals >= 0) {
        close(signals);
    }
    return code;
}

int main(int argc, char **argv)
{
    options_t options = {.listen = "127.0.0.1:8091", .level = MB_INFO};
    mailbus_error_t error;
    memory_use_for_json();
    if (options_read(argc, argv, &options, &error) != MAILBUS_OK) {
        fprintf(stderr, "route-sim: %s\n", error.text);
        return 2;
    }
    if (options.done) {
        return 0;
    }
    mb_log_t *log = mb_log_new("route-sim", STDERR_FILENO);
    if (log != NULL) {
        mb_log_configure(log, options.level, MB_LOG_TEXT);
    }
    mailbus_code_t code = run(&options, log, &error);
    if (code != MAILBUS_OK) {
        mb_log(log, MB_ERROR, "main", "failed", MB_S("error", error.text));
    }
    mb_log_destroy(&log);
    return code == MAILBUS_OK ? 0 : 1;
}
