/* The inside of settings: shared by settings*.c alone. */
#ifndef MB_SETTINGS_PRIVATE_H
#define MB_SETTINGS_PRIVATE_H

#include <stddef.h>

#include "settings.h"

#define MB_SETTING_VALUE_MAX 65536 /* bytes of one value, from a file or the environment */
#define MB_SETTING_KEY_MAX   128   /* bytes of "section.key" */
#define MB_SETTING_ENV_MAX   (MB_SETTING_KEY_MAX + 16) /* MAILBUS_…_FILE and the NUL */

/* What one setting is at the moment. */
typedef struct {
    char *text;      /* owned; never NULL once read */
    int64_t number;  /* INTEGER, BYTES, DURATION, BOOLEAN */
    char source[96]; /* where it came from, for messages: "default", "FILE", "--set", … */
} mb_value_t;

typedef struct {
    const char *option; /* "--dry-run" */
    size_t index;       /* of the setting */
    bool takes_value;
    const char *help;
} mb_option_t;

/* An assignment from the command line; its texts belong to argv. */
typedef struct {
    const char *source; /* "--set" or the option */
    size_t index;
    const char *value;
} mb_assignment_t;

struct mb_settings {
    const char *program;
    const char *summary;
    const char *synopsis;       /* operands in the usage line; NULL: none */
    const char *details;        /* further lines of help; NULL: none */
    const mb_setting_t **table; /* count of them, lent */
    mb_value_t *values;         /* count of them; all zero before anything is read */
    size_t count;
    mb_option_t *options;
    size_t option_count;
    mb_settings_check_fn *check;
    char *file; /* --config; NULL: none */
    mb_assignment_t *assignments;
    size_t assignment_count;
};

#define MB_SETTING_NONE ((size_t)-1)

/* The index of a key, or MB_SETTING_NONE. */
size_t mb_settings_find(const mb_settings_t *self, const char *key);
/* EINVAL: the key is not known, with the nearest known one in the text. */
mailbus_code_t mb_settings_unknown(const mb_settings_t *self, const char *source, const char *key,
                                   mailbus_error_t *error);
/* Take `text` as the value of setting `index`: EINVAL "source: key: what is wrong". */
MAILBUS_MUST_USE mailbus_code_t mb_settings_put(const mb_settings_t *self, mb_value_t *values,
                                                size_t index, const char *text, const char *source,
                                                mailbus_error_t *error);

/* The value of one setting as its type wants it. Texts quote the value, a secret's never. */
MAILBUS_MUST_USE mailbus_code_t mb_setting_parse(const mb_setting_t *setting, const char *text,
                                                 int64_t *ret_number, mailbus_error_t *error);
/* "duration", "yes or no", "one of text json": for messages and help. */
const char *mb_setting_type_name(const mb_setting_t *setting);

/* "MAILBUS_HTTP_LISTEN" of "http.listen". */
void mb_setting_env_name(const char *key, char name[MB_SETTING_ENV_MAX]);

/* The sources, each over what is there already. */
MAILBUS_MUST_USE mailbus_code_t mb_settings_read_file(const mb_settings_t *self, const char *path,
                                                      mb_value_t *values, mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mb_settings_read_environment(const mb_settings_t *self,
                                                             mb_value_t *values,
                                                             mailbus_error_t *error);
/* Read a small text file whole, with a NUL behind: the caller frees it. */
MAILBUS_MUST_USE mailbus_code_t mb_settings_slurp(const char *path, size_t most, char **ret_text,
                                                  size_t *ret_size, mailbus_error_t *error);

/* All sources into a new array of values (mb_values_free). */
MAILBUS_MUST_USE mailbus_code_t mb_settings_resolve(const mb_settings_t *self,
                                                    mb_value_t **ret_values,
                                                    mailbus_error_t *error);
void mb_values_free(mb_value_t **values_p, size_t count);

void mb_settings_print_help(const mb_settings_t *self, FILE *out);
void mb_settings_print_config(const mb_settings_t *self, FILE *out);

#endif
