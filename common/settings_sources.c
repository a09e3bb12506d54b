/* Stage: settings from a ZPL file and from the environment. */
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings_private.h"
#include "signals.h"

#include "mailbus/json.h"

#define FILE_MAX (1024 * 1024) /* bytes of a settings file: a hundred times a long one */
/* czmq 4.2.1 reads beyond the buffer when a line has more than 1024 bytes: never let it see one. */
#define ZPL_LINE_MAX 1000

mailbus_code_t mb_settings_slurp(const char *path, size_t most, char **ret_text, size_t *ret_size,
                                 mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    char *text = NULL;
    size_t size = 0;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        code = mailbus_fail(error, errno == ENOENT ? MAILBUS_ENOTFOUND : MAILBUS_EIO,
                            "can't read %.120s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%.120s is not a file", path);
        goto out;
    }
    fcntl(fd, F_SETFL, 0); /* a pipe is waited for */
    text = malloc(most + 2);
    if (text == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory to read %.120s", path);
        goto out;
    }
    while (size <= most) {
        ssize_t got = read(fd, text + size, most + 1 - size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            code = mailbus_fail(error, MAILBUS_EIO, "can't read %.120s: %s", path, strerror(errno));
            goto out;
        }
        if (got == 0) {
            break;
        }
        size += (size_t)got;
    }
    if (size > most) {
        code = mailbus_fail(error, MAILBUS_ETOOBIG, "%.120s has more than %zu bytes", path, most);
        goto out;
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    text = NULL;
out:
    free(text);
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\r';
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* What of a value zconfig takes another way than it looks, or NULL. `at` stands behind the =. */
static const char *value_mistake(const char *at, const char *end)
{
    while (at < end && is_blank(*at)) {
        at++;
    }
    if (at < end && (*at == '"' || *at == '\'')) {
        const char *quote = memchr(at + 1, *at, (size_t)(end - at - 1));
        if (quote == NULL) {
            return "the closing quote is missing";
        }
        for (at = quote + 1; at < end && is_blank(*at); at++) {
        }
        return at < end && *at != '#' ? "something follows the closing quote (a value that has "
                                        "one kind of quotes goes into the other)"
                                      : NULL;
    }
    const char *comment = at < end ? memchr(at, '#', (size_t)(end - at)) : NULL;
    if (comment != NULL && comment > at && !is_blank(comment[-1])) {
        return "a # begins a comment: put the value in quotes";
    }
    return NULL;
}

/* What is wrong with one line (without its newline), or NULL. zconfig would refuse some of it on
 * standard output, with words that name no file, and take the rest for something else. `deepest` is
 * how far the line may be indented; then, how far the next one may. */
static const char *line_mistake(const char *line, size_t size, long *deepest)
{
    const char *end = line + size;
    if (size > ZPL_LINE_MAX) {
        return "the line is too long: use the environment, or …_FILE";
    }
    for (const char *at = line; at < end; at++) {
        if (*at == '\t') {
            return "there is a tab: indent with four spaces";
        }
        if (((unsigned char)*at < 0x20 && *at != '\r') || *at == 0x7f) {
            return "there is a control character";
        }
    }
    const char *at = line;
    while (at < end && *at == ' ') {
        at++;
    }
    const char *indented = at;
    while (at < end && is_blank(*at)) {
        at++;
    }
    if ((indented - line) % 4 != 0 && at < end) {
        return "indent with four spaces";
    }
    if (at == end || *at == '#') {
        return NULL;
    }
    const char *name = at;
    while (at < end && is_name_character(*at)) {
        at++;
    }
    if (at == name) {
        return "a name was expected";
    }
    if ((indented - line) / 4 > *deepest) {
        return "it is indented deeper than the line before allows";
    }
    *deepest = (indented - line) / 4 + 1;
    while (at < end && is_blank(*at)) {
        at++;
    }
    if (at == end || *at == '#') {
        return NULL;
    }
    if (*at != '=') {
        return "an = was expected behind the name";
    }
    return value_mistake(at + 1, end);
}

static mailbus_code_t check_lines(const char *path, const char *text, size_t size,
                                  mailbus_error_t *error)
{
    int number = 1;
    long deepest = 0;
    for (const char *line = text; line < text + size; number++) {
        const char *end = memchr(line, '\n', (size_t)(text + size - line));
        end = end != NULL ? end : text + size;
        const char *mistake = line_mistake(line, (size_t)(end - line), &deepest);
        if (mistake != NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL, "%.100s, line %d: %s", path, number,
                                mistake);
        }
        line = end + 1;
    }
    if (!mailbus_utf8_valid(text, size)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%.100s is not UTF-8", path);
    }
    return MAILBUS_OK;
}

/* One item of the file: "section.key", or a key without a section. */
static mailbus_code_t take_item(const mb_settings_t *self, const char *path, const char *key,
                                zconfig_t *item, mb_value_t *values, bool *taken,
                                mailbus_error_t *error)
{
    size_t index = mb_settings_find(self, key);
    if (index == MB_SETTING_NONE) {
        return mb_settings_unknown(self, path, key, error);
    }
    if (zconfig_child(item) != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%.100s: %.100s is a key: nothing goes below it",
                            path, key);
    }
    if (taken[index]) {
        return mailbus_fail(error, MAILBUS_EINVAL, "%.100s: %.100s is there twice", path, key);
    }
    taken[index] = true;
    const char *value = zconfig_value(item);
    return mb_settings_put(self, values, index, value != NULL ? value : "", path, error);
}

static mailbus_code_t take_section(const mb_settings_t *self, const char *path, zconfig_t *section,
                                   mb_value_t *values, bool *taken, mailbus_error_t *error)
{
    const char *name = zconfig_name(section);
    const char *value = zconfig_value(section);
    bool has_value = value != NULL && *value != '\0';
    if (mb_settings_find(self, name) != MB_SETTING_NONE && strchr(name, '.') == NULL) {
        return take_item(self, path, name, section, values, taken, error);
    }
    if (has_value || strchr(name, '.') != NULL) {
        const char *dot = strchr(name, '.');
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%.100s: '%.40s' stands where a section does: write the section's name "
                            "on a line, and below it, four spaces in, '%.40s = value'",
                            path, name, dot != NULL ? dot + 1 : "key");
    }
    for (zconfig_t *item = zconfig_child(section); item != NULL; item = zconfig_next(item)) {
        char key[MB_SETTING_KEY_MAX];
        snprintf(key, sizeof key, "%s.%s", name, zconfig_name(item));
        mailbus_code_t code = take_item(self, path, key, item, values, taken, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    if (zconfig_child(section) == NULL) { /* an empty section must still be one that is known */
        size_t size = strlen(name);
        for (size_t at = 0; at < self->count; at++) {
            const char *key = self->table[at]->key;
            if (strncmp(key, name, size) == 0 && key[size] == '.') {
                return MAILBUS_OK;
            }
        }
        return mb_settings_unknown(self, path, name, error);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_settings_read_file(const mb_settings_t *self, const char *path,
                                     mb_value_t *values, mailbus_error_t *error)
{
    char *text = NULL;
    size_t size = 0;
    zconfig_t *root = NULL;
    bool *taken = NULL;
    mailbus_code_t code = mb_settings_slurp(path, FILE_MAX, &text, &size, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = check_lines(path, text, size, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    mb_signals_tame_czmq();
    root = zconfig_str_load(text);
    if (root == NULL) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%.100s: czmq can't read it as a settings file",
                            path);
        goto out;
    }
    taken = calloc(self->count + 1, sizeof *taken);
    if (taken == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory to read %.100s", path);
        goto out;
    }
    zconfig_t *section = zconfig_child(root);
    for (; code == MAILBUS_OK && section != NULL; section = zconfig_next(section)) {
        code = take_section(self, path, section, values, taken, error);
    }
out:
    free(taken);
    zconfig_destroy(&root);
    free(text);
    return code;
}

void mb_setting_env_name(const char *key, char name[MB_SETTING_ENV_MAX])
{
    size_t size = (size_t)snprintf(name, MB_SETTING_ENV_MAX, "MAILBUS_%s", key);
    for (size_t at = 0; at < size; at++) {
        if (name[at] == '.') {
            name[at] = '_';
        } else if (name[at] >= 'a' && name[at] <= 'z') {
            name[at] = (char)(name[at] - 'a' + 'A');
        }
    }
}

/* The value that stands in a file, less its last newline: as docker secrets come. */
static mailbus_code_t take_value_file(const mb_settings_t *self, const char *name, const char *path,
                                      size_t index, mb_value_t *values, mailbus_error_t *error)
{
    char *text = NULL;
    size_t size = 0;
    mailbus_error_t why;
    mailbus_code_t code = mb_settings_slurp(path, MB_SETTING_VALUE_MAX, &text, &size, &why);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "%s: %s", name, why.text);
    }
    if (strlen(text) != size) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "%s: %.120s holds a NUL", name, path);
    } else {
        if (size > 0 && text[size - 1] == '\n') {
            text[--size] = '\0';
        }
        if (size > 0 && text[size - 1] == '\r') {
            text[--size] = '\0';
        }
        code = mb_settings_put(self, values, index, text, name, error);
    }
    free(text);
    return code;
}

mailbus_code_t mb_settings_read_environment(const mb_settings_t *self, mb_value_t *values,
                                            mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    for (size_t at = 0; code == MAILBUS_OK && at < self->count; at++) {
        const mb_setting_t *setting = self->table[at];
        char name[MB_SETTING_ENV_MAX];
        char file_name[MB_SETTING_ENV_MAX + 8];
        mb_setting_env_name(setting->key, name);
        snprintf(file_name, sizeof file_name, "%s_FILE", name);
        const char *alias = setting->env != NULL ? getenv(setting->env) : NULL;
        const char *value = getenv(name);
        const char *path = getenv(file_name);
        if (path != NULL && *path == '\0') { /* compose files leave it so */
            path = NULL;
        }
        if (value != NULL && path != NULL) {
            code = mailbus_fail(error, MAILBUS_EINVAL, "%s and %s are both set: keep one", name,
                                file_name);
        } else if (value != NULL) {
            code = mb_settings_put(self, values, at, value, name, error);
        } else if (path != NULL) {
            code = take_value_file(self, file_name, path, at, values, error);
        } else if (alias != NULL && *alias != '\0') {
            code = mb_settings_put(self, values, at, alias, setting->env, error);
        }
    }
    return code;
}
