/* Between suppression_commands.c (looking), commands_change.c (adding and removing) and
 * commands_import.c. */
#ifndef SUPPRESSION_COMMANDS_PRIV_H
#define SUPPRESSION_COMMANDS_PRIV_H

#include <cjson/cJSON.h>

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
/* The request's tree, to be deleted. */
MAILBUS_MUST_USE mailbus_code_t command_read(const char *request, size_t size, cJSON **ret_tree,
                                             mailbus_error_t *error);
/* Append `tree` to the answer and delete it; NULL: there was no memory for it. */
MAILBUS_MUST_USE mailbus_code_t command_answer(cJSON **tree_p, mailbus_buf_t *answer,
                                               mailbus_error_t *error);
void command_add_time(cJSON *object, const char *name, int64_t ms);
/* A person's words: one line, at most LIST_NOTE_MAX bytes, to be freed; NULL: no memory. */
char *command_line(const char *text);
/* The printed form of a domain's entry that suppresses the target, to be freed; NULL: there is
 * none, or it is no mailbox. */
MAILBUS_MUST_USE mailbus_code_t command_covered_by(sqlite3 *db, const command_target_t *target,
                                                   char **ret_by, mailbus_error_t *error);

mailbus_code_t command_add(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                           mailbus_buf_t *answer, mailbus_error_t *error);
mailbus_code_t command_remove(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                              mailbus_buf_t *answer, mailbus_error_t *error);
mailbus_code_t command_import(sqlite3 *db, const char *request, size_t size, int64_t now_ms,
                              mailbus_buf_t *answer, mailbus_error_t *error);

#endif
