/* The SQLite store: opening, closing, transactions, adding. Owner: the journal's thread, which also
 * is the only one that checkpoints (PITFALLS of 3.40: two connections that write or checkpoint at
 * once can corrupt the file). */
#include "journal_sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "encoding.h"

/* Pages in the log before a checkpoint: 32 MiB. More would put fewer page writes into the file for
 * the same events, but opening after a crash reads all of it. */
#define CHECKPOINT_PAGES 2048
/* Where readers kept checkpoints from finishing until the log is so long, wait for them. Their
 * transactions are short (JOURNAL_READ_ROWS). */
#define CHECKPOINT_FORCE_PAGES (4 * CHECKPOINT_PAGES)
#define CHECKPOINT_WAIT_MS     200
#define CACHE_BYTES            (32ll * 1024 * 1024)
/* The log's file is cut to this when it starts anew: above CHECKPOINT_PAGES, so that it is usually
 * written over, which needs no new blocks at each sync. */
#define LOG_LIMIT (48ll * 1024 * 1024)

/* ---- opening --------------------------------------------------------------------------------- */

/* Called by SQLite after each commit; an own hook also switches its automatic checkpoints off,
 * which would not tell of an error. */
static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((journal_sqlite_t *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

static mailbus_code_t reserve_heads(journal_sqlite_t *self, size_t count, mailbus_error_t *error)
{
    if (count <= self->written_capacity) {
        return MAILBUS_OK;
    }
    const size_t capacity = count * 2;
    void *heads = realloc(self->written_heads, capacity * sizeof *self->written_heads);
    if (heads == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->written_heads = heads;
    self->written_capacity = capacity;
    return MAILBUS_OK;
}

static mailbus_code_t load_topic(journal_sqlite_t *self, sqlite3_stmt *stmt, journal_heads_t *heads,
                                 mailbus_error_t *error)
{
    const char *name = (const char *)sqlite3_column_text(stmt, 1);
    const int64_t head = sqlite3_column_int64(stmt, 2);
    if (sqlite3_column_int64(stmt, 0) != (int64_t)self->written_count || head <= 0 ||
        name == NULL ||
        mailbus_topic_check(name, (size_t)sqlite3_column_bytes(stmt, 1), NULL) != MAILBUS_OK) {
        return journal_sqlite_damaged(self, "its topics", error);
    }
    mailbus_code_t code = reserve_heads(self, self->written_count + 1, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = journal_heads_load(heads, name, (uint64_t)head);
    if (code == MAILBUS_ENOMEM) {
        return mailbus_fail(error, code, "out of memory");
    }
    if (code != MAILBUS_OK) {
        return journal_sqlite_damaged(self, "its topics", error);
    }
    self->written_heads[self->written_count++] = (uint64_t)head;
    return MAILBUS_OK;
}

static mailbus_code_t load_topics(journal_sqlite_t *self, journal_heads_t *heads,
                                  mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code =
        mb_db_prepare(self->db, "SELECT id, name, head FROM topics ORDER BY id", &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    int step = SQLITE_ROW;
    while (code == MAILBUS_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        code = load_topic(self, stmt, heads, error);
    }
    if (code == MAILBUS_OK && step != SQLITE_DONE) {
        code = journal_sqlite_fail(self, error, "reading the topics");
    }
    sqlite3_finalize(stmt);
    self->head = journal_heads_view(heads)->sequence;
    return code;
}

/* The stream's id: made once, with the file. */
static mailbus_code_t make_stream(journal_sqlite_t *self, mailbus_error_t *error)
{
    char uuid[MAILBUS_UUID_SIZE];
    sqlite3_stmt *stmt = NULL;
    if (mb_uuid(uuid) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EIO, "the system has no random bytes");
    }
    mailbus_code_t code = mb_db_prepare(
        self->db, "INSERT INTO meta(name, value) VALUES('stream', ?1) ON CONFLICT DO NOTHING",
        &stmt, error);
    if (code == MAILBUS_OK) {
        sqlite3_bind_text(stmt, 1, uuid, -1, SQLITE_STATIC);
        code = mb_db_run(stmt, error);
    }
    sqlite3_finalize(stmt);
    return code;
}

/* Stream, salt, and the newest recorded time. */
static mailbus_code_t load_identity(journal_sqlite_t *self, journal_found_t *found,
                                    mailbus_error_t *error)
{
    mailbus_code_t code = make_stream(self, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_stmt *stmt = NULL;
    code = mb_db_prepare(self->db,
                         "SELECT (SELECT value FROM meta WHERE name = 'stream'),"
                         " (SELECT value FROM meta WHERE name = 'salt'),"
                         " (SELECT recorded FROM events ORDER BY sequence DESC LIMIT 1)",
                         &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        code = journal_sqlite_fail(self, error, "reading the journal");
    } else if (sqlite3_column_bytes(stmt, 0) != MAILBUS_UUID_SIZE - 1 ||
               sqlite3_column_bytes(stmt, 1) != JOURNAL_SALT_SIZE) {
        code = journal_sqlite_damaged(self, "its identity", error);
    } else {
        memcpy(found->stream, sqlite3_column_text(stmt, 0), MAILBUS_UUID_SIZE);
        memcpy(self->salt, sqlite3_column_blob(stmt, 1), JOURNAL_SALT_SIZE);
        found->recorded_ms = sqlite3_column_int64(stmt, 2);
    }
    sqlite3_finalize(stmt);
    return code;
}

/* From here on a stop is unclean until close says otherwise. */
static mailbus_code_t load(journal_sqlite_t *self, journal_heads_t *heads, journal_found_t *found,
                           mailbus_error_t *error)
{
    int64_t clean = 0;
    mailbus_code_t code = journal_sqlite_prepare(self, error);
    if (code == MAILBUS_OK) {
        code = load_topics(self, heads, error);
    }
    if (code == MAILBUS_OK) {
        code = load_identity(self, found, error);
    }
    if (code == MAILBUS_OK) {
        code = journal_sqlite_oldest_event(self, error);
    }
    if (code == MAILBUS_OK) {
        code =
            mb_db_integer(self->db, "SELECT value FROM meta WHERE name = 'clean'", &clean, error);
    }
    if (code == MAILBUS_OK && clean != 1) {
        code = journal_sqlite_check(self, error);
    }
    if (code == MAILBUS_OK) {
        code = journal_sqlite_ids_open(self, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_integer(self->db, "SELECT ifnull(max(id), 0) FROM quarantine",
                             &self->last_reject, error);
    }
    if (code == MAILBUS_OK) {
        code = journal_sqlite_meta_set(self, "clean", 0, error);
    }
    return code;
}

/* The connection is gone when its opening failed; only SQLite's words are left to tell a bad file
 * from a bad disk. */
static bool is_damage(const char *text)
{
    return strstr(text, sqlite3_errstr(SQLITE_NOTADB)) != NULL ||
           strstr(text, sqlite3_errstr(SQLITE_CORRUPT)) != NULL;
}

static mailbus_code_t open_file(journal_sqlite_t *self, const journal_options_t *options,
                                mailbus_error_t *error)
{
    const mb_db_options_t db_options = {
        .page_size = JOURNAL_PAGE_SIZE,
        .cache_bytes = CACHE_BYTES,
        .journal_limit = LOG_LIMIT,
        .incremental_vacuum = true,
        .vfs = self->vfs,
        .synchronous_off = options->synchronous_off,
    };
    const char *warning = NULL;
    mailbus_error_t cause = {0};
    mailbus_code_t code =
        mb_db_open_writer(self->path, &db_options, &self->db, &self->lock, &warning, &cause);
    if (code != MAILBUS_OK) {
        return is_damage(cause.text) ? journal_sqlite_damaged(self, "not a database", error)
                                     : mailbus_fail(error, code, "%s", cause.text);
    }
    if (warning != NULL) {
        mb_log(self->log, MB_WARN, "journal", warning, MB_S("path", self->path));
    }
    sqlite3_wal_hook(self->db, on_wal, self);
    /* Closing must not move pages that a failed sync left in doubt; a clean close does it itself.
     */
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    code = mb_db_exec(self->db, "PRAGMA secure_delete=OFF", error);
    return code == MAILBUS_OK ? journal_sqlite_migrate(self->db, self->path, error) : code;
}

static void close_store(void **self_p, bool trusted);

static mailbus_code_t open_store(const journal_options_t *options, mb_log_t *log,
                                 journal_heads_t *heads, journal_found_t *ret_found,
                                 void **ret_self, mailbus_error_t *error)
{
    journal_sqlite_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->log = log;
    self->checkpoint_at = CHECKPOINT_PAGES;
    self->path = strdup(options->path);
    self->vfs = options->vfs != NULL ? strdup(options->vfs) : NULL;
    mailbus_code_t code = MAILBUS_OK;
    if (self->path == NULL || (options->vfs != NULL && self->vfs == NULL)) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    if (code == MAILBUS_OK) {
        code = open_file(self, options, error);
    }
    journal_found_t found = {0};
    if (code == MAILBUS_OK) {
        code = load(self, heads, &found, error);
    }
    if (code != MAILBUS_OK) {
        const int sqlite = self->db != NULL ? sqlite3_errcode(self->db) : SQLITE_OK;
        if (sqlite == SQLITE_CORRUPT || sqlite == SQLITE_NOTADB) {
            code = journal_sqlite_damaged(self, sqlite3_errstr(sqlite), error);
        }
        void *store = self;
        close_store(&store, false);
        return code;
    }
    *ret_found = found;
    *ret_self = self;
    return MAILBUS_OK;
}

/* Everything in the file itself, the log empty, and the mark that says so. Where that fails the
 * next opening finds an unclean stop, and the log as it is: nothing is lost. */
static void close_cleanly(journal_sqlite_t *self)
{
    mailbus_error_t error = {0};
    mailbus_code_t code = journal_sqlite_meta_set(self, "clean", 1, &error);
    sqlite3_busy_timeout(self->db, CHECKPOINT_WAIT_MS);
    if (code == MAILBUS_OK && sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                                        NULL, NULL) != SQLITE_OK) {
        code = journal_sqlite_fail(self, &error, "the last checkpoint");
    }
    if (code != MAILBUS_OK && code != MAILBUS_EAGAIN) {
        mb_log(self->log, MB_WARN, "journal", "not closed cleanly", MB_S("reason", error.text));
    }
}

static void close_store(void **self_p, bool trusted)
{
    journal_sqlite_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (trusted && self->db != NULL) {
        close_cleanly(self);
    }
    mb_db_close(&self->db);
    mb_db_unlock(&self->lock);
    journal_sqlite_ids_close(self);
    free(self->written_heads);
    free(self->path);
    free(self->vfs);
    free(self);
}

/* ---- a transaction --------------------------------------------------------------------------- */

static mailbus_code_t begin(void *arg, journal_heads_t *heads, mailbus_error_t *error)
{
    (void)heads; /* nobody else writes: they are up to date */
    journal_sqlite_t *self = arg;
    self->keyed =
        NULL; /* an event of the last transaction may be gone, and its address used again */
    journal_sqlite_ids_begin(self);
    return journal_sqlite_run(self, JS_BEGIN, "beginning a transaction", error);
}

/* A digest takes a microsecond: once for each event, not once to look and once to add. */
static uint64_t key_of(journal_sqlite_t *self, const event_t *event)
{
    if (self->keyed != event) {
        self->key = journal_ids_key(self->salt, event->id);
        self->keyed = event;
    }
    return self->key;
}

static mailbus_code_t find(void *arg, const event_t *event, journal_copy_t *ret_copy,
                           mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    uint64_t sequence = 0;
    mailbus_code_t code = journal_sqlite_ids_find(self, key_of(self, event), &sequence, error);
    if (code != MAILBUS_OK || sequence == 0) {
        return code;
    }
    sqlite3_stmt *stmt = self->statements[JS_COPY_FIND];
    sqlite3_bind_int64(stmt, 1, (int64_t)sequence);
    const int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW) {
        const char *id = (const char *)sqlite3_column_text(stmt, 0);
        const void *sha256 = sqlite3_column_blob(stmt, 1);
        if (id != NULL && strcmp(id, event->id) == 0) {
            ret_copy->sequence = sequence;
            ret_copy->body_differs = sqlite3_column_bytes(stmt, 1) != MB_SHA256_SIZE ||
                                     memcmp(sha256, event->sha256, MB_SHA256_SIZE) != 0;
        }
    } else if (step != SQLITE_DONE) {
        code = journal_sqlite_fail(self, error, "looking for an earlier copy");
    }
    sqlite3_reset(stmt);
    return code;
}

static mailbus_code_t append(void *arg, event_t *event, size_t topic, mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    const int64_t sequence = (int64_t)event->sequence;
    sqlite3_stmt *stmt = self->statements[JS_EVENT_ADD];
    sqlite3_bind_int64(stmt, 1, sequence);
    sqlite3_bind_int64(stmt, 2, (int64_t)topic);
    sqlite3_bind_int64(stmt, 3, (int64_t)event->previous);
    sqlite3_bind_int64(stmt, 4, event->recorded_ms);
    sqlite3_bind_int64(stmt, 5, (int64_t)event->body_size);
    sqlite3_bind_text(stmt, 6, event->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 7, event->webhook_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 8, event->source, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 9, event->subject, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 10, event->time, -1, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 11, event->sha256, MB_SHA256_SIZE, SQLITE_STATIC);
    mailbus_code_t code = journal_sqlite_run(self, JS_EVENT_ADD, "adding an event", error);
    if (code != MAILBUS_OK) {
        return code;
    }
    stmt = self->statements[JS_BODY_ADD];
    sqlite3_bind_int64(stmt, 1, sequence);
    sqlite3_bind_blob64(stmt, 2, event->body_size > 0 ? event->body : "", event->body_size,
                        SQLITE_STATIC);
    code = journal_sqlite_run(self, JS_BODY_ADD, "adding a body", error);
    if (code != MAILBUS_OK) {
        return code;
    }
    return journal_sqlite_ids_add(self, key_of(self, event), event->sequence, error);
}

static mailbus_code_t write_heads(journal_sqlite_t *self, const mailbus_heads_t *heads,
                                  mailbus_error_t *error)
{
    mailbus_code_t code = reserve_heads(self, heads->count, error);
    sqlite3_stmt *stmt = self->statements[JS_TOPIC_SET];
    for (size_t i = 0; i < heads->count && code == MAILBUS_OK; i++) {
        if (i < self->written_count && self->written_heads[i] == heads->topics[i].sequence) {
            continue;
        }
        sqlite3_bind_int64(stmt, 1, (int64_t)i);
        sqlite3_bind_text(stmt, 2, heads->topics[i].topic, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 3, (int64_t)heads->topics[i].sequence);
        code = journal_sqlite_run(self, JS_TOPIC_SET, "writing the heads", error);
    }
    return code;
}

static mailbus_code_t commit(void *arg, const journal_heads_t *heads, mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    const mailbus_heads_t *view = journal_heads_view(heads);
    mailbus_code_t code = write_heads(self, view, error);
    if (code == MAILBUS_OK) {
        code = journal_sqlite_ids_settle(self, error);
    }
    if (code == MAILBUS_OK) {
        code = journal_sqlite_run(self, JS_COMMIT, "committing", error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    for (size_t i = 0; i < view->count; i++) {
        self->written_heads[i] = view->topics[i].sequence;
    }
    self->written_count = view->count;
    self->head = view->sequence;
    journal_sqlite_ids_committed(self);
    return MAILBUS_OK;
}

static void rollback(void *arg)
{
    journal_sqlite_t *self = arg;
    for (int i = 0; i < JS_COUNT; i++) {
        sqlite3_reset(self->statements[i]);
    }
    /* SQLite undoes the transaction itself after some errors, and after others it doesn't. */
    mailbus_error_t error = {0};
    if (sqlite3_get_autocommit(self->db) == 0 &&
        journal_sqlite_run(self, JS_ROLLBACK, "undoing", &error) != MAILBUS_OK) {
        mb_log(self->log, MB_ERROR, "journal", "a transaction can't be undone: the next will fail",
               MB_S("reason", error.text));
    }
    journal_sqlite_ids_rolled_back(self);
    if (journal_sqlite_oldest_event(self, NULL) != MAILBUS_OK) {
        self->oldest_event = 1; /* nothing is forgotten, as far as can be said */
    }
}

/* ---- between transactions -------------------------------------------------------------------- */

static mailbus_code_t tidy(void *arg, mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    if (self->wal_pages < self->checkpoint_at) {
        return MAILBUS_OK;
    }
    const bool force = self->wal_pages >= CHECKPOINT_FORCE_PAGES;
    int in_log = 0;
    int moved = 0;
    sqlite3_busy_timeout(self->db, force ? CHECKPOINT_WAIT_MS : 0);
    const int result = sqlite3_wal_checkpoint_v2(
        self->db, NULL, force ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &in_log,
        &moved);
    sqlite3_busy_timeout(self->db, 0);
    if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY) {
        /* A sync of the file that failed: the next one would succeed and say nothing. */
        return journal_sqlite_fail(self, error, "moving the log into the file");
    }
    /* A reader held some of it back: not again at every commit. */
    self->checkpoint_at =
        moved < in_log ? self->wal_pages + CHECKPOINT_PAGES / 4 : CHECKPOINT_PAGES;
    self->wal_pages = moved < in_log ? self->wal_pages : 0;
    return MAILBUS_OK;
}

static mailbus_code_t figures(void *arg, journal_figures_t *ret_figures, mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    int64_t oldest = 0;
    int64_t pages = 0;
    mailbus_code_t code =
        journal_sqlite_integer(self, JS_OLDEST_BODY, (int64_t)self->head + 1, &oldest, error);
    if (code == MAILBUS_OK) {
        code = journal_sqlite_integer(self, JS_PAGES, 0, &pages, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    struct statvfs fs;
    ret_figures->oldest = (uint64_t)oldest;
    ret_figures->size = pages * JOURNAL_PAGE_SIZE;
    ret_figures->free_bytes = INT64_MAX;
    if (statvfs(self->path, &fs) == 0) {
        ret_figures->free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    }
    return MAILBUS_OK;
}

const journal_backend_t *journal_sqlite(void)
{
    static const journal_backend_t backend = {
        .name = "sqlite",
        .open = open_store,
        .close = close_store,
        .begin = begin,
        .find = find,
        .append = append,
        .quarantine = journal_sqlite_quarantine,
        .prune = journal_sqlite_prune,
        .commit = commit,
        .rollback = rollback,
        .tidy = tidy,
        .figures = figures,
        .reader_open = journal_sqlite_reader_open,
        .reader_close = journal_sqlite_reader_close,
        .reader_fetch = journal_sqlite_reader_fetch,
        .reader_since = journal_sqlite_reader_since,
    };
    return &backend;
}
