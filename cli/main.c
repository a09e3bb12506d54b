/* mailbus: what a person asks of a running Mailbus. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "nearest.h"
#include "options.h"
#include "signals.h"

enum { STATUS_OK, STATUS_FAILURE, STATUS_USAGE };

static const cli_command_t *const commands[] = {
    &cli_tail,  &cli_fetch,     &cli_status,  &cli_webhook,     &cli_dead,  &cli_keys,
    &cli_check, &cli_autoreply, &cli_bounces, &cli_suppression, &cli_route, &cli_extract,
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "mailbus " MAILBUS_VERSION ": look into a running Mailbus, and lend it a hand\n\n"
                 "usage: mailbus COMMAND [OPTION…]\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(out, "\n'mailbus COMMAND --help' says more. Settings, such as where the gateway is, "
                 "come from --config FILE,\nfrom the environment (MAILBUS_BUS_REPLAY) or from "
                 "--set bus.replay=tcp://127.0.0.1:5557.\n");
}

static const cli_command_t *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i]->name;
    }
    const char *nearest = mb_nearest(name, names, COMMANDS);
    if (nearest != NULL) {
        fprintf(stderr, "mailbus: there is no command '%.40s': did you mean %s?\n", name, nearest);
    } else {
        fprintf(stderr, "mailbus: there is no command '%.40s' (mailbus help lists them)\n", name);
    }
    return STATUS_USAGE;
}

static bool wants_colour(void)
{
    const char *no_colour = getenv("NO_COLOR"); /* no-color.org: set and not empty */
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_colour == NULL || no_colour[0] == '\0') &&
           term != NULL && strcmp(term, "dumb") != 0;
}

static int run(const cli_command_t *command, int argc, char **argv)
{
    options_t options;
    mailbus_error_t error = {.text = ""};
    mb_settings_action_t action = MB_SETTINGS_RUN;
    cli_t cli = {.colour = wants_colour()};
    mailbus_code_t code = options_read(&options, command, argc, argv, &action, &error);
    if (code != MAILBUS_OK) {
        cli.usage = true;
    } else if (action == MB_SETTINGS_RUN) {
        cli.settings = options.settings;
        cli.operands = options.operands;
        cli.count = options.count;
        code = command->run(&cli, &error);
        mailbus_error_t unwritten;
        if (code == MAILBUS_OK && cli_flush(&unwritten) != MAILBUS_OK) {
            code = unwritten.code;
            error = unwritten;
        }
    }
    options_free(&options);
    if (code == MAILBUS_OK || code == MAILBUS_ESTOPPED) {
        return cli.status;
    }
    fprintf(stderr, "mailbus %s: %s\n", command->name, error.text);
    return cli.usage ? STATUS_USAGE : STATUS_FAILURE;
}

int main(int argc, char **argv)
{
    mb_signals_tame_czmq();
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone is seen when writing */
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    const char *name = argv[1];
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc == 2) {
        print_help(stdout);
        return STATUS_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("mailbus " MAILBUS_VERSION "\n");
        return STATUS_OK;
    }
    const cli_command_t *command = find_command(help ? argv[2] : name);
    if (command == NULL) {
        return unknown_command(help ? argv[2] : name);
    }
    if (help) {
        char *arguments[] = {argv[0], argv[2], "--help", NULL};
        return run(command, 3, arguments);
    }
    return run(command, argc, argv);
}
