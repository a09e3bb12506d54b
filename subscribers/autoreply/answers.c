#include "answers.h"

#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "guards.h"

enum { REFERENCES = 100 }; /* the newest ones of a mail are looked up; each costs a query */

const char answers_schema[] =
    "CREATE TABLE IF NOT EXISTS answers ("
    " event_id TEXT PRIMARY KEY,"
    " inbox TEXT NOT NULL,"
    " message_id TEXT NOT NULL,"
    " rule TEXT NOT NULL,"
    " sender TEXT NOT NULL,"
    " recipient TEXT NOT NULL,"
    " request TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('planned', 'sent', 'refused')),"
    " planned_ms INTEGER NOT NULL,"
    " unsure_ms INTEGER NOT NULL DEFAULT 0,"
    " sent_ms INTEGER,"
    " reply_id TEXT"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS answers_sender ON answers (sender, planned_ms);"
    "CREATE INDEX IF NOT EXISTS answers_recipient ON answers (recipient, planned_ms);"
    "CREATE INDEX IF NOT EXISTS answers_planned ON answers (planned_ms);"
    "CREATE INDEX IF NOT EXISTS answers_mail ON answers (inbox, message_id);"
    "CREATE INDEX IF NOT EXISTS answers_reply ON answers (reply_id) WHERE reply_id IS NOT NULL;"
    "CREATE TABLE IF NOT EXISTS inboxes (address TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS history ("
    " number INTEGER PRIMARY KEY,"
    " time_ms INTEGER NOT NULL,"
    " event_id TEXT NOT NULL,"
    " inbox TEXT, message_id TEXT, sender TEXT, subject TEXT,"
    " action TEXT NOT NULL,"
    " reason TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS history_time ON history (time_ms);";

/* --- statements ---------------------------------------------------------------------------------
 */

/* One value to bind; text NULL and no number is NULL. */
typedef struct {
    const char *text;
    int64_t number;
    bool is_number;
} value_t;

#define T(value) ((value_t){.text = (value)})
#define N(value) ((value_t){.number = (value), .is_number = true})

static mailbus_code_t prepare(sqlite3 *db, const char *sql, const value_t *values, int count,
                              sqlite3_stmt **ret_stmt, mailbus_error_t *error)
{
    mailbus_code_t code = mb_db_prepare(db, sql, ret_stmt, error);
    for (int i = 0; i < count && code == MAILBUS_OK; i++) {
        int rc = values[i].is_number
                     ? sqlite3_bind_int64(*ret_stmt, i + 1, values[i].number)
                     : sqlite3_bind_text(*ret_stmt, i + 1, values[i].text, -1, SQLITE_STATIC);
        if (rc != SQLITE_OK) {
            code = mb_db_fail(db, error, "bind");
        }
    }
    if (code != MAILBUS_OK) {
        sqlite3_finalize(*ret_stmt);
        *ret_stmt = NULL;
    }
    return code;
}

static mailbus_code_t run(sqlite3 *db, const char *sql, const value_t *values, int count,
                          mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = prepare(db, sql, values, count, &stmt, error);
    if (code == MAILBUS_OK) {
        code = mb_db_run(stmt, error);
    }
    sqlite3_finalize(stmt);
    return code;
}

/* The one row of integers that `sql` gives. */
static mailbus_code_t ask(sqlite3 *db, const char *sql, const value_t *values, int count,
                          int64_t *ret_numbers, int columns, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = prepare(db, sql, values, count, &stmt, error);
    if (code == MAILBUS_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < columns; i++) {
            ret_numbers[i] = sqlite3_column_int64(stmt, i);
        }
    } else if (code == MAILBUS_OK) {
        code = mb_db_fail(db, error, "read the answers");
    }
    sqlite3_finalize(stmt);
    return code;
}

static char *folded(const char *address)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    agentmail_address_fold(address, &out);
    return mailbus_buf_take(&out, NULL);
}

/* --- looking ------------------------------------------------------------------------------------
 */

void answer_free(answer_t *answer)
{
    free(answer->rule);
    free(answer->recipient);
    free(answer->request);
    *answer = (answer_t){.state = ANSWER_NONE};
}

static char *column_copy(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text == NULL ? NULL : strdup(text);
}

static answer_state_t state_of(const char *name)
{
    return name[0] == 'p' ? ANSWER_PLANNED : name[0] == 's' ? ANSWER_SENT : ANSWER_REFUSED;
}

static mailbus_code_t load(sqlite3 *db, const char *event_id, answer_t *ret_answer,
                           mailbus_error_t *error)
{
    answer_t answer = {.state = ANSWER_NONE};
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = prepare(db,
                                  "SELECT state, rule, recipient, request, unsure_ms"
                                  " FROM answers WHERE event_id = ?",
                                  (value_t[]){T(event_id)}, 1, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *state = (const char *)sqlite3_column_text(stmt, 0);
        answer.rule = column_copy(stmt, 1);
        answer.recipient = column_copy(stmt, 2);
        answer.request = column_copy(stmt, 3);
        answer.unsure_ms = sqlite3_column_int64(stmt, 4);
        if (state == NULL || answer.rule == NULL || answer.recipient == NULL ||
            answer.request == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
            answer_free(&answer);
        } else {
            answer.state = state_of(state);
        }
    } else if (rc != SQLITE_DONE) {
        code = mb_db_fail(db, error, "read the answers");
    }
    sqlite3_finalize(stmt);
    if (code == MAILBUS_OK) {
        *ret_answer = answer;
    }
    return code;
}

static mailbus_code_t is_inbox(sqlite3 *db, const char *address, bool *ret_found,
                               mailbus_error_t *error)
{
    int64_t count = 0;
    char *key = folded(address);
    if (key == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = ask(db, "SELECT count(*) FROM inboxes WHERE address = ?",
                              (value_t[]){T(key)}, 1, &count, 1, error);
    free(key);
    *ret_found = *ret_found || count > 0;
    return code;
}

static mailbus_code_t look_for_inboxes(sqlite3 *db, const agentmail_message_t *message,
                                       bool *ret_found, mailbus_error_t *error)
{
    const agentmail_address_t *recipient = guards_recipient(message);
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < message->from.count && code == MAILBUS_OK; i++) {
        code = is_inbox(db, message->from.items[i].address, ret_found, error);
    }
    if (code == MAILBUS_OK && recipient != NULL) {
        code = is_inbox(db, recipient->address, ret_found, error);
    }
    return code;
}

static mailbus_code_t is_reply(sqlite3 *db, const char *message_id, bool *ret_found,
                               mailbus_error_t *error)
{
    int64_t count = 0;
    mailbus_code_t code = ask(db, "SELECT count(*) FROM answers WHERE reply_id = ?",
                              (value_t[]){T(message_id)}, 1, &count, 1, error);
    *ret_found = *ret_found || count > 0;
    return code;
}

static mailbus_code_t look_for_replies(sqlite3 *db, const agentmail_message_t *message,
                                       bool *ret_found, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    if (message->in_reply_to != NULL) {
        code = is_reply(db, message->in_reply_to, ret_found, error);
    }
    size_t count = message->reference_count;
    for (size_t i = count > REFERENCES ? count - REFERENCES : 0; i < count && code == MAILBUS_OK;
         i++) {
        code = is_reply(db, message->references[i], ret_found, error);
    }
    return code;
}

static mailbus_code_t remember_inbox(sqlite3 *db, const char *inbox, mailbus_error_t *error)
{
    char *key = folded(inbox);
    if (key == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = run(db, "INSERT INTO inboxes VALUES (?) ON CONFLICT DO NOTHING",
                              (value_t[]){T(key)}, 1, error);
    free(key);
    return code;
}

mailbus_code_t answers_look(sqlite3 *db, const char *event_id, const agentmail_message_t *message,
                            answers_look_t *ret_look, mailbus_error_t *error)
{
    answers_look_t look = {.answer.state = ANSWER_NONE};
    mailbus_code_t code = remember_inbox(db, message->inbox_id, error);
    if (code == MAILBUS_OK) {
        code = look_for_inboxes(db, message, &look.sender_is_inbox, error);
    }
    if (code == MAILBUS_OK) {
        code = look_for_replies(db, message, &look.answers_ours, error);
    }
    if (code == MAILBUS_OK) {
        code = load(db, event_id, &look.answer, error);
    }
    if (code == MAILBUS_OK) {
        *ret_look = look;
    }
    return code;
}

/* --- planning and noting ------------------------------------------------------------------------
 */

mailbus_code_t answers_have_mail(sqlite3 *db, const answers_plan_t *plan, bool *ret_have,
                                 mailbus_error_t *error)
{
    int64_t count = 0;
    mailbus_code_t code = ask(
        db,
        "SELECT count(*) FROM answers"
        " WHERE inbox = ? AND message_id = ? AND event_id <> ? AND state <> 'refused'",
        (value_t[]){T(plan->inbox), T(plan->message_id), T(plan->event_id)}, 3, &count, 1, error);
    if (code == MAILBUS_OK) {
        *ret_have = count > 0;
    }
    return code;
}

/* A sender by either of its addresses; refused answers went nowhere and this one is being decided.
 */
#define OF_SENDER                                                                                  \
    "SELECT count(*) FROM answers WHERE state <> 'refused' AND event_id <> ?1"                     \
    " AND (sender IN (?2, ?3) OR recipient IN (?2, ?3))"

mailbus_code_t answers_count(sqlite3 *db, const answers_plan_t *plan, const quota_t *limits,
                             quota_counts_t *ret_counts, mailbus_error_t *error)
{
    quota_counts_t counts = {0};
    int64_t minute[2] = {0, 0};
    const value_t who[] = {T(plan->event_id), T(plan->sender), T(plan->recipient),
                           N(plan->now_ms - limits->again_after_ms), T(plan->rule)};
    mailbus_code_t code = ask(db, OF_SENDER " AND planned_ms > ?4 AND rule = ?5", who, 5,
                              &counts.same_rule, 1, error);
    if (code == MAILBUS_OK) {
        const value_t day[] = {who[0], who[1], who[2], N(plan->now_ms - QUOTA_DAY_MS)};
        code = ask(db, OF_SENDER " AND planned_ms > ?4", day, 4, &counts.sender_day, 1, error);
    }
    if (code == MAILBUS_OK) {
        code = ask(db,
                   "SELECT count(*), coalesce(min(planned_ms), 0) FROM answers"
                   " WHERE planned_ms > ? AND event_id <> ? AND state <> 'refused'",
                   (value_t[]){N(plan->now_ms - QUOTA_MINUTE_MS), T(plan->event_id)}, 2, minute, 2,
                   error);
    }
    if (code == MAILBUS_OK) {
        counts.minute = minute[0];
        counts.minute_oldest = minute[1];
        *ret_counts = counts;
    }
    return code;
}

mailbus_code_t answers_plan(sqlite3 *db, const answers_plan_t *plan, mailbus_error_t *error)
{
    return run(db,
               "INSERT OR REPLACE INTO answers (event_id, inbox, message_id, rule, sender,"
               " recipient, request, state, planned_ms, unsure_ms)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'planned', ?8, ?8)",
               (value_t[]){T(plan->event_id), T(plan->inbox), T(plan->message_id), T(plan->rule),
                           T(plan->sender), T(plan->recipient), T(plan->request), N(plan->now_ms)},
               8, error);
}

mailbus_code_t answers_unsure(sqlite3 *db, const char *event_id, int64_t unsure_ms,
                              mailbus_error_t *error)
{
    return run(db, "UPDATE answers SET unsure_ms = ? WHERE event_id = ?",
               (value_t[]){N(unsure_ms), T(event_id)}, 2, error);
}

mailbus_code_t answers_sent(sqlite3 *db, const char *event_id, const char *reply_id, int64_t now_ms,
                            mailbus_error_t *error)
{
    return run(db,
               "UPDATE answers SET state = 'sent', sent_ms = ?, reply_id = ? WHERE event_id = ?",
               (value_t[]){N(now_ms), T(reply_id), T(event_id)}, 3, error);
}

mailbus_code_t answers_refused(sqlite3 *db, const char *event_id, mailbus_error_t *error)
{
    return run(db, "UPDATE answers SET state = 'refused' WHERE event_id = ?",
               (value_t[]){T(event_id)}, 1, error);
}

mailbus_code_t answers_note(sqlite3 *db, const answers_history_t *line, mailbus_error_t *error)
{
    const value_t oldest[] = {N(line->now_ms - ANSWERS_KEEP_MS)};
    mailbus_code_t code =
        run(db,
            "INSERT INTO history (time_ms, event_id, inbox, message_id, sender, subject, action,"
            " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (value_t[]){N(line->now_ms), T(line->event_id), T(line->inbox), T(line->message_id),
                        T(line->sender), T(line->subject), T(line->action), T(line->reason)},
            8, error);
    if (code == MAILBUS_OK) {
        code = run(db, "DELETE FROM history WHERE time_ms < ?", oldest, 1, error);
    }
    if (code == MAILBUS_OK) {
        code = run(db, "DELETE FROM answers WHERE planned_ms < ?", oldest, 1, error);
    }
    return code;
}
