/* Owner: the journal's thread. */
#include <string.h>

#include "journal_sqlite.h"

#define APPLICATION_ID 0x4d424a31 /* "MBJ1": tells a journal from a subscriber's state file */

/* `topics` keeps every head for ever: the largest is the journal's, so no number is used twice,
 * whatever is pruned. `events` and `bodies` only ever grow at their end and shrink at their
 * beginning, which is what a B-tree does fastest; bodies go first. `ids` is the dedup index of what
 * has settled (journal_sqlite_ids.c). */
static const char *const steps[] = {
    "PRAGMA application_id = 1296190001;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    "  head INTEGER NOT NULL) STRICT;"
    "CREATE TABLE events(sequence INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
    "  previous INTEGER NOT NULL, recorded INTEGER NOT NULL, size INTEGER NOT NULL,"
    "  event_id TEXT NOT NULL, webhook_id TEXT, source TEXT NOT NULL, subject TEXT, time TEXT,"
    "  sha256 BLOB NOT NULL) STRICT;"
    "CREATE TABLE bodies(sequence INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;"
    "CREATE TABLE ids(key INTEGER PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;"
    "CREATE TABLE quarantine(id INTEGER PRIMARY KEY, recorded INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, webhook_id TEXT, size INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
    "INSERT INTO meta(name, value) VALUES('salt', randomblob(16)), ('clean', 1),"
    "  ('ids_settled', 0);",
};

static const char *const sql[JS_COUNT] = {
    [JS_BEGIN] = "BEGIN IMMEDIATE",
    [JS_COMMIT] = "COMMIT",
    [JS_ROLLBACK] = "ROLLBACK",
    [JS_EVENT_ADD] = "INSERT INTO events(sequence, topic, previous, recorded, size, event_id,"
                     " webhook_id, source, subject, time, sha256)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [JS_BODY_ADD] = "INSERT INTO bodies(sequence, body) VALUES(?1, ?2)",
    [JS_TOPIC_SET] = "INSERT INTO topics(id, name, head) VALUES(?1, ?2, ?3)"
                     " ON CONFLICT(id) DO UPDATE SET head = excluded.head",
    [JS_META_SET] = "INSERT INTO meta(name, value) VALUES(?1, ?2)"
                    " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
    [JS_ID_FIND] = "SELECT sequence FROM ids WHERE key = ?1",
    [JS_ID_SET] = "INSERT OR REPLACE INTO ids(key, sequence) VALUES(?1, ?2)",
    [JS_COPY_FIND] = "SELECT event_id, sha256 FROM events WHERE sequence = ?1",
    [JS_OLDEST_BODY] = "SELECT min(sequence) FROM bodies",
    [JS_OLDEST_EVENT] = "SELECT min(sequence) FROM events",
    [JS_PRUNE_LOOK] = "SELECT sequence, recorded, size FROM events WHERE sequence >= ?1"
                      " ORDER BY sequence LIMIT ?2",
    [JS_BODIES_DELETE] = "DELETE FROM bodies WHERE sequence <= ?1",
    [JS_EVENTS_DELETE] = "DELETE FROM events WHERE sequence <= ?1",
    [JS_SWEEP_LOOK] = "SELECT max(key) FROM"
                      " (SELECT key FROM ids WHERE key >= ?1 ORDER BY key LIMIT ?2)",
    [JS_SWEEP_DELETE] = "DELETE FROM ids WHERE key BETWEEN ?1 AND ?2 AND sequence < ?3",
    [JS_VACUUM] = "PRAGMA incremental_vacuum(64)",
    [JS_PAGES] = "PRAGMA page_count",
    [JS_PAGES_FREE] = "PRAGMA freelist_count",
    [JS_REJECT_ADD] = "INSERT INTO quarantine(id, recorded, reason, webhook_id, size, body)"
                      " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [JS_REJECT_LOOK] = "SELECT id, size FROM quarantine ORDER BY id DESC",
    [JS_REJECT_DELETE] = "DELETE FROM quarantine WHERE id <= ?1",
};

mailbus_code_t journal_sqlite_migrate(sqlite3 *db, const char *path, mailbus_error_t *error)
{
    int64_t tables = 0;
    int64_t application = 0;
    mailbus_code_t code = mb_db_integer(db, "SELECT count(*) FROM sqlite_master", &tables, error);
    if (code == MAILBUS_OK) {
        code = mb_db_integer(db, "PRAGMA application_id", &application, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    if (tables > 0 && application != APPLICATION_ID) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "%s is a database of another kind: set journal.path to a file that "
                            "only the gateway uses",
                            path);
    }
    return mb_db_migrate(db, steps, sizeof steps / sizeof steps[0], error);
}

mailbus_code_t journal_sqlite_prepare(journal_sqlite_t *self, mailbus_error_t *error)
{
    for (int i = 0; i < JS_COUNT; i++) {
        const mailbus_code_t code = mb_db_prepare(self->db, sql[i], &self->statements[i], error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    return MAILBUS_OK;
}

mailbus_code_t journal_sqlite_fail(journal_sqlite_t *self, mailbus_error_t *error,
                                   const char *doing)
{
    const int extended = sqlite3_extended_errcode(self->db);
    mailbus_code_t code = mb_db_fail(self->db, error, doing);
    if (extended == SQLITE_IOERR_SHMSIZE) {
        code = MAILBUS_EFULL;
    } else if (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC) {
        code = MAILBUS_EIO; /* whatever errno says: pages may be gone */
    }
    if (error != NULL) {
        error->code = code;
    }
    return code;
}

mailbus_code_t journal_sqlite_damaged(const journal_sqlite_t *self, const char *what,
                                      mailbus_error_t *error)
{
    return mailbus_fail(error, MAILBUS_EINVAL,
                        "%.100s is damaged (%.60s): put it and its -wal aside, then start with a "
                        "backup, or without, which begins a new stream",
                        self->path, what);
}

mailbus_code_t journal_sqlite_run(journal_sqlite_t *self, journal_statement_t statement,
                                  const char *doing, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[statement];
    int step = SQLITE_ROW;
    while (step == SQLITE_ROW) { /* PRAGMA incremental_vacuum gives a row for each page */
        step = sqlite3_step(stmt);
    }
    const mailbus_code_t code =
        step == SQLITE_DONE ? MAILBUS_OK : journal_sqlite_fail(self, error, doing);
    sqlite3_reset(stmt);
    return code;
}

mailbus_code_t journal_sqlite_integer(journal_sqlite_t *self, journal_statement_t statement,
                                      int64_t none, int64_t *ret_value, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[statement];
    mailbus_code_t code = MAILBUS_OK;
    const int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL) {
        *ret_value = sqlite3_column_int64(stmt, 0);
    } else if (step == SQLITE_ROW || step == SQLITE_DONE) {
        *ret_value = none;
    } else {
        code = journal_sqlite_fail(self, error, "reading the journal");
    }
    sqlite3_reset(stmt);
    return code;
}

mailbus_code_t journal_sqlite_meta_set(journal_sqlite_t *self, const char *name, int64_t value,
                                       mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[JS_META_SET];
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, value);
    return journal_sqlite_run(self, JS_META_SET, "writing the journal", error);
}
