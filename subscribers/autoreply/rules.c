#include "rules.h"

#include <czmq.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "mailbus/json.h"
#include "template.h"

/* The guide's Auto-Reply Bot: support and sales get their text, others nothing. */
static const char shipped[] =
    "rules\n"
    "    support\n"
    "        recipient = \"support\"\n"
    "        text = \"Thanks for contacting support! We'll respond within 24 hours.\"\n"
    "    sales\n"
    "        recipient = \"sales\"\n"
    "        text = \"Thanks for your interest! A sales rep will contact you soon.\"\n";

/* --- reading files ------------------------------------------------------------------------------
 */

static mailbus_code_t read_file(const char *path, char **ret_text, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    char chunk[4096];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return mailbus_fail(error, errno == ENOENT ? MAILBUS_ENOTFOUND : MAILBUS_EIO, "%s: %s",
                            path, strerror(errno));
    }
    text.limit = TEMPLATE_MAX;
    mailbus_buf_text(&text, "");
    for (size_t size; (size = fread(chunk, 1, sizeof chunk, file)) > 0;) {
        mailbus_buf_append(&text, chunk, size);
    }
    if (ferror(file)) {
        code = mailbus_fail(error, MAILBUS_EIO, "%s: %s", path, strerror(errno));
    } else if (text.failed) {
        code =
            mailbus_fail(error, MAILBUS_ETOOBIG, "%s is longer than %zu bytes", path, TEMPLATE_MAX);
    } else if (memchr(text.data, '\0', text.size) != NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%s is not text", path);
    } else {
        *ret_text = mailbus_buf_take(&text, NULL);
    }
    fclose(file);
    mailbus_buf_free(&text);
    return code;
}

static mailbus_code_t read_beside(const char *folder, const char *name, char **ret_text,
                                  mailbus_error_t *error)
{
    char *path = NULL;
    int size =
        name[0] == '/' ? asprintf(&path, "%s", name) : asprintf(&path, "%s/%s", folder, name);
    if (size < 0) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = read_file(path, ret_text, error);
    free(path);
    return code;
}

/* --- one rule -----------------------------------------------------------------------------------
 */

static void free_rule(rule_t *rule)
{
    free(rule->name);
    free(rule->recipient);
    free(rule->sender);
    free(rule->subject);
    free(rule->inbox);
    free(rule->text);
    free(rule->html);
}

/* One "key = value" of a rule. */
static mailbus_code_t read_key(rule_t *rule, const char *folder, const char *key, const char *value,
                               mailbus_error_t *error)
{
    const struct {
        const char *key;
        char **field;
        bool is_file;
    } keys[] = {
        {"recipient", &rule->recipient, false}, {"sender", &rule->sender, false},
        {"subject", &rule->subject, false},     {"inbox", &rule->inbox, false},
        {"text", &rule->text, false},           {"text_file", &rule->text, true},
        {"html", &rule->html, false},           {"html_file", &rule->html, true},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(key, keys[i].key) != 0) {
            continue;
        }
        if (*keys[i].field != NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is given twice", key);
        }
        if (value == NULL || value[0] == '\0') {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" has no value", key);
        }
        if (keys[i].is_file) {
            return read_beside(folder, value, keys[i].field, error);
        }
        *keys[i].field = strdup(value);
        return *keys[i].field != NULL ? MAILBUS_OK
                                      : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    return mailbus_fail(error, MAILBUS_EINVAL,
                        "\"%.40s\" is no key of a rule; known are recipient, sender, subject, "
                        "inbox, text, text_file, html, html_file",
                        key);
}

static mailbus_code_t check_template(const char *text, mailbus_error_t *error)
{
    if (!mailbus_utf8_valid(text, strlen(text))) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the text is not UTF-8");
    }
    return template_check(text, error);
}

static mailbus_code_t check_rule(const rule_t *rule, mailbus_error_t *error)
{
    if (rule->recipient == NULL && rule->sender == NULL && rule->subject == NULL &&
        rule->inbox == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "it needs a recipient, sender, subject or inbox to match "
                            "(recipient = \"@\" matches every mail)");
    }
    if (rule->text == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "it needs a text or text_file");
    }
    mailbus_code_t code = check_template(rule->text, error);
    return code != MAILBUS_OK || rule->html == NULL ? code : check_template(rule->html, error);
}

static mailbus_code_t read_rule(zconfig_t *section, const char *folder, rule_t *ret_rule,
                                mailbus_error_t *error)
{
    rule_t rule = {0};
    mailbus_error_t why = {0};
    rule.name = strdup(zconfig_name(section));
    mailbus_code_t code =
        rule.name == NULL ? mailbus_fail(&why, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
    for (zconfig_t *key = zconfig_child(section); key != NULL && code == MAILBUS_OK;
         key = zconfig_next(key)) {
        code = read_key(&rule, folder, zconfig_name(key), zconfig_value(key), &why);
    }
    if (code == MAILBUS_OK) {
        code = check_rule(&rule, &why);
    }
    if (code == MAILBUS_OK) {
        *ret_rule = rule;
        return MAILBUS_OK;
    }
    mailbus_fail(error, code, "rule \"%.40s\": %.200s", zconfig_name(section), why.text);
    free_rule(&rule);
    return code;
}

/* --- the file -----------------------------------------------------------------------------------
 */

static mailbus_code_t add_rule(rules_t *rules, zconfig_t *section, const char *folder,
                               mailbus_error_t *error)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (strcmp(rules->items[i].name, zconfig_name(section)) == 0) {
            return mailbus_fail(error, MAILBUS_EINVAL, "two rules are called \"%.40s\"",
                                zconfig_name(section));
        }
    }
    if (rules->count == RULES_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d rules", RULES_MAX);
    }
    rule_t *items = realloc(rules->items, (rules->count + 1) * sizeof *items);
    if (items == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    rules->items = items;
    mailbus_code_t code = read_rule(section, folder, &items[rules->count], error);
    rules->count += code == MAILBUS_OK ? 1 : 0;
    return code;
}

static mailbus_code_t read_sections(zconfig_t *root, const char *folder, rules_t *rules,
                                    mailbus_error_t *error)
{
    for (zconfig_t *top = zconfig_child(root); top != NULL; top = zconfig_next(top)) {
        if (strcmp(zconfig_name(top), "rules") != 0) {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"%.40s\" stands where only \"rules\" may",
                                zconfig_name(top));
        }
        for (zconfig_t *section = zconfig_child(top); section != NULL;
             section = zconfig_next(section)) {
            mailbus_code_t code = add_rule(rules, section, folder, error);
            if (code != MAILBUS_OK) {
                return code;
            }
        }
    }
    return rules->count > 0 ? MAILBUS_OK
                            : mailbus_fail(error, MAILBUS_EINVAL, "there are no rules in it");
}

mailbus_code_t rules_parse(const char *text, const char *folder, rules_t **ret_rules,
                           mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_ENOMEM;
    rules_t *rules = calloc(1, sizeof *rules);
    zconfig_t *root = zconfig_str_load(text);
    if (rules == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    } else if (root == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "not ZPL: indent by four blanks, write key = \"value\"");
    } else {
        code = read_sections(root, folder, rules, error);
    }
    if (code == MAILBUS_OK) {
        *ret_rules = rules;
        rules = NULL;
    }
    zconfig_destroy(&root);
    rules_free(&rules);
    return code;
}

mailbus_code_t rules_load(const char *path, rules_t **ret_rules, mailbus_error_t *error)
{
    if (path[0] == '\0') {
        return rules_parse(shipped, ".", ret_rules, error);
    }
    char *text = NULL;
    mailbus_code_t code = read_file(path, &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    mailbus_error_t why = {0};
    code = folder == NULL ? mailbus_fail(&why, MAILBUS_ENOMEM, "out of memory")
                          : rules_parse(text, folder, ret_rules, &why);
    if (code != MAILBUS_OK) {
        mailbus_fail(error, code, "%.100s: %.150s", path, why.text);
    }
    free(folder);
    free(text);
    return code;
}

void rules_free(rules_t **rules_p)
{
    rules_t *rules = *rules_p;
    if (rules == NULL) {
        return;
    }
    for (size_t i = 0; i < rules->count; i++) {
        free_rule(&rules->items[i]);
    }
    free(rules->items);
    free(rules);
    *rules_p = NULL;
}

/* --- matching -----------------------------------------------------------------------------------
 */

static bool any_contains(const agentmail_addresses_t *list, const char *part)
{
    for (size_t i = 0; i < list->count; i++) {
        if (agentmail_text_contains(list->items[i].address, part)) {
            return true;
        }
    }
    return false;
}

static bool ours_contains(const agentmail_addresses_t *list, const agentmail_message_t *message,
                          const own_t *own, const char *part)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *address = list->items[i].address;
        bool ours = agentmail_address_equal(address, message->inbox_id) || own_has(own, address);
        if (ours && agentmail_text_contains(address, part)) {
            return true;
        }
    }
    return false;
}

static bool matches(const rule_t *rule, const agentmail_message_t *message, const own_t *own)
{
    if (rule->inbox != NULL && !agentmail_address_equal(rule->inbox, message->inbox_id)) {
        return false;
    }
    if (rule->subject != NULL &&
        (message->subject == NULL || !agentmail_text_contains(message->subject, rule->subject))) {
        return false;
    }
    if (rule->sender != NULL && !any_contains(&message->from, rule->sender)) {
        return false;
    }
    return rule->recipient == NULL || ours_contains(&message->to, message, own, rule->recipient) ||
           ours_contains(&message->cc, message, own, rule->recipient);
}

const rule_t *rules_match(const rules_t *rules, const agentmail_message_t *message,
                          const own_t *own)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (matches(&rules->items[i], message, own)) {
            return &rules->items[i];
        }
    }
    return NULL;
}
