/* mailbus keys: the key folder, on the machine where the gateway runs. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "keys.h"

static mailbus_code_t folder(cli_t *cli, const char **ret_dir, mailbus_error_t *error)
{
    const char *dir = mb_settings_text(cli->settings, "bus.curve_dir");
    if (dir[0] == '\0') {
        return cli_usage(cli, error, "which key folder? --dir FOLDER, or bus.curve_dir");
    }
    *ret_dir = dir;
    return MAILBUS_OK;
}

static const char reload[] =
    "The gateway takes it in after SIGHUP (kill -HUP, systemctl reload) or a restart.\n";

static mailbus_code_t new_key(cli_t *cli, mailbus_error_t *error)
{
    const char *dir = NULL;
    const char *name = cli->operands[0];
    mb_key_pair_t server;
    mailbus_code_t code = folder(cli, &dir, error);
    if (code == MAILBUS_OK) {
        code = mb_keys_new(dir, name, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    code = mb_keys_load_server_public(dir, &server, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    printf("%s/clients/%s.key         lets it in\n"
           "%s/clients/%s.key_secret  is its own: hand it over, with server.key, by a safe way\n"
           "The gateway's public key is %s\n%s"
           "The client's bus.curve_dir names a folder with server.key and "
           "clients/%s.key_secret.\n",
           dir, name, dir, name, server.public_key, reload, name);
    return MAILBUS_OK;
}

static mailbus_code_t list(cli_t *cli, mailbus_error_t *error)
{
    const char *dir = NULL;
    mb_key_client_t *clients = NULL;
    size_t count = 0;
    mailbus_code_t code = folder(cli, &dir, error);
    if (code == MAILBUS_OK) {
        code = mb_keys_list(dir, &clients, &count, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    if (count == 0) {
        fprintf(stderr, "nobody is let in: 'mailbus keys new NAME' makes a key\n");
    }
    for (size_t i = 0; i < count; i++) {
        printf("%-24s %s\n", clients[i].name, clients[i].public_key);
    }
    free(clients);
    return MAILBUS_OK;
}

static mailbus_code_t allow(cli_t *cli, mailbus_error_t *error)
{
    const char *dir = NULL;
    mailbus_code_t code = folder(cli, &dir, error);
    if (code == MAILBUS_OK) {
        code = mb_keys_allow(dir, cli->operands[0], cli->operands[1], error);
    }
    if (code == MAILBUS_OK) {
        printf("%s is let in. %s", cli->operands[0], reload);
    }
    return code;
}

static mailbus_code_t revoke(cli_t *cli, mailbus_error_t *error)
{
    const char *dir = NULL;
    mailbus_code_t code = folder(cli, &dir, error);
    if (code == MAILBUS_OK) {
        code = mb_keys_revoke(dir, cli->operands[0], error);
    }
    if (code == MAILBUS_OK) {
        printf("%s has no key any more. %s", cli->operands[0], reload);
    }
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {
        {"new", 1, 1, new_key},
        {"list", 0, 0, list},
        {"allow", 2, 2, allow},
        {"revoke", 1, 1, revoke},
    };
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t *const settings[] = {cli_key_settings, NULL};

static const cli_option_t options[] = {
    {"--dir", "bus.curve_dir", true, "the key folder"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_keys = {
    .name = "keys",
    .synopsis = "new NAME | list | allow NAME KEY | revoke NAME",
    .summary = "keys of the encrypted bus: make, list, let in, take away",
    .details = "  new     makes a client's pair, and the gateway's where it is missing\n"
               "  list    names and public keys of those who are let in\n"
               "  allow   lets a public key in that was made elsewhere\n"
               "  revoke  takes a client's key away",
    .settings = settings,
    .options = options,
    .run = run,
};
