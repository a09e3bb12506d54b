#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAL_LIMIT = 16 * 1024 * 1024,  /* the largest that is kept after a checkpoint */
    PAGE_SIZE = 16 * 1024,         /* a usual event fits in a page, without a chain of others */
    CACHE_BYTES = 8 * 1024 * 1024, /* the inbox is written and removed, seldom read */
};

static const char *const SCHEMA[] = {
    "CREATE TABLE mailbus_inbox("
    " number INTEGER PRIMARY KEY,"
    " sequence INTEGER NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL,"
    " header BLOB NOT NULL, body BLOB NOT NULL,"
    " first INTEGER NOT NULL,"              /* taken in, ms since 1970 */
    " attempts INTEGER NOT NULL DEFAULT 0," /* tries that failed */
    " due INTEGER NOT NULL DEFAULT 0,"      /* next try, ms since 1970; 0: not tried yet */
    " reason TEXT,"                         /* of the last failure */
    " in_hand INTEGER NOT NULL DEFAULT 0,"  /* a handler works on it */
    " crashes INTEGER NOT NULL DEFAULT 0"   /* times the program died meanwhile */
    ") STRICT;"
    "CREATE INDEX mailbus_inbox_due ON mailbus_inbox(due) WHERE due > 0;"
    "CREATE INDEX mailbus_inbox_in_hand ON mailbus_inbox(number) WHERE in_hand > 0;"
    /* AUTOINCREMENT: the number is what a person types, so it must never mean another event. */
    "CREATE TABLE mailbus_dead("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " sequence INTEGER NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL,"
    " header BLOB NOT NULL, body BLOB NOT NULL,"
    " first INTEGER NOT NULL, attempts INTEGER NOT NULL, crashes INTEGER NOT NULL,"
    " reason TEXT NOT NULL, set_aside INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX mailbus_dead_id ON mailbus_dead(id);"
    "CREATE TABLE mailbus_state(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;",
};

enum {
    INSERT,
    REMOVE,
    RETRY,
    BURY,
    TRIM,
    MARK,
    FRESH,
    DUE,
    LOAD,
    GET,
    SET,
    BEGIN,
    COMMIT,
    PART,
    PART_END,
    PART_UNDO,
    HAS,
    STATEMENTS,
};

static const char *const SQL[STATEMENTS] = {
    [INSERT] = "INSERT INTO mailbus_inbox(number,sequence,id,topic,header,body,first)"
               " VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [REMOVE] = "DELETE FROM mailbus_inbox WHERE number=?1",
    [RETRY] = "UPDATE mailbus_inbox SET attempts=?2,due=?3,reason=?4,in_hand=0 WHERE number=?1",
    [BURY] = "INSERT INTO mailbus_dead(sequence,id,topic,header,body,first,attempts,crashes,reason,"
             "set_aside) SELECT sequence,id,topic,header,body,first,?2,crashes,?3,?4"
             " FROM mailbus_inbox WHERE number=?1",
    /* The count walks the index over the ids, not the frames. */
    [TRIM] = "DELETE FROM mailbus_dead WHERE number IN (SELECT number FROM mailbus_dead"
             " ORDER BY number LIMIT max(0,(SELECT count(*) FROM mailbus_dead)-?1))",
    [MARK] = "UPDATE mailbus_inbox SET in_hand=1 WHERE number=?1",
    [FRESH] = "SELECT number FROM mailbus_inbox WHERE number>?1 AND due=0 ORDER BY number LIMIT ?2",
    [DUE] = "SELECT number,due FROM mailbus_inbox WHERE due>0 ORDER BY due LIMIT ?1",
    [LOAD] = "SELECT topic,header,body,attempts,crashes,first FROM mailbus_inbox WHERE number=?1",
    [GET] = "SELECT value FROM mailbus_state WHERE key=?1",
    [SET] = "INSERT INTO mailbus_state(key,value) VALUES(?1,?2)"
            " ON CONFLICT(key) DO UPDATE SET value=excluded.value",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [PART] = "SAVEPOINT mailbus_part",
    [PART_END] = "RELEASE mailbus_part",
    [PART_UNDO] = "ROLLBACK TO mailbus_part",
    [HAS] = "SELECT 1 FROM mailbus_inbox WHERE number=?1",
};

struct store {
    sqlite3 *db;
    mb_db_lock_t *lock;
    sqlite3_stmt *statements[STATEMENTS];
};

static mailbus_code_t run_schema(store_t *self, const char *schema, mailbus_error_t *error)
{
    if (schema == NULL) {
        return MAILBUS_OK;
    }
    mailbus_code_t code = store_begin(self, error);
    if (code == MAILBUS_OK) {
        code = mb_db_exec(self->db, schema, error);
    }
    if (code == MAILBUS_OK) {
        code = store_commit(self, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(self);
    }
    return code;
}

/* A file with tables, of which none is ours: somebody else's, which is left as it is. */
static mailbus_code_t refuse_foreign(sqlite3 *db, const char *path, mailbus_error_t *error)
{
    int64_t foreign = 0;
    mailbus_code_t code = mb_db_integer(
        db, "SELECT count(*) > 0 AND NOT sum(name = 'mailbus_inbox') FROM sqlite_master", &foreign,
        error);
    if (code == MAILBUS_OK && foreign > 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "%s is a database of another kind: set state.path to a file that only "
                            "this program uses",
                            path);
    }
    return code;
}

mailbus_code_t store_open(const char *path, const char *schema, store_t **ret_self,
                          bool *ret_unclean, const char **ret_warning, mailbus_error_t *error)
{
    const mb_db_options_t options = {.page_size = PAGE_SIZE,
                                     .cache_bytes = CACHE_BYTES,
                                     .journal_limit = WAL_LIMIT,
                                     .incremental_vacuum = true};
    char *clean = NULL;
    store_t *self = calloc(1, sizeof *self);
    mailbus_code_t code =
        self == NULL
            ? mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the state file")
            : mb_db_open_writer(path, &options, &self->db, &self->lock, ret_warning, error);
    if (code == MAILBUS_OK) {
        code = refuse_foreign(self->db, path, error);
    }
    if (code == MAILBUS_OK) {
        /* Debian's build overwrites what is deleted; here that would be a second write of every
         * event. FAST does it where it costs nothing. */
        code = mb_db_exec(self->db, "PRAGMA secure_delete=FAST", error);
    }
    if (code == MAILBUS_OK) {
        code = mb_db_migrate(self->db, SCHEMA, sizeof SCHEMA / sizeof SCHEMA[0], error);
    }
    for (int i = 0; code == MAILBUS_OK && i < STATEMENTS; i++) {
        code = mb_db_prepare(self->db, SQL[i], &self->statements[i], error);
    }
    if (code == MAILBUS_OK) {
        code = run_schema(self, schema, error);
    }
    if (code == MAILBUS_OK) {
        code = store_get(self, "clean", &clean, error);
    }
    if (code == MAILBUS_OK) {
        code = store_set(self, "clean", "no", error);
    }
    if (code == MAILBUS_OK) {
        *ret_unclean = clean != NULL && strcmp(clean, "no") == 0;
        *ret_self = self;
        self = NULL;
    }
    free(clean);
    store_close(&self, false);
    return code;
}

mb_db_lock_t *store_close_locked(store_t **self_p, bool clean)
{
    store_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return NULL;
    }
    if (clean && store_set(self, "clean", "yes", NULL) == MAILBUS_OK) {
        (void)sqlite3_exec(self->db, "UPDATE mailbus_inbox SET in_hand=0 WHERE in_hand>0", NULL,
                           NULL, NULL);
    }
    mb_db_close(&self->db);
    mb_db_lock_t *lock = self->lock;
    free(self);
    return lock;
}

void store_close(store_t **self_p, bool clean)
{
    mb_db_lock_t *lock = store_close_locked(self_p, clean);
    mb_db_unlock(&lock);
}

sqlite3 *store_db(store_t *self)
{
    return self->db;
}

mailbus_code_t store_begin(store_t *self, mailbus_error_t *error)
{
    return mb_db_run(self->statements[BEGIN], error);
}

mailbus_code_t store_commit(store_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = mb_db_run(self->statements[COMMIT], error);
    if (code == MAILBUS_EIO && (sqlite3_errcode(self->db) & 0xff) == SQLITE_CONSTRAINT) {
        return mailbus_fail(error, MAILBUS_EINVAL, "what was written contradicts itself: %s",
                            sqlite3_errmsg(self->db)); /* the subscriber's tables, not the disk */
    }
    return code;
}

void store_rollback(store_t *self)
{
    if (sqlite3_get_autocommit(self->db) == 0) {
        (void)sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

bool store_is_open(store_t *self)
{
    return sqlite3_get_autocommit(self->db) == 0;
}

mailbus_code_t store_part_begin(store_t *self, mailbus_error_t *error)
{
    return mb_db_run(self->statements[PART], error);
}

mailbus_code_t store_part_end(store_t *self, mailbus_error_t *error)
{
    int open = 0;
    int highest = 0;
    /* RELEASE does not look at them, and at COMMIT nobody can tell any more whose they are. */
    if (sqlite3_db_status(self->db, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &highest, 0) ==
            SQLITE_OK &&
        open != 0) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "what was written contradicts itself: a foreign key leads nowhere");
    }
    mailbus_code_t code = mb_db_run(self->statements[PART_END], error);
    if (code == MAILBUS_EIO && (sqlite3_errcode(self->db) & 0xff) == SQLITE_ERROR) {
        return mailbus_fail(error, MAILBUS_EAGAIN, "the transaction was ended before the handler");
    }
    return code;
}

void store_part_undo(store_t *self)
{
    if (store_is_open(self) && (mb_db_run(self->statements[PART_UNDO], NULL) != MAILBUS_OK ||
                                mb_db_run(self->statements[PART_END], NULL) != MAILBUS_OK)) {
        store_rollback(self);
    }
}

mailbus_code_t store_has(store_t *self, int64_t number, bool *ret_has, mailbus_error_t *error)
{
    sqlite3_stmt *has = self->statements[HAS];
    sqlite3_bind_int64(has, 1, number);
    int step = sqlite3_step(has);
    mailbus_code_t code = step == SQLITE_ROW || step == SQLITE_DONE
                              ? MAILBUS_OK
                              : mb_db_fail(self->db, error, "reading the inbox");
    sqlite3_reset(has);
    if (code == MAILBUS_OK) {
        *ret_has = step == SQLITE_ROW;
    }
    return code;
}

mailbus_code_t store_insert(store_t *self, int64_t number, const mailbus_event_t *event,
                            const void *header, size_t header_size, int64_t now_ms,
                            mailbus_error_t *error)
{
    sqlite3_stmt *insert = self->statements[INSERT];
    sqlite3_bind_int64(insert, 1, number);
    sqlite3_bind_int64(insert, 2, (int64_t)event->sequence);
    sqlite3_bind_text(insert, 3, event->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 4, event->topic, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(insert, 5, header, header_size, SQLITE_STATIC);
    if (event->body_size == 0) {
        sqlite3_bind_zeroblob(insert, 6, 0); /* a NULL pointer would bind NULL */
    } else {
        sqlite3_bind_blob64(insert, 6, event->body, event->body_size, SQLITE_STATIC);
    }
    sqlite3_bind_int64(insert, 7, now_ms);
    return mb_db_run(insert, error);
}

mailbus_code_t store_remove(store_t *self, int64_t number, mailbus_error_t *error)
{
    sqlite3_bind_int64(self->statements[REMOVE], 1, number);
    return mb_db_run(self->statements[REMOVE], error);
}

mailbus_code_t store_retry(store_t *self, int64_t number, unsigned attempts, int64_t due_ms,
                           const char *reason, mailbus_error_t *error)
{
    sqlite3_stmt *retry = self->statements[RETRY];
    sqlite3_bind_int64(retry, 1, number);
    sqlite3_bind_int64(retry, 2, attempts);
    sqlite3_bind_int64(retry, 3, due_ms);
    sqlite3_bind_text(retry, 4, reason, -1, SQLITE_STATIC);
    return mb_db_run(retry, error);
}

mailbus_code_t store_bury(store_t *self, int64_t number, unsigned attempts, const char *reason,
                          int64_t now_ms, mailbus_error_t *error)
{
    sqlite3_stmt *bury = self->statements[BURY];
    sqlite3_bind_int64(bury, 1, number);
    sqlite3_bind_int64(bury, 2, attempts);
    sqlite3_bind_text(bury, 3, reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(bury, 4, now_ms);
    mailbus_code_t code = mb_db_run(bury, error);
    return code != MAILBUS_OK ? code : store_remove(self, number, error);
}

mailbus_code_t store_trim_dead(store_t *self, int64_t most, int64_t *ret_dropped,
                               mailbus_error_t *error)
{
    sqlite3_bind_int64(self->statements[TRIM], 1, most);
    mailbus_code_t code = mb_db_run(self->statements[TRIM], error);
    if (code == MAILBUS_OK) {
        *ret_dropped = sqlite3_changes64(self->db);
    }
    return code;
}

mailbus_code_t store_mark(store_t *self, int64_t number, mailbus_error_t *error)
{
    sqlite3_bind_int64(self->statements[MARK], 1, number);
    return mb_db_run(self->statements[MARK], error);
}

mailbus_code_t store_recover(store_t *self, int64_t max_crashes, int64_t now_ms,
                             int64_t *ret_buried, mailbus_error_t *error)
{
    char sql[900];
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE;"
             "UPDATE mailbus_inbox SET crashes=crashes+1, in_hand=0 WHERE in_hand>0;"
             "INSERT INTO mailbus_dead(sequence,id,topic,header,body,first,attempts,crashes,reason,"
             "set_aside) SELECT sequence,id,topic,header,body,first,attempts,crashes,"
             "'the program died '||crashes||' times while it handled this event',%lld"
             " FROM mailbus_inbox WHERE %lld>0 AND crashes>=%lld;"
             "DELETE FROM mailbus_inbox WHERE %lld>0 AND crashes>=%lld;",
             (long long)now_ms, (long long)max_crashes, (long long)max_crashes,
             (long long)max_crashes, (long long)max_crashes);
    mailbus_code_t code = mb_db_exec(self->db, sql, error);
    int64_t buried = sqlite3_changes64(self->db);
    if (code == MAILBUS_OK) {
        code = store_commit(self, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(self);
        return code;
    }
    *ret_buried = buried;
    return MAILBUS_OK;
}

/* Step through a query of numbers (and, where wanted, their times). */
static mailbus_code_t read_numbers(store_t *self, sqlite3_stmt *query, size_t limit,
                                   int64_t *numbers, int64_t *times, size_t *ret_count,
                                   mailbus_error_t *error)
{
    size_t count = 0;
    int step = SQLITE_ROW;
    while (count < limit && (step = sqlite3_step(query)) == SQLITE_ROW) {
        numbers[count] = sqlite3_column_int64(query, 0);
        if (times != NULL) {
            times[count] = sqlite3_column_int64(query, 1);
        }
        count++;
    }
    mailbus_code_t code = step == SQLITE_ROW || step == SQLITE_DONE
                              ? MAILBUS_OK
                              : mb_db_fail(self->db, error, "reading the inbox");
    sqlite3_reset(query);
    sqlite3_clear_bindings(query);
    if (code == MAILBUS_OK) {
        *ret_count = count;
    }
    return code;
}

mailbus_code_t store_fresh(store_t *self, int64_t after, size_t limit, int64_t *ret_numbers,
                           size_t *ret_count, mailbus_error_t *error)
{
    sqlite3_bind_int64(self->statements[FRESH], 1, after);
    sqlite3_bind_int64(self->statements[FRESH], 2, (int64_t)limit);
    return read_numbers(self, self->statements[FRESH], limit, ret_numbers, NULL, ret_count, error);
}

mailbus_code_t store_due(store_t *self, size_t limit, int64_t *ret_numbers, int64_t *ret_due_ms,
                         size_t *ret_count, mailbus_error_t *error)
{
    sqlite3_bind_int64(self->statements[DUE], 1, (int64_t)limit);
    return read_numbers(self, self->statements[DUE], limit, ret_numbers, ret_due_ms, ret_count,
                        error);
}

mailbus_code_t store_load(store_t *self, int64_t number, store_row_t *ret_row,
                          mailbus_error_t *error)
{
    sqlite3_stmt *load = self->statements[LOAD];
    mailbus_code_t code = MAILBUS_OK;
    store_row_t row = {.number = number};
    sqlite3_bind_int64(load, 1, number);
    int step = sqlite3_step(load);
    if (step == SQLITE_DONE) {
        code = mailbus_fail(error, MAILBUS_ENOTFOUND, "no such event in the inbox");
    } else if (step != SQLITE_ROW) {
        code = mb_db_fail(self->db, error, "reading the inbox");
    } else {
        size_t topic_size = (size_t)sqlite3_column_bytes(load, 0);
        size_t header_size = (size_t)sqlite3_column_bytes(load, 1);
        size_t body_size = (size_t)sqlite3_column_bytes(load, 2);
        row.attempts = (unsigned)sqlite3_column_int64(load, 3);
        row.crashes = (unsigned)sqlite3_column_int64(load, 4);
        row.first_ms = sqlite3_column_int64(load, 5);
        row.size = topic_size + header_size + body_size;
        mailbus_code_t decoded = mailbus_event_decode(
            sqlite3_column_text(load, 0), topic_size, sqlite3_column_blob(load, 1), header_size,
            sqlite3_column_blob(load, 2), body_size, &row.event, error);
        code = decoded == MAILBUS_ENOMEM ? decoded : MAILBUS_OK;
    }
    sqlite3_reset(load);
    sqlite3_clear_bindings(load);
    if (code == MAILBUS_OK) {
        *ret_row = row;
    }
    return code;
}

void store_row_free(store_row_t *row)
{
    mailbus_event_free(&row->event);
}

mailbus_code_t store_counts(store_t *self, store_counts_t *ret_counts, mailbus_error_t *error)
{
    sqlite3_stmt *query = NULL;
    mailbus_code_t code = mb_db_prepare(
        self->db,
        "SELECT count(*), coalesce(sum(due=0),0),"
        " coalesce(sum(length(topic)+length(header)+length(body)),0), coalesce(max(number),0),"
        " (SELECT min(due) FROM mailbus_inbox WHERE due>0), (SELECT count(*) FROM mailbus_dead)"
        " FROM mailbus_inbox",
        &query, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (sqlite3_step(query) == SQLITE_ROW) {
        ret_counts->rows = sqlite3_column_int64(query, 0);
        ret_counts->fresh = sqlite3_column_int64(query, 1);
        ret_counts->bytes = sqlite3_column_int64(query, 2);
        ret_counts->last = sqlite3_column_int64(query, 3);
        ret_counts->min_due_ms = sqlite3_column_type(query, 4) == SQLITE_NULL
                                     ? INT64_MAX
                                     : sqlite3_column_int64(query, 4);
        ret_counts->dead = sqlite3_column_int64(query, 5);
    } else {
        code = mb_db_fail(self->db, error, "counting the inbox");
    }
    sqlite3_finalize(query);
    return code;
}

mailbus_code_t store_get(store_t *self, const char *key, char **ret_value, mailbus_error_t *error)
{
    sqlite3_stmt *get = self->statements[GET];
    mailbus_code_t code = MAILBUS_OK;
    char *value = NULL;
    sqlite3_bind_text(get, 1, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(get);
    if (step == SQLITE_ROW) {
        value = strdup((const char *)sqlite3_column_text(get, 0));
        if (value == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory");
        }
    } else if (step != SQLITE_DONE) {
        code = mb_db_fail(self->db, error, "reading the state");
    }
    sqlite3_reset(get);
    sqlite3_clear_bindings(get);
    if (code == MAILBUS_OK) {
        *ret_value = value;
    }
    return code;
}

mailbus_code_t store_set(store_t *self, const char *key, const char *value, mailbus_error_t *error)
{
    sqlite3_bind_text(self->statements[SET], 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(self->statements[SET], 2, value, -1, SQLITE_STATIC);
    return mb_db_run(self->statements[SET], error);
}
