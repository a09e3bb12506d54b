#include "cli.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nearest.h"

enum { VERBS_MAX = 16 }; /* verbs of one command */

const mb_setting_t cli_key_settings[] = {
    {.key = "bus.curve_dir",
     .type = MB_PATH,
     .value = "",
     .help = "the key folder; empty: no keys, the bus is in the clear"},
    {.key = "bus.curve_name",
     .type = MB_TEXT,
     .value = "cli",
     .help = "which of the folder's client keys is this program's"},
    {.key = NULL},
};

const mb_setting_t cli_bus_settings[] = {
    {.key = "bus.publish",
     .type = MB_ENDPOINT,
     .value = "tcp://127.0.0.1:5556",
     .help = "where the gateway publishes"},
    {.key = "bus.replay",
     .type = MB_ENDPOINT,
     .value = "tcp://127.0.0.1:5557",
     .help = "where the gateway answers what was missed"},
    {.key = "cli.timeout",
     .type = MB_DURATION,
     .value = "3s",
     .help = "how long to wait for the gateway",
     .min = 100,
     .max = 600000},
    {.key = NULL},
};

mailbus_code_t cli_usage(cli_t *cli, mailbus_error_t *error, const char *format, ...)
{
    char text[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli->usage = true;
    return mailbus_fail(error, MAILBUS_EINVAL, "%s", text);
}

static mailbus_code_t unknown_verb(cli_t *cli, const cli_verb_t *verbs, size_t count,
                                   mailbus_error_t *error)
{
    const char *names[VERBS_MAX];
    char list[192] = "";
    size_t used = 0;
    assert(count <= VERBS_MAX);
    for (size_t i = 0; i < count; i++) {
        names[i] = verbs[i].name;
        int put = snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", names[i]);
        assert(put > 0 && used + (size_t)put < sizeof list);
        used += (size_t)put;
    }
    if (cli->count == 0) {
        return cli_usage(cli, error, "say what to do: %s", list);
    }
    const char *nearest = mb_nearest(cli->operands[0], names, count);
    if (nearest != NULL) {
        return cli_usage(cli, error, "'%.40s' is none of %s: did you mean %s?", cli->operands[0],
                         list, nearest);
    }
    return cli_usage(cli, error, "'%.40s' is none of %s", cli->operands[0], list);
}

mailbus_code_t cli_run_verb(cli_t *cli, const cli_verb_t *verbs, size_t count,
                            mailbus_error_t *error)
{
    for (size_t i = 0; cli->count > 0 && i < count; i++) {
        if (strcmp(verbs[i].name, cli->operands[0]) != 0) {
            continue;
        }
        cli->operands++;
        cli->count--;
        if (cli->count < verbs[i].least) {
            return cli_usage(cli, error, "'%s' wants more behind it (--help says what)",
                             verbs[i].name);
        }
        if (cli->count > verbs[i].most) {
            return cli_usage(cli, error, "'%.60s' was not expected (--help says what is)",
                             cli->operands[verbs[i].most]);
        }
        return verbs[i].run(cli, error);
    }
    return unknown_verb(cli, verbs, count, error);
}

mailbus_code_t cli_flush(mailbus_error_t *error)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return MAILBUS_OK;
    }
    if (errno == EPIPE) {
        return mailbus_fail(error, MAILBUS_ESTOPPED, "nobody reads any more");
    }
    return mailbus_fail(error, errno == ENOSPC ? MAILBUS_EFULL : MAILBUS_EIO,
                        "can't write to standard output: %s", strerror(errno));
}
