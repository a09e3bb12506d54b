/* Is the file sound after an unclean stop? Owner: the opener, before the journal's thread runs.
 *
 * A crash or power cut leaves nothing for us to repair: SQLite plays its log back. What is looked
 * for here is a disk that did not keep what it had synced, or a stop after a failed write. A whole
 * quick_check reads the whole file, 20 GB for ten million events; so files up to CHECK_WHOLE_SIZE
 * get that (0.1 s), and every file the part that was written last: the newest events, their
 * bodies against their digests, their numbers against the heads (0.1 s at most). */
#include <string.h>

#include "encoding.h"
#include "journal_sqlite.h"

#define CHECK_WHOLE_SIZE (64ll * 1024 * 1024)
#define CHECK_EVENTS     2000
#define CHECK_BYTES      (32ll * 1024 * 1024)

static mailbus_code_t check_whole(journal_sqlite_t *self, mailbus_error_t *error)
{
    int64_t pages = 0;
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = journal_sqlite_integer(self, JS_PAGES, 0, &pages, error);
    if (code != MAILBUS_OK || pages * JOURNAL_PAGE_SIZE > CHECK_WHOLE_SIZE) {
        return code;
    }
    code = mb_db_prepare(self->db, "PRAGMA quick_check(1)", &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        code = journal_sqlite_fail(self, error, "checking the journal");
    } else {
        const char *verdict = (const char *)sqlite3_column_text(stmt, 0);
        if (verdict == NULL || strcmp(verdict, "ok") != 0) {
            code = journal_sqlite_damaged(self, verdict != NULL ? verdict : "no verdict", error);
        }
    }
    sqlite3_finalize(stmt);
    return code;
}

/* One row from the end backwards: its number, and its body where there should be one. */
static bool event_sound(sqlite3_stmt *stmt, uint64_t expected, uint64_t oldest_body)
{
    if ((uint64_t)sqlite3_column_int64(stmt, 0) != expected) {
        return false;
    }
    if (expected < oldest_body) {
        return true;
    }
    uint8_t digest[MB_SHA256_SIZE];
    if (sqlite3_column_type(stmt, 2) != SQLITE_BLOB ||
        sqlite3_column_bytes(stmt, 1) != MB_SHA256_SIZE) {
        return false;
    }
    const void *body = sqlite3_column_blob(stmt, 2);
    mb_sha256(body, (size_t)sqlite3_column_bytes(stmt, 2), digest);
    return memcmp(digest, sqlite3_column_blob(stmt, 1), sizeof digest) == 0;
}

static mailbus_code_t check_tail(journal_sqlite_t *self, mailbus_error_t *error)
{
    int64_t oldest_body = 0;
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code =
        journal_sqlite_integer(self, JS_OLDEST_BODY, (int64_t)self->head + 1, &oldest_body, error);
    if (code == MAILBUS_OK) {
        code = mb_db_prepare(self->db,
                             "SELECT e.sequence, e.sha256, b.body FROM events AS e"
                             " LEFT JOIN bodies AS b USING(sequence) ORDER BY e.sequence DESC",
                             &stmt, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    uint64_t expected = self->head;
    int64_t bytes = 0;
    int step = SQLITE_DONE;
    for (int i = 0; i < CHECK_EVENTS && bytes < CHECK_BYTES && code == MAILBUS_OK; i++) {
        step = sqlite3_step(stmt);
        if (step != SQLITE_ROW) {
            break;
        }
        if (!event_sound(stmt, expected, (uint64_t)oldest_body)) {
            code = journal_sqlite_damaged(self, "its newest events", error);
        }
        bytes += sqlite3_column_bytes(stmt, 2);
        expected--;
    }
    if (code == MAILBUS_OK && step != SQLITE_ROW && step != SQLITE_DONE) {
        code = journal_sqlite_fail(self, error, "checking the journal");
    }
    sqlite3_finalize(stmt);
    return code;
}

mailbus_code_t journal_sqlite_check(journal_sqlite_t *self, mailbus_error_t *error)
{
    mb_log(self->log, MB_INFO, "journal", "the last stop was not clean: checking",
           MB_S("path", self->path), MB_U("sequence", self->head));
    const mailbus_code_t code = check_whole(self, error);
    return code == MAILBUS_OK ? check_tail(self, error) : code;
}
