/* A list in a file of its own, for the tests. */
#ifndef TEST_DESK_H
#define TEST_DESK_H

#include <cjson/cJSON.h>

#include "db.h"
#include "suppression/list.h"

typedef struct {
    char *folder;
    char path[600];
    sqlite3 *db;
    mb_db_lock_t *lock;
} desk_t;

extern const policy_t desk_policy; /* the defaults */

desk_t *desk_open(void);
void desk_close(desk_t **desk_p);
int desk_set_up(void **state); /* for cmocka: *state is a desk */
int desk_tear_down(void **state);

/* One complaint of, or bounce for, a mailbox. Fails the test where it can't be taken. */
list_change_t desk_event(sqlite3 *db, said_t said, const char *address, const char *id,
                         int64_t time_ms, const policy_t *policy);
list_change_t desk_complaint(sqlite3 *db, const char *address, const char *id, int64_t time_ms);
void desk_add(sqlite3 *db, const char *entry, const char *note, int64_t now_ms);
mailbus_code_t desk_remove(sqlite3 *db, const char *entry, const char *note, int64_t now_ms);
/* Run a command on a request in JSON; *ret_answer (may be NULL) is to be deleted. */
mailbus_code_t desk_ask(sqlite3 *db, const char *command, const char *request, int64_t now_ms,
                        cJSON **ret_answer, mailbus_error_t *error);
/* All entries as text, one a line: "key reason first-last count certain event_id note". To be
 * freed. */
char *desk_entries(sqlite3 *db);
int64_t desk_integer(sqlite3 *db, const char *sql);

#endif
