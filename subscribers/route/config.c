#include "route/config.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/guard.h"
#include "mailbus/json.h"
#include "route/card.h"
#include "rules/rules_file.h"

const mailbus_setting_t config_settings[] = {
    {"route.rules", "path", "",
     "File with rules and targets (ZPL); empty: the guide's routes, with SLACK_BOT_TOKEN, "
     "GITHUB_TOKEN and GITHUB_REPOSITORY from the environment",
     true, NULL},
    {"route.match", "choice:first all", "first",
     "Whether the first rule that matches a mail is applied, or all that do", true, NULL},
    {"route.topics", "text", "",
     "Other topics than message.received, blank-separated, \"message.received.*\" with all below; "
     "only mails can be routed",
     false, NULL},
    {"route.settle", "duration", "30s",
     "After a try that may or may not have been carried out: look for it not before this", true,
     NULL},
    {"slack.base_url", "text", "https://slack.com/api",
     "Where Slack's Web API is; http only on a loopback address", false, NULL},
    {"slack.interval", "duration", "1s", "Between two messages in one channel", true, NULL},
    {"github.base_url", "text", "https://api.github.com",
     "Where GitHub's API is (Enterprise Server: https://HOST/api/v3)", false, NULL},
    {"github.interval", "duration", "1s", "Between two issues under one token", true, NULL},
    OUTGOING_SETTINGS,
    {NULL, NULL, NULL, NULL, false, NULL},
};

/* The guide's route_message: the first that fits. */
const char config_shipped[] = "targets\n"
                              "    billing-team\n"
                              "        kind = \"slack\"\n"
                              "        channel = \"#billing-team\"\n"
                              "        token_env = \"SLACK_BOT_TOKEN\"\n"
                              "    issues\n"
                              "        kind = \"github\"\n"
                              "        repo_env = \"GITHUB_REPOSITORY\"\n"
                              "        token_env = \"GITHUB_TOKEN\"\n"
                              "    feature-requests\n"
                              "        kind = \"file\"\n"
                              "        path = \"mailbus-data/feature-requests.jsonl\"\n"
                              "rules\n"
                              "    billing\n"
                              "        subject = \"billing\"\n"
                              "        subject = \"payment\"\n"
                              "        target = \"billing-team\"\n"
                              "    bug\n"
                              "        subject = \"bug\"\n"
                              "        subject = \"error\"\n"
                              "        target = \"issues\"\n"
                              "    feature\n"
                              "        subject = \"feature\"\n"
                              "        target = \"feature-requests\"\n";

/* --- rules and targets --------------------------------------------------------------------------
 */

static mailbus_code_t check_note(const char *note, mailbus_error_t *error)
{
    size_t size = strlen(note);
    if (size > CARD_NOTE_MAX || !mailbus_utf8_valid(note, size)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "note must be UTF-8 of at most %d bytes",
                            CARD_NOTE_MAX);
    }
    return MAILBUS_OK;
}

static mailbus_code_t check_labels(const char *labels, mailbus_error_t *error)
{
    return mailbus_utf8_valid(labels, strlen(labels))
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_EINVAL, "labels is not UTF-8");
}

static const rules_key_t rule_keys[] = {
    {"target", false, NULL, true},
    {"note", true, check_note, false},
    {"labels", false, check_labels, false},
    {NULL, false, NULL, false},
};

static mailbus_code_t check_targets(const rules_t *rules, const targets_t *targets,
                                    mailbus_error_t *error)
{
    for (size_t i = 0; i < rules_count(rules); i++) {
        const rule_t *rule = rules_item(rules, i);
        const char *name = rule_text(rule, "target");
        const target_t *target = targets_find(targets, name);
        if (target == NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "rule \"%.40s\": there is no target \"%.40s\"", rule_name(rule),
                                name);
        }
        if (rule_text(rule, "labels") != NULL && target->kind != TARGET_GITHUB) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "rule \"%.40s\": labels are for github targets", rule_name(rule));
        }
    }
    return MAILBUS_OK;
}

mailbus_code_t config_parse(const char *text, const char *folder, bool lenient, rules_t **ret_rules,
                            targets_t *ret_targets, mailbus_error_t *error)
{
    char *parts[2] = {NULL, NULL}; /* targets, the rest */
    rules_t *rules = NULL;
    targets_t targets = {.items = NULL};
    mailbus_code_t code = targets_split(text, &parts[0], &parts[1], error);
    if (code == MAILBUS_OK) {
        code = rules_parse(parts[1], folder, rule_keys, &rules, error);
    }
    if (code == MAILBUS_OK) {
        code = targets_parse(parts[0], folder, lenient, &targets, error);
    }
    if (code == MAILBUS_OK) {
        code = check_targets(rules, &targets, error);
    }
    if (code == MAILBUS_OK) {
        *ret_rules = rules;
        *ret_targets = targets;
    } else {
        rules_free(&rules);
        targets_free(&targets);
    }
    free(parts[0]);
    free(parts[1]);
    return code;
}

static mailbus_code_t load_file(config_t *config, const char *path, mailbus_error_t *error)
{
    bool lenient = config->policy.dry_run;
    mailbus_error_t why = {0};
    if (path[0] == '\0') {
        mailbus_code_t code =
            config_parse(config_shipped, ".", lenient, &config->rules, &config->targets, &why);
        return code == MAILBUS_OK
                   ? code
                   : mailbus_fail(error, code,
                                  "route.rules is not set, and the shipped routes lack something: "
                                  "%.120s. Name a file, or try with --dry-run",
                                  why.text);
    }
    char *text = NULL;
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    mailbus_code_t code = folder == NULL ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
                                         : rules_file_read(path, &text, error);
    if (code == MAILBUS_OK) {
        code = config_parse(text, folder, lenient, &config->rules, &config->targets, &why);
        if (code != MAILBUS_OK) {
            mailbus_fail(error, code, "%.80s: %.170s", path, why.text);
        }
    }
    free(folder);
    free(text);
    return code;
}

/* --- settings -----------------------------------------------------------------------------------
 */

static mailbus_code_t read_api(const mailbus_runtime_t *runtime, const char *url_key,
                               const char *interval_key, config_api_t *api, mailbus_error_t *error)
{
    enum { INTERVAL_MAX_MS = 3600000 };
    agentmail_url_t url;
    mailbus_error_t why = {0};
    const char *text = mailbus_setting_text(runtime, url_key);
    api->interval_ms = mailbus_setting_integer(runtime, interval_key);
    if (agentmail_url_check(text, &url, &why) != MAILBUS_OK || strchr(text, '?') != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: %s", url_key,
                            why.text[0] != '\0' ? why.text : "it must have no query");
    }
    if (!url.https && !url.loopback) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%s must begin with https://: over http the token could be read on the "
                            "way (http is taken for loopback addresses)",
                            url_key);
    }
    if (api->interval_ms < 0 || api->interval_ms > INTERVAL_MAX_MS) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: 0 to 1h", interval_key);
    }
    api->reach = url.https ? AGENTMAIL_REACH_ANY : AGENTMAIL_REACH_LOOPBACK;
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '/') {
        size--;
    }
    api->base_url = strndup(text, size);
    return api->base_url != NULL ? MAILBUS_OK
                                 : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static mailbus_code_t read_settings(config_t *config, const mailbus_runtime_t *runtime,
                                    mailbus_error_t *error)
{
    config->match_all = strcmp(mailbus_setting_text(runtime, "route.match"), "all") == 0;
    config->settle_ms = mailbus_setting_integer(runtime, "route.settle");
    mailbus_code_t code = outgoing_policy_read(runtime, &config->policy, error);
    if (code == MAILBUS_OK) {
        code = read_api(runtime, "slack.base_url", "slack.interval", &config->slack, error);
    }
    if (code == MAILBUS_OK) {
        code = read_api(runtime, "github.base_url", "github.interval", &config->github, error);
    }
    if (code == MAILBUS_OK && config->settle_ms < 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "route.settle: at least 0");
    }
    return code;
}

mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                           mailbus_error_t *error)
{
    config_t *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = read_settings(config, runtime, error);
    if (code == MAILBUS_OK) {
        code = load_file(config, mailbus_setting_text(runtime, "route.rules"), error);
    }
    if (code == MAILBUS_OK) {
        *ret_config = config;
        config = NULL;
    }
    config_free(config);
    return code;
}

void config_free(void *value)
{
    config_t *config = value;
    if (config == NULL) {
        return;
    }
    rules_free(&config->rules);
    targets_free(&config->targets);
    outgoing_policy_free(&config->policy);
    free(config->slack.base_url);
    free(config->github.base_url);
    free(config);
}

bool config_forwards(const config_t *config)
{
    for (size_t i = 0; i < config->targets.count; i++) {
        if (config->targets.items[i].kind == TARGET_FORWARD) {
            return true;
        }
    }
    return false;
}

const rule_t *config_rule(const config_t *config, const char *name)
{
    for (size_t i = 0; i < rules_count(config->rules); i++) {
        if (strcmp(rule_name(rules_item(config->rules, i)), name) == 0) {
            return rules_item(config->rules, i);
        }
    }
    return NULL;
}
