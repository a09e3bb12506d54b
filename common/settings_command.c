/* Stage: the command line. */
#include <stdlib.h>
#include <string.h>

#include "settings_private.h"

/* What the options ask for, once all are read. */
typedef struct {
    bool help;
    bool version;
    bool check;
    bool print_config;
} wishes_t;

static mailbus_code_t add_assignment(mb_settings_t *self, const char *source, size_t index,
                                     const char *value, mailbus_error_t *error)
{
    mb_assignment_t *grown =
        reallocarray(self->assignments, self->assignment_count + 1, sizeof *self->assignments);
    if (grown == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the command line");
    }
    self->assignments = grown;
    self->assignments[self->assignment_count++] = (mb_assignment_t){source, index, value};
    return MAILBUS_OK;
}

/* KEY=VALUE behind --set. */
static mailbus_code_t take_set(mb_settings_t *self, const char *text, mailbus_error_t *error)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "--set %.60s: write --set section.key=value",
                            text);
    }
    char key[MB_SETTING_KEY_MAX];
    snprintf(key, sizeof key, "%.*s", (int)(equals - text < 1000 ? equals - text : 1000), text);
    size_t index = mb_settings_find(self, key);
    if (index == MB_SETTING_NONE) {
        return mb_settings_unknown(self, "--set", key, error);
    }
    if (self->table[index]->type == MB_SECRET) { /* others can read a command line */
        char name[MB_SETTING_ENV_MAX];
        mb_setting_env_name(key, name);
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "--set %s: a secret does not belong on the command line: put it into "
                            "the environment as %s, or into a file that %s_FILE names",
                            key, name, name);
    }
    return add_assignment(self, "--set", index, equals + 1, error);
}

/* Is `argument` this option? Its value comes behind a = or as the next argument. */
static bool is_option(const char *argument, const char *option, const char **ret_inline)
{
    size_t size = strlen(option);
    if (strncmp(argument, option, size) != 0 || (argument[size] != '\0' && argument[size] != '=')) {
        return false;
    }
    *ret_inline = argument[size] == '=' ? argument + size + 1 : NULL;
    return true;
}

static mailbus_code_t option_value(const char *option, const char *inlined, int argc, char **argv,
                                   int *at, const char **ret_value, mailbus_error_t *error)
{
    if (inlined != NULL) {
        *ret_value = inlined;
    } else if (*at + 1 < argc) {
        *ret_value = argv[++*at];
    } else {
        return mailbus_fail(error, MAILBUS_EINVAL, "%s wants a value behind it", option);
    }
    return MAILBUS_OK;
}

static bool take_flag(const char *argument, wishes_t *wishes)
{
    const struct {
        const char *name;
        bool *wish;
    } flags[] = {
        {"--help", &wishes->help},
        {"-h", &wishes->help},
        {"--version", &wishes->version},
        {"--check", &wishes->check},
        {"--print-config", &wishes->print_config},
    };
    for (size_t at = 0; at < sizeof flags / sizeof *flags; at++) {
        if (strcmp(argument, flags[at].name) == 0) {
            *flags[at].wish = true;
            return true;
        }
    }
    return false;
}

static mailbus_code_t take_config(mb_settings_t *self, const char *path, mailbus_error_t *error)
{
    if (self->file != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "--config is there twice");
    }
    self->file = strdup(path);
    return self->file != NULL ? MAILBUS_OK
                              : mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a path");
}

static mailbus_code_t take_own_option(mb_settings_t *self, int argc, char **argv, int *at,
                                      mailbus_error_t *error)
{
    const char *argument = argv[*at];
    for (size_t which = 0; which < self->option_count; which++) {
        const mb_option_t *option = &self->options[which];
        const char *value = "yes";
        const char *inlined = NULL;
        if (!is_option(argument, option->option, &inlined)) {
            continue;
        }
        if (!option->takes_value && inlined != NULL) {
            return mailbus_fail(error, MAILBUS_EINVAL, "%s takes no value", option->option);
        }
        mailbus_code_t code = MAILBUS_OK;
        if (option->takes_value) {
            code = option_value(option->option, inlined, argc, argv, at, &value, error);
        }
        return code != MAILBUS_OK
                   ? code
                   : add_assignment(self, option->option, option->index, value, error);
    }
    return mailbus_fail(error, MAILBUS_EINVAL, "there is no option %.60s (--help lists them)",
                        argument);
}

static mailbus_code_t take_argument(mb_settings_t *self, int argc, char **argv, int *at,
                                    wishes_t *wishes, mailbus_error_t *error)
{
    const char *argument = argv[*at];
    const char *inlined = NULL;
    const char *value = NULL;
    if (take_flag(argument, wishes)) {
        return MAILBUS_OK;
    }
    bool config = is_option(argument, "--config", &inlined);
    if (config || is_option(argument, "--set", &inlined)) {
        mailbus_code_t code =
            option_value(config ? "--config" : "--set", inlined, argc, argv, at, &value, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        return config ? take_config(self, value, error) : take_set(self, value, error);
    }
    return take_own_option(self, argc, argv, at, error);
}

static mailbus_code_t take_command_line(mb_settings_t *self, int argc, char **argv, int *ret_rest,
                                        wishes_t *wishes, mailbus_error_t *error)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        mailbus_code_t code = take_argument(self, argc, argv, &at, wishes, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    if (ret_rest != NULL) {
        *ret_rest = at;
    } else if (at < argc && !wishes->help) {
        return mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' was not expected (--help says what is)",
                            argv[at]);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_settings_read(mb_settings_t *self, int argc, char **argv, FILE *out,
                                int *ret_rest, mb_settings_action_t *ret_action,
                                mailbus_error_t *error)
{
    wishes_t wishes = {false, false, false, false};
    int rest = argc;
    mailbus_code_t code =
        take_command_line(self, argc, argv, ret_rest != NULL ? &rest : NULL, &wishes, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (wishes.help || wishes.version) {
        if (wishes.help) {
            mb_settings_print_help(self, out);
        } else {
            fprintf(out, "%s %s\n", self->program, MAILBUS_VERSION);
        }
        *ret_action = MB_SETTINGS_EXIT;
        return MAILBUS_OK;
    }
    mb_value_t *values = NULL;
    code = mb_settings_resolve(self, &values, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mb_values_free(&self->values, self->count);
    self->values = values;
    if (wishes.print_config) { /* before the check: it helps to find what the check dislikes */
        mb_settings_print_config(self, out);
    }
    code = self->check != NULL ? self->check(self, error) : MAILBUS_OK;
    if (code != MAILBUS_OK) {
        return code;
    }
    if (wishes.check) {
        fprintf(out, "the settings are good\n");
    }
    if (ret_rest != NULL) {
        *ret_rest = rest;
    }
    *ret_action = wishes.check || wishes.print_config ? MB_SETTINGS_EXIT : MB_SETTINGS_RUN;
    return MAILBUS_OK;
}
