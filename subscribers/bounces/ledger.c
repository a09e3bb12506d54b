#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_query.h"
#include "encoding.h"
#include "rates.h"

const char ledger_schema[] =
    "CREATE TABLE IF NOT EXISTS addresses ("
    " key TEXT PRIMARY KEY," /* agentmail_address_key */
    " shown TEXT NOT NULL,"  /* as the latest event spelled it */
    " sent INTEGER NOT NULL, delivered INTEGER NOT NULL,"
    " soft INTEGER NOT NULL, hard INTEGER NOT NULL, sender INTEGER NOT NULL,"
    " known INTEGER NOT NULL, notice INTEGER NOT NULL, rejected INTEGER NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " last_id TEXT NOT NULL,"        /* decides between events of one millisecond */
    " delivered_ms INTEGER NOT NULL" /* the latest; 0: never */
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS addresses_bounced ON addresses (key)"
    " WHERE soft + hard + sender + known > 0;"
    "CREATE TABLE IF NOT EXISTS history ("
    " key TEXT NOT NULL, event_id TEXT NOT NULL,"
    " kind TEXT NOT NULL, time_ms INTEGER NOT NULL,"
    " type TEXT, sub_type TEXT, status TEXT, inbox TEXT, message_id TEXT, reason TEXT,"
    " PRIMARY KEY (key, event_id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS history_kind ON history (key, kind, time_ms, event_id);"
    "CREATE TABLE IF NOT EXISTS settings ("
    " key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;" RATES_SCHEMA;

enum { INSERT, TRIM, KEPT, COUNT, STATEMENTS };

static const char *const SQL[STATEMENTS] = {
    [INSERT] = "INSERT INTO history (key, event_id, kind, time_ms, type, sub_type, status, inbox,"
               " message_id, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
               " ON CONFLICT DO NOTHING",
    /* The oldest beyond the newest ?3 of a kind. */
    [TRIM] = "DELETE FROM history WHERE key = ?1 AND event_id IN (SELECT event_id FROM history"
             " WHERE key = ?1 AND kind = ?2 ORDER BY time_ms DESC, event_id DESC LIMIT -1"
             " OFFSET ?3)",
    /* Whether ?5 rows of the kind are kept, all of them newer than this one. */
    [KEPT] = "SELECT count(*) >= ?5 AND min((time_ms, event_id) > (?3, ?4)) FROM history"
             " WHERE key = ?1 AND kind = ?2",
    /* One more of one kind. */
    [COUNT] =
        "INSERT INTO addresses (key, shown, sent, delivered, soft, hard, sender, known, notice,"
        " rejected, first_ms, last_ms, last_id, delivered_ms) VALUES (?1, ?2, ?3 = 'sent',"
        " ?3 = 'delivered', ?3 = 'soft', ?3 = 'hard', ?3 = 'sender', ?3 = 'known', ?3 = 'notice',"
        " ?3 = 'rejected', ?4, ?4, ?5, iif(?3 = 'delivered', ?4, 0))"
        " ON CONFLICT (key) DO UPDATE SET sent = sent + excluded.sent,"
        " delivered = delivered + excluded.delivered, soft = soft + excluded.soft,"
        " hard = hard + excluded.hard, sender = sender + excluded.sender,"
        " known = known + excluded.known, notice = notice + excluded.notice,"
        " rejected = rejected + excluded.rejected, first_ms = min(first_ms, excluded.first_ms),"
        " shown = iif((excluded.last_ms, excluded.last_id) > (last_ms, last_id), excluded.shown,"
        " shown),"
        " last_id = iif((excluded.last_ms, excluded.last_id) > (last_ms, last_id),"
        " excluded.last_id, last_id),"
        " last_ms = max(last_ms, excluded.last_ms),"
        " delivered_ms = max(delivered_ms, excluded.delivered_ms)",
};

struct ledger_writer {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

void ledger_writer_destroy(ledger_writer_t **self_p)
{
    ledger_writer_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(self->statements[i]);
    }
    free(self);
}

mailbus_code_t ledger_writer_new(sqlite3 *db, ledger_writer_t **ret_self, mailbus_error_t *error)
{
    ledger_writer_t *self = calloc(1, sizeof *self);
    mailbus_code_t code =
        self != NULL ? MAILBUS_OK : mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    for (int i = 0; i < STATEMENTS && code == MAILBUS_OK; i++) {
        code = mb_db_prepare(db, SQL[i], &self->statements[i], error);
    }
    if (code != MAILBUS_OK) {
        ledger_writer_destroy(&self);
        return code;
    }
    self->db = db;
    *ret_self = self;
    return MAILBUS_OK;
}

static void bind_text(sqlite3_stmt *stmt, int number, const char *text)
{
    sqlite3_bind_text(stmt, number, text, -1, SQLITE_STATIC);
}

/* One more line; *ret_new is false where the history has it. */
static mailbus_code_t insert(const ledger_writer_t *self, const ledger_row_t *row, bool *ret_new,
                             mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[INSERT];
    const char *const texts[] = {row->type,  row->sub_type,   row->status,
                                 row->inbox, row->message_id, row->reason};
    bind_text(stmt, 1, row->key);
    bind_text(stmt, 2, row->event_id);
    bind_text(stmt, 3, fact_name(row->kind));
    sqlite3_bind_int64(stmt, 4, row->time_ms);
    for (int i = 0; i < 6; i++) {
        bind_text(stmt, i + 5, texts[i]);
    }
    mailbus_code_t code = mb_db_run(stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    *ret_new = sqlite3_changes64(self->db) > 0;
    stmt = self->statements[TRIM];
    bind_text(stmt, 1, row->key);
    bind_text(stmt, 2, fact_name(row->kind));
    sqlite3_bind_int64(stmt, 3, LEDGER_ROWS);
    return mb_db_run(stmt, error);
}

static mailbus_code_t count(const ledger_writer_t *self, const char *key, const char *shown,
                            fact_kind_t kind, int64_t time_ms, const char *event_id,
                            mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[COUNT];
    bind_text(stmt, 1, key);
    bind_text(stmt, 2, shown);
    bind_text(stmt, 3, fact_name(kind));
    sqlite3_bind_int64(stmt, 4, time_ms);
    bind_text(stmt, 5, event_id);
    return mb_db_run(stmt, error);
}

static void sum(fact_kind_t kind, rates_counts_t *counts)
{
    counts->sent += kind == FACT_SENT;
    counts->delivered += kind == FACT_DELIVERED;
    counts->bounced += kind == FACT_HARD || kind == FACT_SOFT || kind == FACT_SENDER;
    counts->hard += kind == FACT_HARD;
}

static mailbus_code_t add_entry(const ledger_writer_t *writer, const report_t *report,
                                const report_entry_t *entry, rates_counts_t *counts,
                                mailbus_error_t *error)
{
    bool is_new = true;
    mailbus_code_t code = MAILBUS_OK;
    if (entry->kind != FACT_SENT && entry->kind != FACT_DELIVERED) {
        const ledger_row_t row = {
            .key = entry->key,
            .event_id = report->event_id,
            .kind = entry->kind,
            .time_ms = report->time_ms,
            .type = report->type,
            .sub_type = report->sub_type,
            .status = entry->status,
            .inbox = report->inbox,
            .message_id = report->message_id,
            .reason = report->reason,
        };
        code = insert(writer, &row, &is_new, error);
    }
    if (code == MAILBUS_OK && is_new) {
        sum(entry->kind, counts);
        code = count(writer, entry->key, entry->shown, entry->kind, report->time_ms,
                     report->event_id, error);
    }
    return code;
}

mailbus_code_t ledger_add(sqlite3 *db, const report_t *report, int64_t now_ms,
                          mailbus_error_t *error)
{
    ledger_writer_t *writer = NULL;
    rates_counts_t counts = {.rejected = report->what == AGENTMAIL_REJECTED};
    mailbus_code_t code = ledger_writer_new(db, &writer, error);
    for (size_t i = 0; i < report->count && code == MAILBUS_OK; i++) {
        code = add_entry(writer, report, &report->entries[i], &counts, error);
    }
    ledger_writer_destroy(&writer);
    return code != MAILBUS_OK
               ? code
               : rates_add(db, report->inbox, report->time_ms, &counts, now_ms, error);
}

/* *ret_found: the query gives a row whose first column is true. */
static mailbus_code_t ask(sqlite3_stmt *stmt, bool *ret_found, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW || step == SQLITE_DONE) {
        *ret_found = step == SQLITE_ROW && sqlite3_column_int(stmt, 0) != 0;
    } else {
        code = mb_db_fail(sqlite3_db_handle(stmt), error, "reading the addresses");
    }
    sqlite3_reset(stmt);
    return code;
}

mailbus_code_t ledger_clear(sqlite3 *db, const char *key, const char *reason, int64_t now_ms,
                            mailbus_error_t *error)
{
    ledger_writer_t *writer = NULL;
    bool is_new = false;
    char uuid[37];
    char id[sizeof uuid + 6];
    int64_t last_ms = 0;
    mailbus_code_t code =
        mb_db_numbers(db, "SELECT last_ms FROM addresses WHERE key = ?",
                      (mb_db_value_t[]){MB_TEXT_VALUE(key)}, 1, &last_ms, 1, error);
    if (code == MAILBUS_ENOTFOUND) {
        code = mailbus_fail(error, code, "nothing is known about %.200s", key);
    }
    if (code == MAILBUS_OK && mb_uuid(uuid) != MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_EIO, "no random bytes from the system");
    }
    if (code == MAILBUS_OK) {
        code = ledger_writer_new(db, &writer, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    snprintf(id, sizeof id, "clear-%s", uuid);
    const ledger_row_t row = {.key = key,
                              .event_id = id,
                              .kind = FACT_CLEARED,
                              /* It holds for all that is known, whatever the clocks say. */
                              .time_ms = now_ms > last_ms ? now_ms : last_ms,
                              .reason = reason};
    code = insert(writer, &row, &is_new, error);
    ledger_writer_destroy(&writer);
    return code;
}

mailbus_code_t ledger_carry_row(ledger_writer_t *self, const ledger_row_t *row,
                                mailbus_error_t *error)
{
    bool passed = false;
    bool is_new = false;
    sqlite3_stmt *kept = self->statements[KEPT];
    bind_text(kept, 1, row->key);
    bind_text(kept, 2, fact_name(row->kind));
    sqlite3_bind_int64(kept, 3, row->time_ms);
    bind_text(kept, 4, row->event_id);
    sqlite3_bind_int64(kept, 5, LEDGER_ROWS);
    mailbus_code_t code = ask(kept, &passed, error);
    if (code == MAILBUS_OK && !passed) {
        code = insert(self, row, &is_new, error);
    }
    if (code == MAILBUS_OK && is_new && row->kind != FACT_CLEARED) {
        /* The spelling is the latest event's, and that has been carried over. */
        code = count(self, row->key, row->key, row->kind, row->time_ms, row->event_id, error);
    }
    return code;
}
