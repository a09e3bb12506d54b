#include "outgoing/records.h"

#include <stdlib.h>
#include <string.h>

#include "db_query.h"

#define T MB_TEXT_VALUE
#define N MB_NUMBER_VALUE

enum { REFERENCES = 100 }; /* the newest ones of a mail are looked up; each costs a query */

const char outgoing_schema[] =
    "CREATE TABLE IF NOT EXISTS outgoing_mails ("
    " event_id TEXT NOT NULL,"
    " part TEXT NOT NULL,"
    " kind TEXT NOT NULL CHECK (kind IN ('reply', 'forward')),"
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
    " sent_id TEXT,"
    " PRIMARY KEY (event_id, part)"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS outgoing_mails_sender ON outgoing_mails (sender, planned_ms);"
    "CREATE INDEX IF NOT EXISTS outgoing_mails_recipient ON outgoing_mails (recipient, planned_ms);"
    "CREATE INDEX IF NOT EXISTS outgoing_mails_planned ON outgoing_mails (planned_ms);"
    "CREATE INDEX IF NOT EXISTS outgoing_mails_mail ON outgoing_mails (inbox, message_id);"
    "CREATE INDEX IF NOT EXISTS outgoing_mails_sent ON outgoing_mails (sent_id)"
    " WHERE sent_id IS NOT NULL;"
    "CREATE TABLE IF NOT EXISTS outgoing_inboxes (address TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS outgoing_history ("
    " number INTEGER PRIMARY KEY,"
    " time_ms INTEGER NOT NULL,"
    " event_id TEXT NOT NULL,"
    " part TEXT NOT NULL,"
    " inbox TEXT, message_id TEXT, sender TEXT, recipient TEXT, subject TEXT,"
    " action TEXT NOT NULL,"
    " reason TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS outgoing_history_time ON outgoing_history (time_ms);";

static char *folded(const char *address)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    agentmail_address_fold(address, &out);
    return mailbus_buf_take(&out, NULL);
}

/* --- looking ------------------------------------------------------------------------------------
 */

void record_free(record_t *record)
{
    free(record->rule);
    free(record->recipient);
    free(record->request);
    *record = (record_t){.state = RECORD_NONE};
}

static char *column_copy(sqlite3_stmt *stmt, int column)
{
    const char *text = mb_db_text(stmt, column);
    return text == NULL ? NULL : strdup(text);
}

/* The schema's CHECKs leave only these names. */
static record_state_t state_of(const char *name)
{
    return name[0] == 'p' ? RECORD_PLANNED : name[0] == 's' ? RECORD_SENT : RECORD_REFUSED;
}

static const char *kind_name(outgoing_kind_t kind)
{
    return kind == OUTGOING_REPLY ? "reply" : "forward";
}

static mailbus_code_t read_record(sqlite3_stmt *stmt, record_t *ret_record, mailbus_error_t *error)
{
    const char *state = mb_db_text(stmt, 0);
    const char *kind = mb_db_text(stmt, 1);
    record_t record = {
        .state = RECORD_NONE,
        .rule = column_copy(stmt, 2),
        .recipient = column_copy(stmt, 3),
        .request = column_copy(stmt, 4),
        .unsure_ms = sqlite3_column_int64(stmt, 5),
    };
    if (state == NULL || kind == NULL || record.rule == NULL || record.recipient == NULL ||
        record.request == NULL) {
        record_free(&record);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    record.state = state_of(state);
    record.kind = kind[0] == 'r' ? OUTGOING_REPLY : OUTGOING_FORWARD;
    *ret_record = record;
    return MAILBUS_OK;
}

static mailbus_code_t load(sqlite3 *db, records_key_t key, record_t *ret_record,
                           mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code =
        mb_db_query(db,
                    "SELECT state, kind, rule, recipient, request, unsure_ms"
                    " FROM outgoing_mails WHERE event_id = ? AND part = ?",
                    (mb_db_value_t[]){T(key.event_id), T(key.part)}, 2, &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mb_db_next(stmt, &code, error)) {
        code = read_record(stmt, ret_record, error);
    }
    sqlite3_finalize(stmt);
    return code;
}

/* *ret_found is only ever set to true. */
static mailbus_code_t is_inbox(sqlite3 *db, const char *address, bool *ret_found,
                               mailbus_error_t *error)
{
    int64_t count = 0;
    char *key = folded(address);
    if (key == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code =
        mb_db_numbers(db, "SELECT count(*) FROM outgoing_inboxes WHERE address = ?",
                      (mb_db_value_t[]){T(key)}, 1, &count, 1, error);
    free(key);
    *ret_found = *ret_found || count > 0;
    return code;
}

static mailbus_code_t look_for_inboxes(sqlite3 *db, const agentmail_message_t *message,
                                       const char *to, records_look_t *look, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < message->from.count && code == MAILBUS_OK; i++) {
        code = is_inbox(db, message->from.items[i].address, &look->from_is_inbox, error);
    }
    return code != MAILBUS_OK || to == NULL ? code : is_inbox(db, to, &look->to_is_inbox, error);
}

static mailbus_code_t is_ours(sqlite3 *db, const char *message_id, bool *ret_found,
                              mailbus_error_t *error)
{
    int64_t count = 0;
    mailbus_code_t code = mb_db_numbers(db, "SELECT count(*) FROM outgoing_mails WHERE sent_id = ?",
                                        (mb_db_value_t[]){T(message_id)}, 1, &count, 1, error);
    *ret_found = *ret_found || count > 0;
    return code;
}

static mailbus_code_t look_for_answers(sqlite3 *db, const agentmail_message_t *message,
                                       bool *ret_found, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    if (message->in_reply_to != NULL) {
        code = is_ours(db, message->in_reply_to, ret_found, error);
    }
    size_t count = message->reference_count;
    for (size_t i = count > REFERENCES ? count - REFERENCES : 0; i < count && code == MAILBUS_OK;
         i++) {
        code = is_ours(db, message->references[i], ret_found, error);
    }
    return code;
}

static mailbus_code_t remember_inbox(sqlite3 *db, const char *inbox, mailbus_error_t *error)
{
    char *key = folded(inbox);
    if (key == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code =
        mb_db_change(db, "INSERT INTO outgoing_inboxes VALUES (?) ON CONFLICT DO NOTHING",
                     (mb_db_value_t[]){T(key)}, 1, error);
    free(key);
    return code;
}

mailbus_code_t records_look(sqlite3 *db, records_key_t key, const agentmail_message_t *message,
                            const char *to, records_look_t *ret_look, mailbus_error_t *error)
{
    records_look_t look = {.record.state = RECORD_NONE};
    mailbus_code_t code = remember_inbox(db, message->inbox_id, error);
    if (code == MAILBUS_OK) {
        code = look_for_inboxes(db, message, to, &look, error);
    }
    if (code == MAILBUS_OK) {
        code = look_for_answers(db, message, &look.answers_ours, error);
    }
    if (code == MAILBUS_OK) {
        code = load(db, key, &look.record, error);
    }
    if (code == MAILBUS_OK) {
        *ret_look = look;
    }
    return code;
}

/* --- planning and noting ------------------------------------------------------------------------
 */

mailbus_code_t records_have_mail(sqlite3 *db, const records_plan_t *plan, bool *ret_have,
                                 mailbus_error_t *error)
{
    int64_t count = 0;
    mailbus_code_t code =
        mb_db_numbers(db,
                      "SELECT count(*) FROM outgoing_mails WHERE inbox = ? AND message_id = ?"
                      " AND part = ? AND event_id <> ? AND state <> 'refused'",
                      (mb_db_value_t[]){T(plan->inbox), T(plan->message_id), T(plan->key.part),
                                        T(plan->key.event_id)},
                      4, &count, 1, error);
    if (code == MAILBUS_OK) {
        *ret_have = count > 0;
    }
    return code;
}

/* Answers to a sender by either of its addresses since ?3; refused ones went nowhere. */
#define TO_SENDER                                                                                  \
    "SELECT count(*) FROM outgoing_mails WHERE kind = 'reply' AND state <> 'refused'"              \
    " AND (sender IN (?1, ?2) OR recipient IN (?1, ?2)) AND planned_ms > ?3"

/* Of one rule: the parts of one event are one answer. */
static mailbus_code_t count_same_rule(sqlite3 *db, const records_plan_t *plan,
                                      const quota_t *limits, int64_t *ret_count,
                                      mailbus_error_t *error)
{
    return mb_db_numbers(db, TO_SENDER " AND rule = ?4 AND event_id <> ?5",
                         (mb_db_value_t[]){T(plan->sender), T(plan->recipient),
                                           N(plan->now_ms - limits->again_after_ms), T(plan->rule),
                                           T(plan->key.event_id)},
                         5, ret_count, 1, error);
}

static mailbus_code_t count_day(sqlite3 *db, const records_plan_t *plan, int64_t *ret_count,
                                mailbus_error_t *error)
{
    return mb_db_numbers(db, TO_SENDER " AND NOT (event_id = ?4 AND part = ?5)",
                         (mb_db_value_t[]){T(plan->sender), T(plan->recipient),
                                           N(plan->now_ms - QUOTA_DAY_MS), T(plan->key.event_id),
                                           T(plan->key.part)},
                         5, ret_count, 1, error);
}

mailbus_code_t records_count(sqlite3 *db, const records_plan_t *plan, const quota_t *limits,
                             quota_counts_t *ret_counts, mailbus_error_t *error)
{
    quota_counts_t counts = {0};
    int64_t minute[2] = {0, 0};
    mailbus_code_t code = MAILBUS_OK;
    if (plan->kind == OUTGOING_REPLY) {
        code = count_same_rule(db, plan, limits, &counts.same_rule, error);
        if (code == MAILBUS_OK) {
            code = count_day(db, plan, &counts.sender_day, error);
        }
    }
    if (code == MAILBUS_OK) {
        code = mb_db_numbers(db,
                             "SELECT count(*), coalesce(min(planned_ms), 0) FROM outgoing_mails"
                             " WHERE planned_ms > ? AND NOT (event_id = ? AND part = ?)"
                             " AND state <> 'refused'",
                             (mb_db_value_t[]){N(plan->now_ms - QUOTA_MINUTE_MS),
                                               T(plan->key.event_id), T(plan->key.part)},
                             3, minute, 2, error);
    }
    if (code == MAILBUS_OK) {
        counts.minute = minute[0];
        counts.minute_oldest = minute[1];
        *ret_counts = counts;
    }
    return code;
}

mailbus_code_t records_plan(sqlite3 *db, const records_plan_t *plan, mailbus_error_t *error)
{
    return mb_db_change(
        db,
        "INSERT OR REPLACE INTO outgoing_mails (event_id, part, kind, inbox, message_id, rule,"
        " sender, recipient, request, state, planned_ms, unsure_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'planned', ?10, ?10)",
        (mb_db_value_t[]){T(plan->key.event_id), T(plan->key.part), T(kind_name(plan->kind)),
                          T(plan->inbox), T(plan->message_id), T(plan->rule), T(plan->sender),
                          T(plan->recipient), T(plan->request), N(plan->now_ms)},
        10, error);
}

mailbus_code_t records_unsure(sqlite3 *db, records_key_t key, int64_t unsure_ms,
                              mailbus_error_t *error)
{
    return mb_db_change(db,
                        "UPDATE outgoing_mails SET unsure_ms = ? WHERE event_id = ? AND part = ?",
                        (mb_db_value_t[]){N(unsure_ms), T(key.event_id), T(key.part)}, 3, error);
}

mailbus_code_t records_sent(sqlite3 *db, records_key_t key, const char *sent_id, int64_t now_ms,
                            mailbus_error_t *error)
{
    return mb_db_change(db,
                        "UPDATE outgoing_mails SET state = 'sent', sent_ms = ?, sent_id = ?"
                        " WHERE event_id = ? AND part = ?",
                        (mb_db_value_t[]){N(now_ms), T(sent_id), T(key.event_id), T(key.part)}, 4,
                        error);
}

mailbus_code_t records_refused(sqlite3 *db, records_key_t key, mailbus_error_t *error)
{
    return mb_db_change(
        db, "UPDATE outgoing_mails SET state = 'refused' WHERE event_id = ? AND part = ?",
        (mb_db_value_t[]){T(key.event_id), T(key.part)}, 2, error);
}

mailbus_code_t records_note(sqlite3 *db, const records_history_t *line, mailbus_error_t *error)
{
    const mb_db_value_t oldest[] = {N(line->now_ms - RECORDS_KEEP_MS)};
    mailbus_code_t code = mb_db_change(
        db,
        "INSERT INTO outgoing_history (time_ms, event_id, part, inbox, message_id, sender,"
        " recipient, subject, action, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (mb_db_value_t[]){N(line->now_ms), T(line->key.event_id), T(line->key.part), T(line->inbox),
                          T(line->message_id), T(line->sender), T(line->recipient),
                          T(line->subject), T(line->action), T(line->reason)},
        10, error);
    if (code == MAILBUS_OK) {
        code = mb_db_change(db, "DELETE FROM outgoing_history WHERE time_ms < ?", oldest, 1, error);
    }
    if (code == MAILBUS_OK) {
        code =
            mb_db_change(db, "DELETE FROM outgoing_mails WHERE planned_ms < ?", oldest, 1, error);
    }
    return code;
}
