/* Settings: one table a program drives the parser, --help, --print-config, --check and the
 * reference.
 *
 * Sources, the later wins: the table's default, a file in ZPL (rfc.zeromq.org/spec/4, czmq's
 * zconfig), the environment (MAILBUS_<SECTION>_<KEY>, or …_FILE: the value is that file's content
 * less its last newline), --set section.key=value. Unknown keys are errors, with the nearest known
 * key in the text. */
#ifndef MB_SETTINGS_H
#define MB_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mailbus/error.h"

typedef enum {
    MB_TEXT,
    MB_INTEGER,  /* decimal, min..max */
    MB_BOOLEAN,  /* yes|no, true|false, on|off, 1|0 */
    MB_BYTES,    /* "2MiB", "64KiB", "1GiB", plain bytes; min..max in bytes */
    MB_DURATION, /* "300ms", "10s", "5m", "28h", "35d", plain seconds; min..max in ms */
    MB_ADDRESS,  /* "127.0.0.1:8080", "[::1]:8080", ":8080" (all interfaces), "localhost:0"; "" is
                    off */
    MB_ENDPOINT, /* a ZeroMQ endpoint, tcp:// or ipc:// */
    MB_PATH,
    MB_SECRET, /* refused by --set, printed as "(set)" or "(not set)" */
    MB_CHOICE, /* one of `choices`, blank-separated */
} mb_setting_type_t;

typedef struct {
    const char *key; /* "section.key" */
    mb_setting_type_t type;
    const char *value;   /* the default, as text */
    const char *help;    /* one line, ends without a full stop */
    bool reload;         /* SIGHUP takes a change */
    int64_t min, max;    /* both 0: no bounds */
    const char *choices; /* MB_CHOICE */
    const char *env;     /* one more environment name, weaker than MAILBUS_…; NULL: none */
} mb_setting_t;

typedef struct mb_settings mb_settings_t;

/* program: "mailbus-gateway"; summary: what --help says first; table: lent, ends with a NULL key.
 * Several tables may be joined by calling mb_settings_add before anything is read. */
mb_settings_t *mb_settings_new(const char *program, const char *summary, const mb_setting_t *table);
MAILBUS_MUST_USE mailbus_code_t mb_settings_add(mb_settings_t *self, const mb_setting_t *table,
                                                mailbus_error_t *error);
/* For --help: what stands between the program's name and its options ("[TOPIC…]"), and lines,
 * printed as they are, below that. Lent; either may be NULL. */
void mb_settings_set_usage(mb_settings_t *self, const char *synopsis, const char *details);
void mb_settings_destroy(mb_settings_t **self_p);

/* What the command line asked for. */
typedef enum {
    MB_SETTINGS_RUN,  /* read; go on */
    MB_SETTINGS_EXIT, /* --help, --version, --check or --print-config is done: exit 0 */
} mb_settings_action_t;

/* Read the command line and everything it names: --config FILE, --set KEY=VALUE, --check,
 * --print-config, --help, --version. Options that are not known, or operands where ret_rest is
 * NULL, are errors. `ret_rest` gets the index of the first operand. --check and --print-config
 * print to `out`. */
MAILBUS_MUST_USE mailbus_code_t mb_settings_read(mb_settings_t *self, int argc, char **argv,
                                                 FILE *out, int *ret_rest,
                                                 mb_settings_action_t *ret_action,
                                                 mailbus_error_t *error);
/* An extra check of the whole, run by --check and by read before it returns OK; EINVAL with a text.
 */
typedef mailbus_code_t(mb_settings_check_fn)(const mb_settings_t *self, mailbus_error_t *error);
void mb_settings_set_check(mb_settings_t *self, mb_settings_check_fn *check);
/* One program-specific flag or option of the command line, e.g. "--dry-run" → key "reply.dry_run"
 * is set to "yes"; with takes_value, "--shard 1/4" → the key is set to what follows. */
void mb_settings_add_option(mb_settings_t *self, const char *option, const char *key,
                            bool takes_value, const char *help);

/* Read file and environment again, as at the start. Changed keys with `reload` are taken;
 * `ret_refused` (may be NULL) gets the blank-separated keys that changed but need a restart, freed
 * by the caller. Where anything is wrong nothing changes. */
MAILBUS_MUST_USE mailbus_code_t mb_settings_reload(mb_settings_t *self, char **ret_refused,
                                                   mailbus_error_t *error);

/* Values. The key must be in the table with that type (asserted). Text is lent until the next
 * reload. */
const char *mb_settings_text(const mb_settings_t *self,
                             const char *key); /* any type; "" if empty */
int64_t mb_settings_integer(const mb_settings_t *self,
                            const char *key); /* MB_INTEGER, BYTES, DURATION (ms) */
bool mb_settings_boolean(const mb_settings_t *self, const char *key);
/* The program's own name, as given to new. */
const char *mb_settings_program(const mb_settings_t *self);
/* A Markdown table of all keys, for the reference page. */
void mb_settings_reference(const mb_settings_t *self, FILE *out);

#endif
