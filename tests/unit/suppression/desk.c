#include "desk.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db_query.h"
#include "folder.h"
#include "mailbus/json.h"
#include "suppression/entry_key.h"
#include "suppression/suppression_commands.h"

const policy_t desk_policy = {.bounces = true, .rejects = true, .candidates = true};

desk_t *desk_open(void)
{
    static const mb_db_options_t options = {.journal_limit = 1 << 20};
    desk_t *self = calloc(1, sizeof *self);
    mailbus_error_t error = {0};
    self->folder = folder_make();
    folder_path(self->folder, "suppression.db", self->path, sizeof self->path);
    if (mb_db_open_writer(self->path, &options, &self->db, &self->lock, NULL, &error) !=
            MAILBUS_OK ||
        mb_db_exec(self->db, list_schema, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    return self;
}

void desk_close(desk_t **desk_p)
{
    desk_t *self = *desk_p;
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    folder_remove(&self->folder);
    free(self);
    *desk_p = NULL;
}

int desk_set_up(void **state)
{
    *state = desk_open();
    return 0;
}

int desk_tear_down(void **state)
{
    desk_t *self = *state;
    desk_close(&self);
    return 0;
}

list_change_t desk_event(sqlite3 *db, said_t said, const char *address, const char *id,
                         int64_t time_ms, const policy_t *policy)
{
    const fact_t fact = {.said = said,
                         .id = id,
                         .event_id = id,
                         .time_ms = time_ms,
                         .address = address,
                         .message_id = "<m@x>",
                         .inbox = "help@x.y",
                         .type = said == SAID_BOUNCE ? "Permanent" : "abuse",
                         .sub_type = "",
                         .status = "",
                         .candidates = 1,
                         .note = "",
                         .reason = REASON_NONE};
    char *key = key_of_mailbox(address);
    list_change_t change = {.known = false};
    mailbus_error_t error = {0};
    if (list_take(db, key, &fact, policy, time_ms, &change, &error) != MAILBUS_OK) {
        fail_msg("%s", error.text);
    }
    free(key);
    return change;
}

list_change_t desk_complaint(sqlite3 *db, const char *address, const char *id, int64_t time_ms)
{
    return desk_event(db, SAID_COMPLAINT, address, id, time_ms, &desk_policy);
}

void desk_add(sqlite3 *db, const char *entry, const char *note, int64_t now_ms)
{
    char *key = NULL;
    char *shown = NULL;
    list_change_t change;
    assert_int_equal(key_parse(entry, &key, &shown, NULL), MAILBUS_OK);
    assert_int_equal(list_add(db, key, shown, note, now_ms, &change, NULL), MAILBUS_OK);
    free(key);
    free(shown);
}

mailbus_code_t desk_remove(sqlite3 *db, const char *entry, const char *note, int64_t now_ms)
{
    char *key = NULL;
    char *shown = NULL;
    assert_int_equal(key_parse(entry, &key, &shown, NULL), MAILBUS_OK);
    mailbus_code_t code = list_remove(db, key, note, now_ms, NULL);
    free(key);
    free(shown);
    return code;
}

mailbus_code_t desk_ask(sqlite3 *db, const char *command, const char *request, int64_t now_ms,
                        cJSON **ret_answer, mailbus_error_t *error)
{
    for (const mailbus_command_t *at = suppression_commands; at->name != NULL; at++) {
        if (strcmp(at->name, command) == 0) {
            mailbus_buf_t answer = MAILBUS_BUF_INIT;
            cJSON *tree = NULL;
            mailbus_code_t code = at->run(db, request, strlen(request), now_ms, &answer, error);
            if (code == MAILBUS_OK) {
                assert_int_equal(mailbus_json_parse_object(answer.data, answer.size, &tree, NULL),
                                 MAILBUS_OK);
            }
            mailbus_buf_free(&answer);
            if (ret_answer != NULL) {
                *ret_answer = tree;
            } else {
                cJSON_Delete(tree);
            }
            return code;
        }
    }
    fail_msg("no command %s", command);
    return MAILBUS_EINVAL;
}

char *desk_entries(sqlite3 *db)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_query(db, "SELECT " LIST_ENTRY_COLUMNS " FROM entries ORDER BY key",
                                      NULL, 0, &stmt, NULL);
    mailbus_buf_text(&out, "");
    while (code == MAILBUS_OK && mb_db_next(stmt, &code, NULL)) {
        list_entry_t entry = {.key = NULL};
        assert_int_equal(list_entry_read(stmt, &entry, NULL), MAILBUS_OK);
        mailbus_buf_printf(&out, "%s %s %" PRId64 "-%" PRId64 " %" PRId64 " %s %s %s %s\n",
                           entry.key, reason_name(entry.reason), entry.first_ms, entry.last_ms,
                           entry.count, entry.certain ? "certain" : "ambiguous", entry.address,
                           entry.event_id, entry.note);
        list_entry_free(&entry);
    }
    assert_int_equal(code, MAILBUS_OK);
    sqlite3_finalize(stmt);
    return mailbus_buf_take(&out, NULL);
}

int64_t desk_integer(sqlite3 *db, const char *sql)
{
    int64_t value = -1;
    assert_int_equal(mb_db_integer(db, sql, &value, NULL), MAILBUS_OK);
    return value;
}
