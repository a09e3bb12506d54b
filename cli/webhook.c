/* mailbus webhook: the guide's registration step, through AgentMail's API. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/client.h"
#include "agentmail/text.h"
#include "cli.h"
#include "mailbus/event.h"
#include "mailbus/json.h"

enum { EVENTS_MAX = 64 }; /* event types of one webhook */

static mailbus_code_t open_client(cli_t *cli, agentmail_client_t **ret_client,
                                  mailbus_error_t *error)
{
    const char *key = mb_settings_text(cli->settings, "api.key");
    if (key[0] == '\0') {
        return cli_usage(cli, error,
                         "no API key: export AGENTMAIL_API_KEY=am_… (or MAILBUS_API_KEY_FILE)");
    }
    const agentmail_options_t options = {
        .base_url = mb_settings_text(cli->settings, "api.base_url"),
        .api_key = key,
        .user_agent = "mailbus/" MAILBUS_VERSION,
        .timeout_ms = (long)mb_settings_integer(cli->settings, "api.timeout"),
    };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't start libcurl");
    }
    mailbus_code_t code = agentmail_client_new(&options, ret_client, error);
    if (code != MAILBUS_OK) {
        curl_global_cleanup();
    }
    return code;
}

static void close_client(agentmail_client_t **client_p)
{
    agentmail_client_destroy(client_p);
    curl_global_cleanup();
}

/* OK where the call was carried out; its text is one line for people already. */
static mailbus_code_t judge(const agentmail_result_t *result, mailbus_error_t *error)
{
    if (result->verdict == AGENTMAIL_DONE) {
        return MAILBUS_OK;
    }
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    agentmail_text_line(result->text, strlen(result->text), sizeof error->text - 1, &text);
    mailbus_code_t code =
        mailbus_fail(error, result->verdict == AGENTMAIL_RETRY ? MAILBUS_EAGAIN : MAILBUS_EINVAL,
                     "%s", text.data != NULL ? text.data : "the call failed");
    mailbus_buf_free(&text);
    return code;
}

/* One line of an answer's text: the service is trusted with mail, not with this terminal. */
static void put(FILE *out, const char *before, const char *text, const char *after)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_text(&line, "");
    if (text != NULL) {
        agentmail_text_line(text, strlen(text), 0, &line);
    }
    fprintf(out, "%s%s%s", before, line.data != NULL ? line.data : "", after);
    mailbus_buf_free(&line);
}

/* Cut "a, b c" up into names; `text` is changed. */
static mailbus_code_t read_events(cli_t *cli, char *text, const char *names[EVENTS_MAX + 1],
                                  mailbus_error_t *error)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *name = strtok_r(text, ", \t", &rest); name != NULL;
         name = strtok_r(NULL, ", \t", &rest)) {
        mailbus_error_t why;
        if (count == EVENTS_MAX) {
            return cli_usage(cli, error, "more than %d event types", EVENTS_MAX);
        }
        if (mailbus_topic_check(name, strlen(name), &why) != MAILBUS_OK) {
            return cli_usage(cli, error, "\"%.60s\" is no event type, such as message.received",
                             name);
        }
        names[count++] = name;
    }
    names[count] = NULL;
    return count > 0 ? MAILBUS_OK : cli_usage(cli, error, "--events: at least one event type");
}

static void print_created(const cJSON *webhook, const char *url)
{
    const char *secret = mailbus_json_string(webhook, "secret");
    put(stderr, "webhook ", mailbus_json_string(webhook, "webhook_id"), " is registered for ");
    put(stderr, "", url, "\n");
    if (secret == NULL) {
        fprintf(stderr, "The answer held no secret: look it up at AgentMail's console.\n");
        return;
    }
    fprintf(stderr, "Its secret, which is shown only now (the gateway's verify.secret):\n");
    fflush(stderr);
    put(stdout, "", secret, "\n");
    fflush(stdout);
    fprintf(stderr,
            "Give it to the gateway: export MAILBUS_VERIFY_SECRET=<the line above>, or "
            "write it to a file\nof mode 600 and set MAILBUS_VERIFY_SECRET_FILE to that.\n");
}

static mailbus_code_t create(cli_t *cli, mailbus_error_t *error)
{
    const char *url = mb_settings_text(cli->settings, "webhook.url");
    const char *client_id = mb_settings_text(cli->settings, "webhook.client_id");
    const char *names[EVENTS_MAX + 1];
    agentmail_client_t *client = NULL;
    agentmail_result_t result = {.status = 0};
    if (url[0] == '\0') {
        return cli_usage(cli, error, "where to? --url https://your-host.example/webhook");
    }
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) {
        return cli_usage(cli, error, "\"%.80s\" is no URL: https://your-host.example/webhook", url);
    }
    char *events = strdup(mb_settings_text(cli->settings, "webhook.events"));
    if (events == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = read_events(cli, events, names, error);
    if (code == MAILBUS_OK) {
        code = open_client(cli, &client, error);
    }
    if (code == MAILBUS_OK) {
        agentmail_webhook_create(client, url, names, client_id[0] != '\0' ? client_id : NULL,
                                 &result);
        code = judge(&result, error);
        if (code == MAILBUS_OK) {
            print_created(result.json, url);
        }
        agentmail_result_free(&result);
        close_client(&client);
    }
    free(events);
    return code;
}

static void print_webhook(const cJSON *webhook)
{
    const cJSON *enabled = mailbus_json_item(webhook, "enabled");
    const cJSON *type;
    put(stdout, "", mailbus_json_string(webhook, "webhook_id"), "  ");
    printf("%-8s  ", cJSON_IsFalse(enabled) ? "disabled" : "enabled");
    put(stdout, "", mailbus_json_string(webhook, "url"), "\n");
    cJSON_ArrayForEach(type, mailbus_json_item(webhook, "event_types"))
    {
        put(stdout, "    ", cJSON_GetStringValue(type), "\n");
    }
}

static mailbus_code_t list(cli_t *cli, mailbus_error_t *error)
{
    agentmail_client_t *client = NULL;
    agentmail_result_t result = {.status = 0};
    mailbus_code_t code = open_client(cli, &client, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    agentmail_webhook_list(client, &result);
    code = judge(&result, error);
    if (code == MAILBUS_OK) {
        const cJSON *webhooks = mailbus_json_item(result.json, "webhooks");
        const cJSON *webhook;
        cJSON_ArrayForEach(webhook, webhooks)
        {
            print_webhook(webhook);
        }
        if (cJSON_GetArraySize(webhooks) == 0) {
            fprintf(stderr, "no webhook is registered\n");
        }
    }
    agentmail_result_free(&result);
    close_client(&client);
    return code;
}

static mailbus_code_t delete (cli_t *cli, mailbus_error_t *error)
{
    agentmail_client_t *client = NULL;
    agentmail_result_t result = {.status = 0};
    mailbus_code_t code = open_client(cli, &client, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    agentmail_webhook_delete(client, cli->operands[0], &result);
    code = judge(&result, error);
    if (code == MAILBUS_OK) {
        printf("webhook %s is deleted\n", cli->operands[0]);
    }
    agentmail_result_free(&result);
    close_client(&client);
    return code;
}

static mailbus_code_t run(cli_t *cli, mailbus_error_t *error)
{
    static const cli_verb_t verbs[] = {
        {"create", 0, 0, create},
        {"list", 0, 0, list},
        {"delete", 1, 1, delete},
    };
    return cli_run_verb(cli, verbs, sizeof verbs / sizeof *verbs, error);
}

static const mb_setting_t webhook_settings[] = {
    {.key = "webhook.url", .type = MB_TEXT, .value = "", .help = "where AgentMail delivers to"},
    {.key = "webhook.events",
     .type = MB_TEXT,
     .value = "message.received message.sent message.delivered message.bounced "
              "message.complained message.rejected domain.verified",
     .help = "event types, separated by blanks or commas"},
    {.key = "webhook.client_id",
     .type = MB_TEXT,
     .value = "",
     .help = "a name of your own: the same call twice then gives the same webhook"},
    {.key = "api.base_url",
     .type = MB_TEXT,
     .value = AGENTMAIL_BASE_URL,
     .help = "AgentMail's API"},
    {.key = "api.key",
     .type = MB_SECRET,
     .value = "",
     .help = "the API key",
     .env = "AGENTMAIL_API_KEY"},
    {.key = "api.timeout",
     .type = MB_DURATION,
     .value = "30s",
     .help = "how long one call may take",
     .min = 100,
     .max = 600000},
    {.key = NULL},
};

static const mb_setting_t *const settings[] = {webhook_settings, NULL};

static const cli_option_t options[] = {
    {"--url", "webhook.url", true, "where AgentMail delivers to (create)"},
    {"--events", "webhook.events", true, "event types (create)"},
    {"--client-id", "webhook.client_id", true, "a name of your own (create)"},
    {NULL, NULL, false, NULL},
};

const cli_command_t cli_webhook = {
    .name = "webhook",
    .synopsis = "create --url URL | list | delete ID",
    .summary = "webhooks at AgentMail: register, list, delete",
    .details = "  create registers URL and prints the secret, on a line of its own to standard "
               "output.\n"
               "  The API key comes from AGENTMAIL_API_KEY, MAILBUS_API_KEY or "
               "MAILBUS_API_KEY_FILE.",
    .settings = settings,
    .options = options,
    .run = run,
};
