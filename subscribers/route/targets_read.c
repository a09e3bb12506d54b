/* Reading the targets out of the rules file. */
#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/buf.h"
#include "route/targets_priv.h"
#include "rules/rules_file.h"

/* --- cutting the file ---------------------------------------------------------------------------
 */

static bool is_line(const char *line, size_t size, const char *word)
{
    size_t length = strlen(word);
    return size >= length && strncmp(line, word, length) == 0 &&
           strspn(line + length, " \t\r") + length >= size;
}

mailbus_code_t targets_split(const char *text, char **ret_targets, char **ret_others,
                             mailbus_error_t *error)
{
    mailbus_buf_t parts[2] = {MAILBUS_BUF_INIT, MAILBUS_BUF_INIT}; /* others, targets */
    bool inside = false;
    mailbus_buf_text(&parts[0], "");
    mailbus_buf_text(&parts[1], "");
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        if (size > 0 && strchr(" \t\r#", text[0]) == NULL) { /* a line at the left margin */
            inside = is_line(text, size, "targets");
        }
        mailbus_buf_append(&parts[inside], text, size);
        mailbus_buf_char(&parts[inside], '\n');
        text += size + (text[size] == '\n');
    }
    bool failed = parts[0].failed || parts[1].failed;
    if (!failed) {
        *ret_others = mailbus_buf_take(&parts[0], NULL);
        *ret_targets = mailbus_buf_take(&parts[1], NULL);
    }
    mailbus_buf_free(&parts[0]);
    mailbus_buf_free(&parts[1]);
    return failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
}

/* --- one key ------------------------------------------------------------------------------------
 */

/* What a section is read into. */
typedef struct {
    target_t *target;
    const char *folder;
    bool lenient;
    char *kind, *unsure;
    unsigned keys; /* KEY_… that are there */
} reader_t;

static mailbus_code_t from_environment(const reader_t *reader, const char *key, const char *name,
                                       char **ret_value, mailbus_error_t *error)
{
    const char *value = getenv(name);
    if ((value == NULL || value[0] == '\0') && !reader->lenient) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: the environment variable %.60s is not set",
                            key, name);
    }
    *ret_value = strdup(value == NULL ? "" : value);
    return *ret_value != NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static mailbus_code_t from_file(const reader_t *reader, const char *name, char **ret_value,
                                mailbus_error_t *error)
{
    mailbus_code_t code = rules_file_beside(reader->folder, name, ret_value, error);
    if (code == MAILBUS_ENOTFOUND && reader->lenient) {
        *ret_value = strdup("");
        return *ret_value != NULL ? MAILBUS_OK
                                  : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        size_t size = strlen(*ret_value);
        size -= size > 0 && (*ret_value)[size - 1] == '\n';
        size -= size > 0 && (*ret_value)[size - 1] == '\r';
        (*ret_value)[size] = '\0';
    }
    return code;
}

/* `key` is `base`, or with one of the endings. */
static bool is_key(const char *key, const char *base, const char **ret_ending)
{
    size_t size = strlen(base);
    *ret_ending = key + size;
    return strncmp(key, base, size) == 0 && (key[size] == '\0' || strcmp(key + size, "_env") == 0 ||
                                             strcmp(key + size, "_file") == 0);
}

static mailbus_code_t take_value(reader_t *reader, const char *key, const char *ending,
                                 const char *value, bool secret, char **field,
                                 mailbus_error_t *error)
{
    if (*field != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%.40s is given twice", key);
    }
    if (value == NULL || value[0] == '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL, "%.40s has no value", key);
    }
    if (strcmp(ending, "_env") == 0) {
        return from_environment(reader, key, value, field, error);
    }
    if (strcmp(ending, "_file") == 0) {
        return from_file(reader, value, field, error);
    }
    if (secret) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%.40s is a secret and must not stand in this file: give %.40s_file or "
                            "%.40s_env",
                            key, key, key);
    }
    *field = strdup(value);
    return *field != NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
}

static mailbus_code_t read_key(reader_t *reader, const char *key, const char *value,
                               mailbus_error_t *error)
{
    target_t *target = reader->target;
    /* A Slack webhook's url is all that one needs to post there. */
    bool slack = reader->kind != NULL && strcmp(reader->kind, "slack") == 0;
    const struct {
        const char *key;
        char **field;
        unsigned bit;
        bool secret;
    } keys[] = {
        {"kind", &reader->kind, 0, false},
        {"channel", &target->channel, KEY_CHANNEL, false},
        {"token", &target->token, KEY_TOKEN, true},
        {"url", &target->url, KEY_URL, slack},
        {"repo", &target->repo, KEY_REPO, false},
        {"labels", &target->labels, KEY_LABELS, false},
        {"path", &target->path, KEY_PATH, false},
        {"to", &target->to, KEY_TO, false},
        {"secret", &target->secret, KEY_SECRET, true},
        {"unsure", &reader->unsure, KEY_UNSURE, false},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *ending = NULL;
        if (is_key(key, keys[i].key, &ending)) {
            reader->keys |= keys[i].bit;
            return take_value(reader, key, ending, value, keys[i].secret, keys[i].field, error);
        }
    }
    return mailbus_fail(error, MAILBUS_EINVAL,
                        "\"%.40s\" is no key of a target; known are kind, channel, token, url, "
                        "repo, labels, path, to, secret, unsure, each also with _env and _file",
                        key);
}

/* --- the sections -------------------------------------------------------------------------------
 */

static mailbus_code_t read_unsure(reader_t *reader, mailbus_error_t *error)
{
    if (reader->unsure != NULL && strcmp(reader->unsure, "repeat") != 0 &&
        strcmp(reader->unsure, "reject") != 0) {
        return mailbus_fail(error, MAILBUS_EINVAL, "unsure must be reject or repeat");
    }
    reader->target->repeat = reader->unsure != NULL && strcmp(reader->unsure, "repeat") == 0;
    return MAILBUS_OK;
}

/* The kind decides what the other keys mean, wherever it stands. */
static mailbus_code_t read_kind(reader_t *reader, zconfig_t *section, mailbus_error_t *error)
{
    for (zconfig_t *key = zconfig_child(section); key != NULL; key = zconfig_next(key)) {
        if (strcmp(zconfig_name(key), "kind") == 0) {
            return read_key(reader, "kind", zconfig_value(key), error);
        }
    }
    return mailbus_fail(error, MAILBUS_EINVAL, "it needs a kind");
}

static mailbus_code_t read_target(zconfig_t *section, const char *folder, bool lenient,
                                  target_t *target, mailbus_error_t *error)
{
    reader_t reader = {.target = target, .folder = folder, .lenient = lenient};
    mailbus_error_t why = {0};
    target->name = strdup(zconfig_name(section));
    mailbus_code_t code = target->name == NULL ? mailbus_fail(&why, MAILBUS_ENOMEM, "out of memory")
                                               : read_kind(&reader, section, &why);
    bool kind_seen = false;
    for (zconfig_t *key = zconfig_child(section); key != NULL && code == MAILBUS_OK;
         key = zconfig_next(key)) {
        if (strcmp(zconfig_name(key), "kind") != 0 || kind_seen) {
            code = read_key(&reader, zconfig_name(key), zconfig_value(key), &why);
        } else {
            kind_seen = true;
        }
    }
    if (code == MAILBUS_OK) {
        code = read_unsure(&reader, &why);
    }
    if (code == MAILBUS_OK) {
        code = target_finish(target, reader.kind, reader.keys, &why);
    }
    if (code != MAILBUS_OK) {
        mailbus_fail(error, code, "target \"%.40s\": %.200s", zconfig_name(section), why.text);
    }
    free(reader.kind);
    free(reader.unsure);
    return code;
}

static mailbus_code_t add_target(targets_t *targets, zconfig_t *section, const char *folder,
                                 bool lenient, mailbus_error_t *error)
{
    target_t target = {.name = NULL};
    if (targets_find(targets, zconfig_name(section)) != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "two targets are called \"%.40s\"",
                            zconfig_name(section));
    }
    if (targets->count == TARGETS_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "more than %d targets", TARGETS_MAX);
    }
    target_t *more = reallocarray(targets->items, targets->count + 1, sizeof *more);
    if (more == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    targets->items = more;
    mailbus_code_t code = read_target(section, folder, lenient, &target, error);
    if (code == MAILBUS_OK) {
        targets->items[targets->count++] = target;
    } else {
        target_free(&target);
    }
    return code;
}

mailbus_code_t targets_parse(const char *text, const char *folder, bool lenient,
                             targets_t *ret_targets, mailbus_error_t *error)
{
    targets_t targets = {.items = NULL};
    mailbus_code_t code = MAILBUS_OK;
    zconfig_t *root = zconfig_str_load(text);
    if (root == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "not ZPL: indent by four blanks, write key = \"value\"");
    }
    for (zconfig_t *top = zconfig_child(root); top != NULL && code == MAILBUS_OK;
         top = zconfig_next(top)) {
        for (zconfig_t *section = zconfig_child(top); section != NULL && code == MAILBUS_OK;
             section = zconfig_next(section)) {
            code = add_target(&targets, section, folder, lenient, error);
        }
    }
    zconfig_destroy(&root);
    if (code == MAILBUS_OK) {
        *ret_targets = targets;
    } else {
        targets_free(&targets);
    }
    return code;
}
