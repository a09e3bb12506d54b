#include "outbox.h"

#include <stdlib.h>
#include <string.h>

#include "db_query.h"
#include "entry_key.h"
#include "list.h"
#include "mailbus/event.h"
#include "mailbus/replay.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

enum { CONFLICT = 409, NOT_FOUND = 404 };

typedef struct {
    bool found, wanted, there;
} row_t;

static mailbus_code_t find(sqlite3 *db, const char *key, row_t *ret_row, mailbus_error_t *error)
{
    int64_t numbers[2];
    mailbus_code_t code = mb_db_numbers(db, "SELECT wanted, there FROM outbox WHERE key = ?",
                                        (mb_db_value_t[]){T(key)}, 1, numbers, 2, error);
    if (code == MAILBUS_ENOTFOUND) {
        *ret_row = (row_t){.found = false};
        return MAILBUS_OK;
    }
    if (code == MAILBUS_OK) {
        *ret_row = (row_t){.found = true, .wanted = numbers[0] != 0, .there = numbers[1] != 0};
    }
    return code;
}

mailbus_code_t outbox_want(sqlite3 *db, const char *key, const char *address, bool wanted,
                           mailbus_error_t *error)
{
    row_t row = {.found = false};
    mailbus_code_t code = find(db, key, &row, error);
    if (code != MAILBUS_OK || (row.found ? row.wanted == wanted : !wanted)) {
        return code;
    }
    if (!row.found) {
        return mb_db_change(db,
                            "INSERT INTO outbox (key, address, wanted, there, due_ms, attempts,"
                            " turn, note) VALUES (?, ?, 1, 0, 0, 0, 1, '')",
                            (mb_db_value_t[]){T(key), T(address)}, 2, error);
    }
    if (!wanted && !row.there) { /* it was never asked for: whoever else put it there keeps it */
        return mb_db_change(db, "DELETE FROM outbox WHERE key = ?", (mb_db_value_t[]){T(key)}, 1,
                            error);
    }
    return mb_db_change(db,
                        "UPDATE outbox SET wanted = ?2, address = ?3, due_ms = 0, attempts = 0,"
                        " turn = turn + 1, note = '' WHERE key = ?1",
                        (mb_db_value_t[]){T(key), N(wanted), T(address)}, 3, error);
}

/* --- one at a time ------------------------------------------------------------------------------
 */

void outbox_task_free(outbox_task_t *task)
{
    free(task->key);
    free(task->entry);
    free(task->reason);
    *task = (outbox_task_t){.key = NULL};
}

/* "complaint, 2026-10-12T11:00:00.000Z" and whose it is, for who reads the list over there. */
static void write_reason(sqlite3_stmt *stmt, mailbus_buf_t *out)
{
    const char *reason = mb_db_text(stmt, 5);
    char time[MAILBUS_TIME_SIZE];
    mailbus_time_format(sqlite3_column_int64(stmt, 6), time);
    mailbus_buf_printf(out, "mailbus-suppression: %s, %s", reason != NULL ? reason : "suppressed",
                       time);
}

static mailbus_code_t read_task(sqlite3_stmt *stmt, outbox_task_t *ret_task, mailbus_error_t *error)
{
    const char *key = mb_db_text(stmt, 0);
    const char *address = mb_db_text(stmt, 1);
    if (key == NULL || address == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    write_reason(stmt, &reason);
    const char *entry = key_block_entry(key, address);
    outbox_task_t task = {
        .key = strdup(key),
        .entry = entry != NULL ? strdup(entry) : NULL,
        .reason = mailbus_buf_take(&reason, NULL),
        .wanted = sqlite3_column_int64(stmt, 2) != 0,
        .attempts = sqlite3_column_int64(stmt, 3),
        .turn = sqlite3_column_int64(stmt, 4),
    };
    if (task.key == NULL || (entry != NULL && task.entry == NULL) || task.reason == NULL) {
        outbox_task_free(&task);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_task = task;
    return MAILBUS_OK;
}

mailbus_code_t outbox_next(sqlite3 *db, int64_t now_ms, outbox_task_t *ret_task,
                           int64_t *ret_due_ms, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    outbox_task_t task = {.key = NULL};
    int64_t due_ms = INT64_MAX;
    mailbus_code_t code = mb_db_query(
        db,
        "SELECT o.key, o.address, o.wanted, o.attempts, o.turn, e.reason, e.first_ms, o.due_ms"
        " FROM outbox o LEFT JOIN entries e ON e.key = o.key"
        " WHERE o.due_ms IS NOT NULL ORDER BY o.due_ms, o.key LIMIT 1",
        NULL, 0, &stmt, error);
    if (code == MAILBUS_OK && mb_db_next(stmt, &code, error)) {
        due_ms = sqlite3_column_int64(stmt, 7);
        if (due_ms <= now_ms) {
            code = read_task(stmt, &task, error);
        }
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        *ret_task = task;
        *ret_due_ms = due_ms;
    }
    return code;
}

mailbus_code_t outbox_begin(sqlite3 *db, const outbox_task_t *task, bool *ret_go,
                            mailbus_error_t *error)
{
    mailbus_code_t code = mb_db_change(db,
                                       "UPDATE outbox SET there = 1, attempts = attempts + 1"
                                       " WHERE key = ? AND turn = ? AND due_ms IS NOT NULL",
                                       (mb_db_value_t[]){T(task->key), N(task->turn)}, 2, error);
    if (code == MAILBUS_OK) {
        *ret_go = sqlite3_changes(db) > 0;
    }
    return code;
}

mailbus_code_t outbox_end(sqlite3 *db, const outbox_task_t *task, outbox_end_t end, int64_t due_ms,
                          const char *note, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {T(task->key), N(task->turn), T(note), N(due_ms)};
    if (end == OUTBOX_DONE && !task->wanted) {
        return mb_db_change(db, "DELETE FROM outbox WHERE key = ? AND turn = ?", values, 2, error);
    }
    return mb_db_change(
        db,
        end == OUTBOX_LATER
            ? "UPDATE outbox SET note = ?3, due_ms = ?4 WHERE key = ?1 AND turn = ?2"
            : "UPDATE outbox SET note = ?3, due_ms = NULL"
              " WHERE key = ?1 AND turn = ?2",
        values, end == OUTBOX_LATER ? 4 : 3, error);
}

outbox_end_t outbox_judge(bool wanted, const agentmail_result_t *result)
{
    if (result->verdict == AGENTMAIL_DONE || (wanted && result->status == CONFLICT) ||
        (!wanted && result->status == NOT_FOUND)) {
        return OUTBOX_DONE;
    }
    return result->verdict == AGENTMAIL_REJECT ? OUTBOX_REFUSED : OUTBOX_LATER;
}
