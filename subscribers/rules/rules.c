/* Reading rules. */
#include "rules/rules.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/buf.h"
#include "mailbus/json.h"
#include "rules/rules_priv.h"

const char *const rule_field_names[RULE_FIELDS] = {"recipient", "sender", "subject",
                                                   "body",      "inbox",  "header"};

static const char regex_suffix[] = "_regex";
static const char file_suffix[] = "_file";

static mailbus_code_t no_memory(mailbus_error_t *error)
{
    return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static void free_test(rule_test_t *test)
{
    free(test->header);
    free(test->part);
    rules_regex_destroy(&test->regex);
}

static void free_rule(rule_t *rule)
{
    for (size_t i = 0; i < rule->test_count; i++) {
        free_test(&rule->tests[i]);
    }
    for (size_t i = 0; i < rule->value_count; i++) {
        free(rule->values[i].text);
    }
    free(rule->name);
    free(rule->tests);
    free(rule->values);
}

/* True where `key` is `name` with `suffix` behind it. */
static bool is_with(const char *key, const char *name, const char *suffix)
{
    size_t size = strlen(name);
    return strncmp(key, name, size) == 0 && strcmp(key + size, suffix) == 0;
}

/* --- conditions ---------------------------------------------------------------------------------
 */

/* RFC 5322 §2.2: printable ASCII without blank and colon. */
static bool is_field_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return size > 0;
}

/* "Name: what is looked for" of a header condition into name and the rest. */
static mailbus_code_t split_header(const char *value, rule_test_t *test, const char **ret_rest,
                                   mailbus_error_t *error)
{
    const char *colon = strchr(value, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - value);
    if (!is_field_name(value, size)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"%.60s\" is no header condition: write \"Name: part\", or \"Name:\" "
                            "for any value",
                            value);
    }
    test->header = strndup(value, size);
    *ret_rest = colon + 1 + strspn(colon + 1, " ");
    return test->header != NULL ? MAILBUS_OK : no_memory(error);
}

static mailbus_code_t make_test(rule_field_t field, bool is_regex, const char *value,
                                rule_test_t *ret_test, mailbus_error_t *error)
{
    rule_test_t test = {.field = field};
    mailbus_code_t code = MAILBUS_OK;
    if (!mailbus_utf8_valid(value, strlen(value))) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s is not UTF-8", rule_field_names[field]);
    }
    if (field == RULE_HEADER) {
        code = split_header(value, &test, &value, error);
    }
    if (code == MAILBUS_OK && is_regex) {
        code = rules_regex_new(value, &test.regex, error);
    } else if (code == MAILBUS_OK) {
        test.part = strdup(value);
        code = test.part != NULL ? MAILBUS_OK : no_memory(error);
    }
    if (code != MAILBUS_OK) {
        free_test(&test);
        return code;
    }
    *ret_test = test;
    return MAILBUS_OK;
}

static mailbus_code_t add_test(rule_t *rule, rule_field_t field, bool is_regex, const char *value,
                               mailbus_error_t *error)
{
    if (rule->test_count == RULES_CONDITIONS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d conditions",
                            RULES_CONDITIONS_MAX);
    }
    rule_test_t *tests = realloc(rule->tests, (rule->test_count + 1) * sizeof *tests);
    if (tests == NULL) {
        return no_memory(error);
    }
    rule->tests = tests;
    mailbus_code_t code = make_test(field, is_regex, value, &tests[rule->test_count], error);
    rule->test_count += code == MAILBUS_OK ? 1 : 0;
    return code;
}

/* --- the program's keys -------------------------------------------------------------------------
 */

static mailbus_code_t add_value(rule_t *rule, const rules_key_t *key, const char *folder,
                                bool is_file, const char *value, mailbus_error_t *error)
{
    char *text = NULL;
    if (rule_text(rule, key->key) != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is given twice", key->key);
    }
    rule_value_t *values = realloc(rule->values, (rule->value_count + 1) * sizeof *values);
    if (values == NULL) {
        return no_memory(error);
    }
    rule->values = values;
    mailbus_code_t code = MAILBUS_OK;
    if (is_file) {
        code = rules_file_beside(folder, value, &text, error);
    } else {
        text = strdup(value);
        code = text != NULL ? MAILBUS_OK : no_memory(error);
    }
    if (code == MAILBUS_OK && key->check != NULL) {
        code = key->check(text, error);
    }
    if (code != MAILBUS_OK) {
        free(text);
        return code;
    }
    values[rule->value_count++] = (rule_value_t){.key = key, .text = text};
    return MAILBUS_OK;
}

static mailbus_code_t unknown_key(const rules_key_t *keys, const char *key, mailbus_error_t *error)
{
    mailbus_buf_t known = MAILBUS_BUF_INIT;
    for (size_t i = 0; i < RULE_FIELDS; i++) {
        mailbus_buf_printf(&known, "%s, ", rule_field_names[i]);
    }
    for (size_t i = 0; keys[i].key != NULL; i++) {
        mailbus_buf_printf(&known, "%s, ", keys[i].key);
        if (keys[i].file) {
            mailbus_buf_printf(&known, "%s%s, ", keys[i].key, file_suffix);
        }
    }
    mailbus_code_t code = mailbus_fail(error, MAILBUS_EINVAL,
                                       "\"%.40s\" is no key of a rule; known are %sand …_regex",
                                       key, known.data == NULL ? "" : known.data);
    mailbus_buf_free(&known);
    return code;
}

/* One "key = value" of a rule. */
static mailbus_code_t read_key(rule_t *rule, const rules_key_t *keys, const char *folder,
                               const char *key, const char *value, mailbus_error_t *error)
{
    bool empty = value == NULL || value[0] == '\0';
    for (size_t i = 0; i < RULE_FIELDS; i++) {
        bool is_regex = is_with(key, rule_field_names[i], regex_suffix);
        if (is_regex || strcmp(key, rule_field_names[i]) == 0) {
            return empty ? mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" has no value", key)
                         : add_test(rule, (rule_field_t)i, is_regex, value, error);
        }
    }
    for (size_t i = 0; keys[i].key != NULL; i++) {
        bool is_file = keys[i].file && is_with(key, keys[i].key, file_suffix);
        if (is_file || strcmp(key, keys[i].key) == 0) {
            return empty ? mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" has no value", key)
                         : add_value(rule, &keys[i], folder, is_file, value, error);
        }
    }
    return unknown_key(keys, key, error);
}

static mailbus_code_t check_rule(const rule_t *rule, const rules_key_t *keys,
                                 mailbus_error_t *error)
{
    if (rule->test_count == 0) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "it needs a recipient, sender, subject, body, inbox or header to match "
                            "(recipient = \"@\" matches every mail)");
    }
    for (size_t i = 0; keys[i].key != NULL; i++) {
        if (keys[i].required && rule_text(rule, keys[i].key) == NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL, "it needs a %s%s%s%s", keys[i].key,
                                keys[i].file ? " or " : "", keys[i].file ? keys[i].key : "",
                                keys[i].file ? file_suffix : "");
        }
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_rule(zconfig_t *section, const rules_key_t *keys, const char *folder,
                                rule_t *ret_rule, mailbus_error_t *error)
{
    rule_t rule = {0};
    mailbus_error_t why = {0};
    rule.name = strdup(zconfig_name(section));
    mailbus_code_t code = rule.name == NULL ? no_memory(&why) : MAILBUS_OK;
    for (zconfig_t *key = zconfig_child(section); key != NULL && code == MAILBUS_OK;
         key = zconfig_next(key)) {
        code = read_key(&rule, keys, folder, zconfig_name(key), zconfig_value(key), &why);
    }
    if (code == MAILBUS_OK) {
        code = check_rule(&rule, keys, &why);
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

static mailbus_code_t add_rule(rules_t *rules, zconfig_t *section, const rules_key_t *keys,
                               const char *folder, mailbus_error_t *error)
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
        return no_memory(error);
    }
    rules->items = items;
    mailbus_code_t code = read_rule(section, keys, folder, &items[rules->count], error);
    rules->count += code == MAILBUS_OK ? 1 : 0;
    return code;
}

static mailbus_code_t read_sections(zconfig_t *root, const rules_key_t *keys, const char *folder,
                                    rules_t *rules, mailbus_error_t *error)
{
    for (zconfig_t *top = zconfig_child(root); top != NULL; top = zconfig_next(top)) {
        if (strcmp(zconfig_name(top), "rules") != 0) {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"%.40s\" stands where only \"rules\" may",
                                zconfig_name(top));
        }
        for (zconfig_t *section = zconfig_child(top); section != NULL;
             section = zconfig_next(section)) {
            mailbus_code_t code = add_rule(rules, section, keys, folder, error);
            if (code != MAILBUS_OK) {
                return code;
            }
        }
    }
    return rules->count > 0 ? MAILBUS_OK
                            : mailbus_fail(error, MAILBUS_EINVAL, "there are no rules in it");
}

mailbus_code_t rules_parse(const char *text, const char *folder, const rules_key_t *keys,
                           rules_t **ret_rules, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_ENOMEM;
    rules_t *rules = calloc(1, sizeof *rules);
    zconfig_t *root = zconfig_str_load(text);
    if (rules == NULL) {
        code = no_memory(error);
    } else if (root == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "not ZPL: indent by four blanks, write key = \"value\"");
    } else {
        code = read_sections(root, keys, folder, rules, error);
    }
    if (code == MAILBUS_OK) {
        *ret_rules = rules;
        rules = NULL;
    }
    zconfig_destroy(&root);
    rules_free(&rules);
    return code;
}

mailbus_code_t rules_load(const char *path, const char *shipped, const rules_key_t *keys,
                          rules_t **ret_rules, mailbus_error_t *error)
{
    if (path[0] == '\0') {
        return rules_parse(shipped, ".", keys, ret_rules, error);
    }
    char *text = NULL;
    mailbus_code_t code = rules_file_read(path, &text, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    mailbus_error_t why = {0};
    code = folder == NULL ? no_memory(&why) : rules_parse(text, folder, keys, ret_rules, &why);
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

/* --- what was read ------------------------------------------------------------------------------
 */

size_t rules_count(const rules_t *rules)
{
    return rules->count;
}

const rule_t *rules_item(const rules_t *rules, size_t index)
{
    return &rules->items[index];
}

const char *rule_name(const rule_t *rule)
{
    return rule->name;
}

const char *rule_text(const rule_t *rule, const char *key)
{
    for (size_t i = 0; i < rule->value_count; i++) {
        if (strcmp(rule->values[i].key->key, key) == 0) {
            return rule->values[i].text;
        }
    }
    return NULL;
}
