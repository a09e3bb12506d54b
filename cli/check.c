/* mailbus check: may I send to this address? Asked as a program that sends mail asks. */
#include <stdio.h>
#include <string.h>

#include "agentmail/address.h"
#include "check/client.h"
#include "cli.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

/* Exit statuses; 2 is a wrong command line, and 0 a yes from all about all. */
enum { STATUS_NO = 1, STATUS_NONE = 3 };

static const char *const kind_names[] = {
    [CHECK_REPLY_YES] = "yes", [CHECK_REPLY_NO] = "no", [CHECK_REPLY_NONE] = "none"};
static const char *const kind_words[] = {
    [CHECK_REPLY_YES] = "yes", [CHECK_REPLY_NO] = "no", [CHECK_REPLY_NONE] = "no answer"};
static const check_reply_kind_t verdict_kinds[] = {[CHECK_ALLOWED] = CHECK_REPLY_YES,
                                                   [CHECK_REFUSED] = CHECK_REPLY_NO,
                                                   [CHECK_NOT_NOW] = CHECK_REPLY_NONE};

static void print_reply(const char *label, int width, const check_reply_t *reply)
{
    char until[MAILBUS_TIME_SIZE] = "";
    if (reply->until_ms > 0) {
        mailbus_time_format(reply->until_ms, until);
    }
    printf("  %-*s  %s%s%s%s%s\n", width, label, kind_words[reply->kind],
           reply->reason[0] != '\0' ? ": " : "", reply->reason, until[0] != '\0' ? ", until " : "",
           until);
}

static void print_text(const check_peers_t *peers, const char *address,
                       const check_result_t *result, const check_reply_t *replies)
{
    int width = 0;
    printf("%s  %s\n", address, kind_words[verdict_kinds[result->verdict]]);
    for (size_t i = 0; i < check_peers_count(peers); i++) {
        int size = (int)strlen(check_peers_label(peers, i));
        width = size > width ? size : width;
    }
    for (size_t i = 0; i < check_peers_count(peers); i++) {
        print_reply(check_peers_label(peers, i), width, &replies[i]);
    }
}

static void write_text(const char *key, const char *text, mailbus_buf_t *out)
{
    mailbus_buf_printf(out, "\"%s\":", key);
    mailbus_json_write_string(out, text, strlen(text));
}

static void print_json(const check_peers_t *peers, const char *address,
                       const check_result_t *result, const check_reply_t *replies,
                       mailbus_buf_t *out)
{
    mailbus_buf_clear(out);
    mailbus_buf_char(out, '{');
    write_text("address", address, out);
    mailbus_buf_printf(out, ",\"answer\":\"%s\",\"answers\":[",
                       kind_names[verdict_kinds[result->verdict]]);
    for (size_t i = 0; i < check_peers_count(peers); i++) {
        mailbus_buf_text(out, i == 0 ? "{" : ",{");
        write_text("from", check_peers_label(peers, i), out);
        mailbus_buf_printf(out, ",\"answer\":\"%s\"", kind_names[replies[i].kind]);
        if (replies[i].reason[0] != '\0') {
            mailbus_buf_char(out, ',');
            write_text("reason", replies[i].reason, out);
        }
        if (replies[i].until_ms > 0) {
            char until[MAILBUS_TIME_SIZE];
            mailbus_time_format(replies[i].until_ms, until);
            mailbus_buf_char(out, ',');
            write_text("until", until, out);
        }
        mailbus_buf_char(out, '}');
    }
    mailbus_buf_text(out, "]}\n");
    if (!out->failed) {
        (void)fwrite(out->data, 1, out->size, stdout); /* cli_flush sees failures */
    }
}

/* One address: the worst of all answers so far stays in cli->status, a no being worse than none. */
static mailbus_code_t check_address(cli_t *cli, const check_peers_t *peers, const char *address,
                                    mailbus_buf_t *out, mailbus_error_t *error)
{
    check_reply_t replies[CHECK_PEERS_MAX];
    check_result_t result;
    mailbus_code_t code =
        check_peers_ask(peers, address, mb_settings_integer(cli->settings, "send.check_timeout"),
                        false, replies, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    check_client_decide(peers, replies, &result);
    if (mb_settings_boolean(cli->settings, "check.json")) {
        print_json(peers, address, &result, replies, out);
    } else {
        print_text(peers, address, &result, replies);
    }
    if (out->failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (result.verdict == CHECK_REFUSED) {
        cli->status = STATUS_NO;
    } else if (result.verdict == CHECK_NOT_NOW && cli->status == 0) {
        cli->status = STATUS_NONE;
    }
    return cli_flush(error);
}

/* The mailboxes of all operands: "jane@example.com", "Jane <jane@example.com>". */
static mailbus_code_t read_addresses(cli_t *cli, agentmail_addresses_t *list,
                                     mailbus_error_t *error)
{
    for (size_t i = 0; i < cli->count; i++) {
        size_t before = list->count;
        mailbus_error_t why = {.text = ""};
        mailbus_code_t code =
            agentmail_address_parse(cli->operands[i], strlen(cli->operands[i]), list, &why);
        if (code == MAILBUS_ENOMEM) {
            return mailbus_fail(error, code, "%s", why.text);
        }
        if (code != MAILBUS_OK || list->count == before) {
            return cli_usage(cli, error, "operand %zu is no mail address%s%s", i + 1,
                             why.text[0] != '\0' ? ": " : "", why.text);
        }
    }
    return list->count > 0 ? MAILBUS_OK
                           : cli_usage(cli, error, "say which address: mailbus check ADDRESS…");
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    check_peers_t *peers = NULL;
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_code_t code = read_addresses(cli, &list, error);
    if (code == MAILBUS_OK) {
        code = check_peers_new(mb_settings_text(cli->settings, "send.checks"),
                               mb_settings_text(cli->settings, "bus.curve_dir"),
                               mb_settings_text(cli->settings, "bus.curve_name"), &peers, error);
        cli->usage = code == MAILBUS_EINVAL;
    }
    if (code == MAILBUS_OK && check_peers_count(peers) == 0) {
        code = cli_usage(cli, error,
                         "nobody is asked: send.checks is empty (--checks \"tcp://127.0.0.1:5558 "
                         "tcp://127.0.0.1:5559\" asks bounces and suppression)");
    }
    for (size_t i = 0; code == MAILBUS_OK && i < list.count; i++) {
        code = check_address(cli, peers, list.items[i].address, &out, error);
    }
    mailbus_buf_free(&out);
    check_peers_destroy(&peers);
    agentmail_addresses_free(&list);
    return code;
}

static const mb_setting_t check_settings[] = {
    {.key = "send.checks",
     .type = MB_TEXT,
     .value = "",
     .help = "whom to ask, blank-separated: ENDPOINT, with keys NAME@ENDPOINT"},
    {.key = "send.check_timeout",
     .type = MB_DURATION,
     .value = "2s",
     .help = "how long to wait for all of them",
     .min = 1,
     .max = 600000},
    {.key = "check.json", .type = MB_BOOLEAN, .value = "no", .help = "one JSON object a line"},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {check_settings, cli_key_settings, NULL};

static const cli_option_t options[] = {
    {"--checks", "send.checks", true, "whom to ask, blank-separated"},
    {"--json", "check.json", false, "one object a line: address, answer, and each one's answer"},
    {"--timeout", "send.check_timeout", true, "how long to wait for all of them"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_check = {
    .name = "check",
    .synopsis = "ADDRESS…",
    .summary = "may a mail be sent to this address? asked as a sender asks",
    .details =
        "  Asks all of send.checks, the setting of the programs that send (MAILBUS_SEND_CHECKS):\n"
        "  bounces answers on tcp://127.0.0.1:5558, suppression on tcp://127.0.0.1:5559.\n"
        "  Ends with 0: yes from all; 1: a no; 3: no answer from one of them, which is\n"
        "  \"not now\" to a sender, never \"yes\"; 2: a wrong command line.",
    .settings = settings,
    .options = options,
    .run = run,
};
