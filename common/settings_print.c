/* Stage: settings as text: --help, --print-config, the reference page. */
#include <stdlib.h>
#include <string.h>

#include "settings_private.h"

#define HELP_WIDTH  100
#define HELP_INDENT 30

/* Print words from column `indent` on, broken at HELP_WIDTH; `column` is where the cursor is. */
static void print_wrapped(const char *text, size_t column, size_t indent, FILE *out)
{
    if (column > 0 && column + 2 > indent) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", (int)(indent - column), "");
    column = indent;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > indent && column + word + 1 > HELP_WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        column += (size_t)fprintf(out, "%s%.*s", column > indent ? " " : "", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_entry(const char *name, const char *help, FILE *out)
{
    size_t column = (size_t)fprintf(out, "  %s", name);
    print_wrapped(help, column, HELP_INDENT, out);
}

/* The default as help shows it. */
static const char *shown_default(const mb_setting_t *setting)
{
    return setting->type == MB_SECRET ? "none" : *setting->value == '\0' ? "empty" : setting->value;
}

static void print_setting(const mb_setting_t *setting, FILE *out)
{
    char line[1024];
    char name[MB_SETTING_ENV_MAX];
    print_entry(setting->key, setting->help, out);
    mb_setting_env_name(setting->key, name);
    snprintf(line, sizeof line, "%s%s%s, default %s%s; %s%s%s", mb_setting_type_name(setting),
             setting->type == MB_CHOICE ? " of: " : "",
             setting->type == MB_CHOICE ? setting->choices : "", shown_default(setting),
             setting->reload ? ", reloadable" : "", name, setting->env != NULL ? " or " : "",
             setting->env != NULL ? setting->env : "");
    print_wrapped(line, 0, HELP_INDENT, out);
}

/* A program without such a setting does not listen to SIGHUP: it ends by it. */
static bool can_reload(const mb_settings_t *self)
{
    for (size_t at = 0; at < self->count; at++) {
        if (self->table[at]->reload) {
            return true;
        }
    }
    return false;
}

void mb_settings_print_help(const mb_settings_t *self, FILE *out)
{
    fprintf(out, "%s %s\n", self->program, MAILBUS_VERSION);
    print_wrapped(self->summary, 0, 0, out);
    fprintf(out, "\nusage: %s%s%s [OPTION…]\n\n", self->program, self->synopsis != NULL ? " " : "",
            self->synopsis != NULL ? self->synopsis : "");
    if (self->details != NULL && *self->details != '\0') {
        fprintf(out, "%s\n\n", self->details);
    }
    print_entry("--config FILE", "read settings from FILE (ZPL)", out);
    print_entry("--set KEY=VALUE", "set one setting; may be repeated, the last wins", out);
    for (size_t at = 0; at < self->option_count; at++) {
        const mb_option_t *option = &self->options[at];
        char name[128];
        snprintf(name, sizeof name, "%s%s", option->option, option->takes_value ? " VALUE" : "");
        print_entry(name, option->help, out);
    }
    print_entry("--check", "look at the settings, say what is wrong with them, and end", out);
    print_entry("--print-config", "print the settings in force as a file for --config, and end",
                out);
    print_entry("--version", "print the version, and end", out);
    print_entry("--help", "print this, and end", out);
    fprintf(out,
            "\nSettings come from --config FILE, then from the environment under the name in "
            "capitals (with _FILE\nbehind it: from the file of that name), then from --set; "
            "the later wins. Secrets are not taken from\nthe command line.%s\n\n",
            can_reload(self) ? " SIGHUP reads file and environment again." : "");
    for (size_t at = 0; at < self->count; at++) {
        print_setting(self->table[at], out);
    }
}

/* Can the value stand in a ZPL file? There is no escape for quotes or newlines there. */
static const char *quotes_for(const char *text)
{
    if (strlen(text) > 900) { /* the line must stay below what the reader takes */
        return NULL;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return NULL;
        }
    }
    return strchr(text, '"') == NULL ? "\"" : strchr(text, '\'') == NULL ? "'" : NULL;
}

static void print_value(const mb_settings_t *self, size_t index, const char *key,
                        const char *indent, FILE *out)
{
    const mb_setting_t *setting = self->table[index];
    const mb_value_t *value = &self->values[index];
    char name[MB_SETTING_ENV_MAX];
    mb_setting_env_name(setting->key, name);
    fprintf(out, "%s# %s", indent, setting->help);
    if (strcmp(value->source, "default") != 0) {
        fprintf(out, " (from %s)", value->source);
    }
    fputc('\n', out);
    const char *quotes = quotes_for(value->text);
    if (setting->type == MB_SECRET) {
        fprintf(out, "%s# %s = %s, as %s or %s_FILE\n", indent, key,
                *value->text != '\0' ? "(set)" : "(not set)", name, name);
    } else if (quotes == NULL) {
        fprintf(out, "%s# %s can't stand in a file: set it as %s or %s_FILE\n", indent, key, name,
                name);
    } else {
        fprintf(out, "%s%s = %s%s%s\n", indent, key, quotes, value->text, quotes);
    }
}

/* The length of the section in a key, 0 for a key without one. */
static size_t section_size(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot != NULL ? (size_t)(dot - key) : 0;
}

static bool same_section(const char *a, const char *b)
{
    size_t size = section_size(a);
    return size == section_size(b) && strncmp(a, b, size) == 0;
}

/* Is this the first key of its section in the table? */
static bool opens_section(const mb_settings_t *self, size_t index)
{
    for (size_t at = 0; at < index; at++) {
        if (same_section(self->table[at]->key, self->table[index]->key)) {
            return false;
        }
    }
    return true;
}

void mb_settings_print_config(const mb_settings_t *self, FILE *out)
{
    fprintf(out, "# The settings of %s %s, for --config\n", self->program, MAILBUS_VERSION);
    for (size_t first = 0; first < self->count; first++) {
        const char *key = self->table[first]->key;
        size_t size = section_size(key);
        if (!opens_section(self, first)) {
            continue;
        }
        fputc('\n', out);
        if (size > 0) {
            fprintf(out, "%.*s\n", (int)size, key);
        }
        for (size_t at = first; at < self->count; at++) {
            const char *other = self->table[at]->key;
            if (same_section(key, other)) {
                print_value(self, at, size > 0 ? other + size + 1 : other, size > 0 ? "    " : "",
                            out);
            }
        }
    }
}

static void print_cell(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
}

void mb_settings_reference(const mb_settings_t *self, FILE *out)
{
    fprintf(out, "| Key | Type | Default | Environment | Reload | Meaning |\n"
                 "|---|---|---|---|---|---|\n");
    for (size_t at = 0; at < self->count; at++) {
        const mb_setting_t *setting = self->table[at];
        char name[MB_SETTING_ENV_MAX];
        mb_setting_env_name(setting->key, name);
        fprintf(out, "| `%s` | %s", setting->key, mb_setting_type_name(setting));
        if (setting->type == MB_CHOICE) {
            fprintf(out, ": %s", setting->choices);
        }
        fprintf(out, " | ");
        if (setting->type != MB_SECRET && *setting->value != '\0') {
            fputc('`', out);
            print_cell(setting->value, out);
            fputc('`', out);
        }
        fprintf(out, " | `%s`%s%s%s | %s | ", name, setting->env != NULL ? ", `" : "",
                setting->env != NULL ? setting->env : "", setting->env != NULL ? "`" : "",
                setting->reload ? "yes" : "no");
        print_cell(setting->help, out);
        fprintf(out, " |\n");
    }
}
