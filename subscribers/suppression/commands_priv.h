/* Between suppression_commands.c (the list), commands_show.c (one address), commands_change.c
 * (adding and removing) and commands_import.c. */
#ifndef SUPPRESSION_COMMANDS_PRIV_H
#define SUPPRESSION_COMMANDS_PRIV_H

#include "command.h"
#include "list.h"
#include "mailbus/subscriber.h"

/* A key that a request names under "address". Texts are freed with command_target_free. */
typedef struct {
    char *key, *shown;
    char *printed; /* as it is typed: key_print */
} command_target_t;

MAILBUS_MUST_USE mailbus_code_t command_target(const cJSON *request, command_target_t *ret_target,
                                               mailbus_error_t *error);
void command_target_free(command_target_t *target);
/* An entry's or a person's spelling of a key: key_print, to be freed; NULL: no memory. */
char *command_printed(const char *key, const char *shown);
/* "limit" of a request. */
MAILBUS_MUST_USE mailbus_code_t command_limit(const cJSON *request, int64_t *ret_limit,
                                              mailbus_error_t *error);
/* {"rows":…,"next":…}; takes `rows`. `next` is what the page ended with where it is full. */
MAILBUS_MUST_USE mailbus_code_t command_rows(cJSON *rows, int64_t limit, const char *next,
                                             mailbus_buf_t *answer, mailbus_error_t *error);
/* The entry's fields but its address. */
void command_add_entry(cJSON *object, const list_entry_t *entry);
void command_add_time(cJSON *object, const char *name, int64_t ms);
/* A person's words: one line, at most LIST_NOTE_MAX bytes, to be freed; NULL: no memory. */
char *command_line(const char *text);
/* The printed form of a domain's entry that suppresses the target, to be freed; NULL: there is
 * none, or it is no mailbox. */
MAILBUS_MUST_USE mailbus_code_t command_covered_by(sqlite3 *db, const command_target_t *target,
                                                   char **ret_by, mailbus_error_t *error);

mb_command_fn command_show, command_history, command_add, command_remove, command_import;

#endif
