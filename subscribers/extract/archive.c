#include "archive.h"

#include <stdlib.h>
#include <string.h>

#include "db_query.h"

/* Rows of one slice of house-keeping: it is done with each mail, and outruns what a mail adds. */
#define PRUNE_ROWS "100"
enum { PRUNE_TEXTS = 100 };

/* "remove_diacritics 2": muller finds Müller, also where the accent is a character of its own. */
const char archive_tables[] =
    "CREATE TABLE IF NOT EXISTS mails ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " event_id TEXT NOT NULL UNIQUE,"
    " inbox TEXT, message_id TEXT, sender TEXT, subject TEXT,"
    " attachments INTEGER NOT NULL, skipped INTEGER NOT NULL, beyond INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS mails_time ON mails (time_ms);"
    "CREATE TABLE IF NOT EXISTS files ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " event_id TEXT NOT NULL,"
    " place INTEGER NOT NULL,"
    " filename TEXT, claimed_type TEXT, claimed_size INTEGER,"
    " sha256 TEXT, size INTEGER NOT NULL,"
    " status TEXT, detail TEXT NOT NULL,"
    " tries INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL,"
    " UNIQUE (event_id, place)"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS files_sha256 ON files (sha256);"
    "CREATE INDEX IF NOT EXISTS files_status ON files (status);"
    "CREATE TABLE IF NOT EXISTS documents ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " sha256 TEXT NOT NULL UNIQUE,"
    " size INTEGER NOT NULL,"
    " status TEXT NOT NULL,"
    " type TEXT NOT NULL, engine TEXT NOT NULL, version TEXT NOT NULL,"
    " pages INTEGER NOT NULL,"
    " detail TEXT NOT NULL,"
    " setup TEXT NOT NULL,"
    " wall_ms INTEGER NOT NULL, cpu_ms INTEGER NOT NULL, peak_memory INTEGER NOT NULL,"
    " extracted_ms INTEGER NOT NULL,"
    " seen_ms INTEGER NOT NULL,"
    " text TEXT NOT NULL,"
    " text_size INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX IF NOT EXISTS documents_seen ON documents (seen_ms);"
    "CREATE TABLE IF NOT EXISTS effects ("
    " event_id TEXT NOT NULL,"
    " place INTEGER NOT NULL,"
    " effect TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " detail TEXT NOT NULL,"
    " time_ms INTEGER NOT NULL,"
    " PRIMARY KEY (event_id, place, effect)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS totals ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " documents INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL"
    ") STRICT;"
    "INSERT OR IGNORE INTO totals VALUES (1, 0, 0);"
    "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5("
    " text, content='documents', content_rowid='number', tokenize='unicode61 remove_diacritics 2');"
    "CREATE TRIGGER IF NOT EXISTS documents_in AFTER INSERT ON documents BEGIN"
    " INSERT INTO words (rowid, text) VALUES (new.number, new.text);"
    " UPDATE totals SET documents = documents + 1, bytes = bytes + new.text_size;"
    " END;"
    "CREATE TRIGGER IF NOT EXISTS documents_out AFTER DELETE ON documents BEGIN"
    " INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text);"
    " UPDATE totals SET documents = documents - 1, bytes = bytes - old.text_size;"
    " END;"
    "CREATE TRIGGER IF NOT EXISTS documents_again AFTER UPDATE OF text ON documents BEGIN"
    " INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text);"
    " INSERT INTO words (rowid, text) VALUES (new.number, new.text);"
    " UPDATE totals SET bytes = bytes - old.text_size + new.text_size;"
    " END;";

#define T             MB_TEXT_VALUE
#define N             MB_NUMBER_VALUE
#define COUNT(values) (sizeof(values) / sizeof((values)[0]))

static void copy(char *to, size_t size, const char *from)
{
    size_t length = from == NULL ? 0 : strnlen(from, size - 1);
    memcpy(to, from == NULL ? "" : from, length);
    to[length] = '\0';
}

/* EIO: a word that this program never writes. */
static mailbus_code_t read_status(const char *name, extract_status_t *ret_status,
                                  mailbus_error_t *error)
{
    for (int i = EXTRACT_OK; i <= EXTRACT_DOWNLOAD_FAILED; i++) {
        if (name != NULL && strcmp(extract_status_name((extract_status_t)i), name) == 0) {
            *ret_status = (extract_status_t)i;
            return MAILBUS_OK;
        }
    }
    return mailbus_fail(error, MAILBUS_EIO, "the state file holds a status that is none");
}

/* --- contents -----------------------------------------------------------------------------------
 */

void document_free(document_t *document)
{
    extraction_free(&document->extraction);
    *document = (document_t){.size = 0};
}

static mailbus_code_t read_document(sqlite3_stmt *row, document_t *document, mailbus_error_t *error)
{
    extraction_t *extraction = &document->extraction;
    document->size = sqlite3_column_int64(row, 0);
    copy(extraction->type, sizeof extraction->type, mb_db_text(row, 2));
    copy(extraction->engine, sizeof extraction->engine, mb_db_text(row, 3));
    copy(extraction->version, sizeof extraction->version, mb_db_text(row, 4));
    extraction->pages = sqlite3_column_int(row, 5);
    copy(extraction->detail, sizeof extraction->detail, mb_db_text(row, 6));
    copy(document->setup, sizeof document->setup, mb_db_text(row, 7));
    document->extracted_ms = sqlite3_column_int64(row, 8);
    const char *text = mb_db_text(row, 9);
    mailbus_buf_append(&extraction->text, text == NULL ? "" : text,
                       (size_t)sqlite3_column_bytes(row, 9));
    if (text == NULL || extraction->text.failed) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    return read_status(mb_db_text(row, 1), &extraction->status, error);
}

mailbus_code_t archive_find_document(sqlite3 *db, const char *sha256, document_t *ret_document,
                                     mailbus_error_t *error)
{
    static const char sql[] = "SELECT size, status, type, engine, version, pages, detail, setup,"
                              " extracted_ms, text FROM documents WHERE sha256 = ?";
    const mb_db_value_t values[] = {T(sha256)};
    document_t document = {.size = 0};
    sqlite3_stmt *row = NULL;
    mailbus_code_t code = mb_db_query(db, sql, values, COUNT(values), &row, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mb_db_next(row, &code, error)) {
        copy(document.sha256, sizeof document.sha256, sha256);
        code = read_document(row, &document, error);
    } else if (code == MAILBUS_OK) {
        code = MAILBUS_ENOTFOUND;
    }
    sqlite3_finalize(row);
    if (code == MAILBUS_OK) {
        *ret_document = document;
    } else {
        document_free(&document);
    }
    return code;
}

mailbus_code_t archive_put_document(sqlite3 *db, const document_t *document, mailbus_error_t *error)
{
    static const char sql[] =
        "INSERT INTO documents (sha256, size, status, type, engine, version, pages, detail, setup,"
        " wall_ms, cpu_ms, peak_memory, extracted_ms, seen_ms, text, text_size)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15)"
        " ON CONFLICT (sha256) DO UPDATE SET status = excluded.status, type = excluded.type,"
        " engine = excluded.engine, version = excluded.version, pages = excluded.pages,"
        " detail = excluded.detail, setup = excluded.setup, wall_ms = excluded.wall_ms,"
        " cpu_ms = excluded.cpu_ms, peak_memory = excluded.peak_memory,"
        " extracted_ms = excluded.extracted_ms, seen_ms = excluded.seen_ms, text = excluded.text,"
        " text_size = excluded.text_size";
    const extraction_t *extraction = &document->extraction;
    const char *text = extraction->text.data == NULL ? "" : extraction->text.data;
    const mb_db_value_t values[] = {
        T(document->sha256),
        N(document->size),
        T(extract_status_name(extraction->status)),
        T(extraction->type),
        T(extraction->engine),
        T(extraction->version),
        N(extraction->pages),
        T(extraction->detail),
        T(document->setup),
        N(extraction->wall_ms),
        N(extraction->cpu_ms),
        N(extraction->peak_memory),
        N(document->extracted_ms),
        T(text),
        N((int64_t)strlen(text)),
    };
    return mb_db_change(db, sql, values, COUNT(values), error);
}

mailbus_code_t archive_seen(sqlite3 *db, const char *sha256, int64_t now_ms, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {N(now_ms), T(sha256)};
    return mb_db_change(db, "UPDATE documents SET seen_ms = max(seen_ms, ?) WHERE sha256 = ?",
                        values, COUNT(values), error);
}

/* --- mails and files ----------------------------------------------------------------------------
 */

mailbus_code_t archive_put_mail(sqlite3 *db, const archive_mail_t *mail, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {
        T(mail->event_id), T(mail->inbox),   T(mail->message_id),
        T(mail->sender),   T(mail->subject), N(mail->attachments),
        N(mail->skipped),  N(mail->beyond),  N(mail->now_ms),
    };
    return mb_db_change(db,
                        "INSERT INTO mails (event_id, inbox, message_id, sender, subject,"
                        " attachments, skipped, beyond, time_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                        " ON CONFLICT DO NOTHING",
                        values, COUNT(values), error);
}

mailbus_code_t archive_find_file(sqlite3 *db, const char *event_id, int place,
                                 archive_file_t *ret_file, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {T(event_id), N(place)};
    archive_file_t file = {.ended = false};
    sqlite3_stmt *row = NULL;
    mailbus_code_t code = mb_db_query(db,
                                      "SELECT status, sha256, detail, size, tries, time_ms FROM"
                                      " files"
                                      " WHERE event_id = ? AND place = ?",
                                      values, COUNT(values), &row, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mb_db_next(row, &code, error)) {
        file.ended = mb_db_text(row, 0) != NULL;
        code = file.ended ? read_status(mb_db_text(row, 0), &file.status, error) : code;
        copy(file.sha256, sizeof file.sha256, mb_db_text(row, 1));
        copy(file.detail, sizeof file.detail, mb_db_text(row, 2));
        file.size = sqlite3_column_int64(row, 3);
        file.tries = sqlite3_column_int64(row, 4);
        file.time_ms = sqlite3_column_int64(row, 5);
    } else if (code == MAILBUS_OK) {
        code = MAILBUS_ENOTFOUND;
    }
    sqlite3_finalize(row);
    if (code == MAILBUS_OK) {
        *ret_file = file;
    }
    return code;
}

mailbus_code_t archive_put_file(sqlite3 *db, const char *event_id, int place,
                                const archive_claim_t *claim, const archive_file_t *file,
                                mailbus_error_t *error)
{
    static const char sql[] =
        "INSERT INTO files (event_id, place, filename, claimed_type, claimed_size, sha256, size,"
        " status, detail, tries, time_ms)"
        " VALUES (?1, ?2, ?3, ?4, nullif(?5, -1), nullif(?6, ''), ?7, ?8, ?9, ?10, ?11)"
        " ON CONFLICT (event_id, place) DO UPDATE SET sha256 = excluded.sha256,"
        " size = excluded.size, status = excluded.status, detail = excluded.detail,"
        " tries = excluded.tries, time_ms = excluded.time_ms";
    bool is_size = claim->size >= 0 && claim->size < 9e15; /* whole numbers end at 2^53 */
    const mb_db_value_t values[] = {
        T(event_id),
        N(place),
        T(claim->filename),
        T(claim->type),
        N(is_size ? (int64_t)claim->size : -1),
        T(file->sha256),
        N(file->size),
        T(file->ended ? extract_status_name(file->status) : NULL),
        T(file->detail),
        N(file->tries),
        N(file->time_ms),
    };
    return mb_db_change(db, sql, values, COUNT(values), error);
}

/* --- effects ------------------------------------------------------------------------------------
 */

static mailbus_code_t find_effect(sqlite3 *db, const char *event_id, int place, const char *effect,
                                  sqlite3_stmt **ret_row, mailbus_error_t *error)
{
    const mb_db_value_t values[] = {T(event_id), N(place), T(effect)};
    return mb_db_query(
        db, "SELECT state, detail FROM effects WHERE event_id = ? AND place = ? AND effect = ?",
        values, COUNT(values), ret_row, error);
}

mailbus_code_t archive_effect(sqlite3 *db, const char *event_id, int place, const char *effect,
                              char ret_state[ARCHIVE_STATE_SIZE], mailbus_error_t *error)
{
    sqlite3_stmt *row = NULL;
    mailbus_code_t code = find_effect(db, event_id, place, effect, &row, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    copy(ret_state, ARCHIVE_STATE_SIZE, mb_db_next(row, &code, error) ? mb_db_text(row, 0) : "");
    sqlite3_finalize(row);
    return code;
}

mailbus_code_t archive_effect_detail(sqlite3 *db, const char *event_id, int place,
                                     const char *effect, char **ret_detail, mailbus_error_t *error)
{
    sqlite3_stmt *row = NULL;
    mailbus_code_t code = find_effect(db, event_id, place, effect, &row, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (mb_db_next(row, &code, error)) {
        const char *text = mb_db_text(row, 1);
        *ret_detail = text == NULL ? NULL : strdup(text);
        code = *ret_detail == NULL ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : code;
    } else if (code == MAILBUS_OK) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "no such effect");
    }
    sqlite3_finalize(row);
    return code;
}

mailbus_code_t archive_put_effect(sqlite3 *db, const char *event_id, int place, const char *effect,
                                  const char *state, const char *detail, int64_t now_ms,
                                  mailbus_error_t *error)
{
    const mb_db_value_t values[] = {T(event_id), N(place),  T(effect),
                                    T(state),    T(detail), N(now_ms)};
    return mb_db_change(db, "INSERT OR REPLACE INTO effects VALUES (?, ?, ?, ?, ?, ?)", values,
                        COUNT(values), error);
}

/* --- keeping house ------------------------------------------------------------------------------
 */

/* A mail's rows go together, so that no file is left behind without its mail. */
static mailbus_code_t prune_mails(sqlite3 *db, int64_t before_ms, mailbus_error_t *error)
{
#define OLD_MAILS                                                                                  \
    " WHERE event_id IN (SELECT event_id FROM mails WHERE time_ms < ? ORDER BY time_ms, number"    \
    " LIMIT " PRUNE_ROWS ")"
    static const char *const statements[] = {
        "DELETE FROM effects" OLD_MAILS,
        "DELETE FROM files" OLD_MAILS,
        "DELETE FROM mails" OLD_MAILS,
    };
    const mb_db_value_t values[] = {N(before_ms)};
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; i < COUNT(statements) && code == MAILBUS_OK; i++) {
        code = mb_db_change(db, statements[i], values, COUNT(values), error);
    }
    return code;
}

/* The texts that were not seen for longest, until no more than `max_bytes` are left. */
static mailbus_code_t prune_bytes(sqlite3 *db, int64_t max_bytes, int64_t *count,
                                  mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int64_t bytes = 0;
    for (int i = 0; i < PRUNE_TEXTS && code == MAILBUS_OK; i++) {
        code = mb_db_integer(db, "SELECT bytes FROM totals", &bytes, error);
        if (code != MAILBUS_OK || bytes <= max_bytes) {
            break;
        }
        code = mb_db_exec(db,
                          "DELETE FROM documents WHERE number = (SELECT number FROM documents"
                          " WHERE text_size > 0 ORDER BY seen_ms, number LIMIT 1)",
                          error);
        *count += sqlite3_changes64(db) > 0;
    }
    return code;
}

mailbus_code_t archive_prune(sqlite3 *db, const archive_keep_t *keep, int64_t now_ms,
                             int64_t *ret_documents, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    int64_t count = 0;
    if (keep->keep_ms > 0) {
        const mb_db_value_t values[] = {N(now_ms - keep->keep_ms)};
        code = prune_mails(db, now_ms - keep->keep_ms, error);
        if (code == MAILBUS_OK) {
            code =
                mb_db_change(db,
                             "DELETE FROM documents WHERE number IN (SELECT number FROM"
                             " documents WHERE seen_ms < ? ORDER BY seen_ms LIMIT " PRUNE_ROWS ")",
                             values, COUNT(values), error);
            count = sqlite3_changes64(db);
        }
    }
    if (code == MAILBUS_OK && keep->max_bytes > 0) {
        code = prune_bytes(db, keep->max_bytes, &count, error);
    }
    if (code == MAILBUS_OK) {
        *ret_documents = count;
    }
    return code;
}
