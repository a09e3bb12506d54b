/* The table of a program's settings and their values. One thread, the program's main one, reads and
 * reloads; texts that others got from it are valid until the next reload. */
#include "settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "settings_private.h"

mb_settings_t *mb_settings_new(const char *program, const char *summary, const mb_setting_t *table)
{
    mb_settings_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->program = program;
    self->summary = summary;
    mailbus_error_t error = {.text = ""};
    mailbus_code_t code = table != NULL ? mb_settings_add(self, table, &error) : MAILBUS_OK;
    assert(code == MAILBUS_OK || code == MAILBUS_ENOMEM);
    if (code != MAILBUS_OK) {
        mb_settings_destroy(&self);
    }
    return self;
}

void mb_settings_set_usage(mb_settings_t *self, const char *synopsis, const char *details)
{
    self->synopsis = synopsis;
    self->details = details;
}

/* Is `file` the name `key` with _file behind it? */
static bool is_file_of(const char *file, const char *key)
{
    size_t size = strlen(key);
    return strncmp(file, key, size) == 0 && strcmp(file + size, "_file") == 0;
}

/* A default that does not fit its own type is a bug of the program; so is a key that another one's
 * …_FILE name collides with. */
static mailbus_code_t check_entry(const mb_settings_t *self, const mb_setting_t *setting,
                                  mailbus_error_t *error)
{
    size_t size = strlen(setting->key);
    mailbus_error_t why;
    int64_t number = 0;
    if (size == 0 || size >= MB_SETTING_KEY_MAX || setting->value == NULL ||
        setting->help == NULL || (setting->type == MB_CHOICE && setting->choices == NULL)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: the table's entry is incomplete",
                            setting->key);
    }
    if (mb_settings_find(self, setting->key) != MB_SETTING_NONE) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s is in the table twice", setting->key);
    }
    for (size_t at = 0; at < self->count; at++) {
        if (is_file_of(setting->key, self->table[at]->key) ||
            is_file_of(self->table[at]->key, setting->key)) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "%s and %s: one's …_FILE is the other's name in the environment",
                                setting->key, self->table[at]->key);
        }
    }
    if (mb_setting_parse(setting, setting->value, &number, &why) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s: the default: %s", setting->key, why.text);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_settings_add(mb_settings_t *self, const mb_setting_t *table,
                               mailbus_error_t *error)
{
    assert(self->values == NULL); /* nothing is read yet */
    for (const mb_setting_t *setting = table; setting->key != NULL; setting++) {
        mailbus_code_t code = check_entry(self, setting, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        const mb_setting_t **grown =
            reallocarray(self->table, self->count + 1, sizeof *self->table);
        if (grown == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the settings");
        }
        self->table = grown;
        self->table[self->count++] = setting;
    }
    return MAILBUS_OK;
}

void mb_values_free(mb_value_t **values_p, size_t count)
{
    mb_value_t *values = *values_p;
    *values_p = NULL;
    for (size_t at = 0; values != NULL && at < count; at++) {
        free(values[at].text);
    }
    free(values);
}

void mb_settings_destroy(mb_settings_t **self_p)
{
    mb_settings_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        mb_values_free(&self->values, self->count);
        free(self->table);
        free(self->options);
        free(self->assignments);
        free(self->file);
        free(self);
    }
}

void mb_settings_set_check(mb_settings_t *self, mb_settings_check_fn *check)
{
    self->check = check;
}

void mb_settings_add_option(mb_settings_t *self, const char *option, const char *key,
                            bool takes_value, const char *help)
{
    size_t index = mb_settings_find(self, key);
    assert(index != MB_SETTING_NONE && strncmp(option, "--", 2) == 0);
    assert(self->table[index]->type != MB_SECRET);
    mb_option_t *grown = reallocarray(self->options, self->option_count + 1, sizeof *self->options);
    assert(grown != NULL); /* some hundred bytes, before anything has started */
    self->options = grown;
    self->options[self->option_count++] = (mb_option_t){option, index, takes_value, help};
}

size_t mb_settings_find(const mb_settings_t *self, const char *key)
{
    for (size_t at = 0; at < self->count; at++) {
        if (strcmp(self->table[at]->key, key) == 0) {
            return at;
        }
    }
    return MB_SETTING_NONE;
}

mailbus_code_t mb_settings_unknown(const mb_settings_t *self, const char *source, const char *key,
                                   mailbus_error_t *error)
{
    const char *nearest = NULL;
    size_t least = strlen(key) / 2; /* farther away it is no typing error */
    if (strlen(key) < MB_SETTING_KEY_MAX) {
        for (size_t at = 0; at < self->count; at++) {
            size_t distance = mb_edit_distance(key, self->table[at]->key);
            if (distance <= least && (nearest == NULL || distance < least)) {
                least = distance;
                nearest = self->table[at]->key;
            }
        }
    }
    return mailbus_fail(error, MAILBUS_EINVAL, "%.80s: there is no setting '%.60s'%s%.60s%s",
                        source, key, nearest != NULL ? ": did you mean " : " (--help lists them)",
                        nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

mailbus_code_t mb_settings_put(const mb_settings_t *self, mb_value_t *values, size_t index,
                               const char *text, const char *source, mailbus_error_t *error)
{
    const mb_setting_t *setting = self->table[index];
    mailbus_error_t why;
    int64_t number = 0;
    if (strlen(text) > MB_SETTING_VALUE_MAX) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "%.80s: %s: more than %d bytes", source,
                            setting->key, MB_SETTING_VALUE_MAX);
    }
    mailbus_code_t code = mb_setting_parse(setting, text, &number, &why);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "%.80s: %s: %s", source, setting->key, why.text);
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for %s", setting->key);
    }
    free(values[index].text);
    values[index].text = copy;
    values[index].number = number;
    snprintf(values[index].source, sizeof values[index].source, "%s", source);
    return MAILBUS_OK;
}

mailbus_code_t mb_settings_resolve(const mb_settings_t *self, mb_value_t **ret_values,
                                   mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    mb_value_t *values = calloc(self->count + 1, sizeof *values);
    if (values == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the settings");
    }
    for (size_t at = 0; code == MAILBUS_OK && at < self->count; at++) {
        code = mb_settings_put(self, values, at, self->table[at]->value, "default", error);
    }
    if (code == MAILBUS_OK && self->file != NULL) {
        code = mb_settings_read_file(self, self->file, values, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_settings_read_environment(self, values, error);
    }
    for (size_t at = 0; code == MAILBUS_OK && at < self->assignment_count; at++) {
        const mb_assignment_t *assignment = &self->assignments[at];
        code = mb_settings_put(self, values, assignment->index, assignment->value,
                               assignment->source, error);
    }
    if (code != MAILBUS_OK) {
        mb_values_free(&values, self->count);
        return code;
    }
    *ret_values = values;
    return MAILBUS_OK;
}

/* Put back the old value of what changed without being reloadable, and name it. */
static mailbus_code_t keep_unreloadable(const mb_settings_t *self, mb_value_t *values,
                                        char *refused)
{
    *refused = '\0';
    for (size_t at = 0; at < self->count; at++) {
        if (self->table[at]->reload || strcmp(values[at].text, self->values[at].text) == 0) {
            continue;
        }
        char *old = strdup(self->values[at].text);
        if (old == NULL) {
            return MAILBUS_ENOMEM;
        }
        free(values[at].text);
        values[at] = self->values[at];
        values[at].text = old;
        strcat(refused, *refused != '\0' ? " " : "");
        strcat(refused, self->table[at]->key);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_settings_reload(mb_settings_t *self, char **ret_refused, mailbus_error_t *error)
{
    assert(self->values != NULL);
    mb_value_t *values = NULL;
    char *refused = malloc(self->count * (MB_SETTING_KEY_MAX + 1) + 1);
    mailbus_code_t code = refused != NULL ? mb_settings_resolve(self, &values, error)
                                          : mailbus_fail(error, MAILBUS_ENOMEM, "no memory");
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = keep_unreloadable(self, values, refused);
    if (code != MAILBUS_OK) {
        mailbus_fail(error, code, "no memory for the settings");
        goto out;
    }
    if (self->check != NULL) { /* it looks at the whole as it would be */
        mb_settings_t after = *self;
        after.values = values;
        code = self->check(&after, error);
        if (code != MAILBUS_OK) {
            goto out;
        }
    }
    mb_value_t *old = self->values;
    self->values = values;
    values = old;
    if (ret_refused != NULL) {
        *ret_refused = refused;
        refused = NULL;
    }
out:
    mb_values_free(&values, self->count);
    free(refused);
    return code;
}

static const mb_value_t *value_of(const mb_settings_t *self, const char *key, size_t *ret_index)
{
    *ret_index = mb_settings_find(self, key);
    assert(self->values != NULL && *ret_index != MB_SETTING_NONE);
    return &self->values[*ret_index];
}

const char *mb_settings_text(const mb_settings_t *self, const char *key)
{
    size_t index;
    return value_of(self, key, &index)->text;
}

int64_t mb_settings_integer(const mb_settings_t *self, const char *key)
{
    size_t index;
    const mb_value_t *value = value_of(self, key, &index);
    mb_setting_type_t type = self->table[index]->type;
    assert(type == MB_INTEGER || type == MB_BYTES || type == MB_DURATION);
    return value->number;
}

bool mb_settings_boolean(const mb_settings_t *self, const char *key)
{
    size_t index;
    const mb_value_t *value = value_of(self, key, &index);
    assert(self->table[index]->type == MB_BOOLEAN);
    return value->number != 0;
}

const char *mb_settings_program(const mb_settings_t *self)
{
    return self->program;
}
