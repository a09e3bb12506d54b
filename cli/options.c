#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True where the value of this option is the next argument. */
static bool takes_next(const cli_command_t *command, const char *argument)
{
    if (strcmp(argument, "--set") == 0 || strcmp(argument, "--config") == 0) {
        return true;
    }
    for (const cli_option_t *option = command->options; option->option != NULL; option++) {
        if (strcmp(argument, option->option) == 0) {
            return option->takes_value;
        }
    }
    return false;
}

/* Options first, then "--" and the operands: the form that mb_settings_read takes. */
static void sort_arguments(options_t *self, const cli_command_t *command, int argc, char **argv)
{
    static char separator[] = "--";
    size_t used = 0;
    self->arguments[used++] = argv[0];
    bool only_operands = false;
    for (int pass = 0; pass < 2; pass++) {
        only_operands = false;
        for (int i = 2; i < argc; i++) {
            bool option = !only_operands && argv[i][0] == '-' && argv[i][1] != '\0';
            if (option && strcmp(argv[i], separator) == 0) {
                only_operands = true;
                continue;
            }
            bool with_next = option && takes_next(command, argv[i]) && i + 1 < argc;
            if (option == (pass == 0)) {
                self->arguments[used++] = argv[i];
                if (with_next) {
                    self->arguments[used++] = argv[i + 1];
                }
            }
            i += with_next;
        }
        if (pass == 0) {
            self->arguments[used++] = separator;
            self->operands = self->arguments + used;
        }
    }
    self->arguments[used] = NULL;
    self->count = used - (size_t)(self->operands - self->arguments);
}

mailbus_code_t options_read(options_t *self, const cli_command_t *command, int argc, char **argv,
                            mb_settings_action_t *ret_action, mailbus_error_t *error)
{
    *self = (options_t){.settings = NULL};
    snprintf(self->program, sizeof self->program, "mailbus %s", command->name);
    self->settings = mb_settings_new(self->program, command->summary, NULL);
    self->arguments = calloc((size_t)argc + 2, sizeof *self->arguments);
    if (self->settings == NULL || self->arguments == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mb_settings_set_usage(self->settings, command->synopsis, command->details);
    for (const mb_setting_t *const *table = command->settings; *table != NULL; table++) {
        mailbus_code_t code = mb_settings_add(self->settings, *table, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    for (const cli_option_t *option = command->options; option->option != NULL; option++) {
        mb_settings_add_option(self->settings, option->option, option->key, option->takes_value,
                               option->help);
    }
    sort_arguments(self, command, argc, argv);
    int rest = 0;
    size_t sorted = (size_t)(self->operands - self->arguments) + self->count;
    return mb_settings_read(self->settings, (int)sorted, self->arguments, stdout, &rest, ret_action,
                            error);
}

void options_free(options_t *self)
{
    mb_settings_destroy(&self->settings);
    free(self->arguments);
    self->arguments = NULL;
}
