/* Which ids were there before. Owner: the journal's thread.
 *
 * A unique index over random ids dirties one page per event, far apart: with ten million ids every
 * event costs 16 KiB of log for its own two of data. So the newest ids are kept in memory only
 * (`fresh`; their events are on disk, so opening finds them again), and now and then a whole
 * generation of them (`settling`) moves to the table `ids`, sorted by key, a slice in each
 * transaction: neighbours share their page. meta.ids_settled is the newest sequence whose id is in
 * the table; opening reads the ids of the events after it.
 *
 * A forgotten id (its event is pruned) may still stand in `ids`: whoever looks compares with
 * oldest_event. Taking them out is only for space, and done in passes that are worth it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "journal_sqlite.h"

/* Ids of one generation. Two of them are in memory, 6 MB; at ten million ids (16 000 pages) some
 * eight neighbours share each page that settling writes. Opening reads them in 0.2 s. */
#define GENERATION 131072
/* Settled in a transaction: at least so many, and twice as many as came in, so that a generation is
 * done before the next one is full. */
#define SETTLE_LEAST 64
#define SWEEP_ROWS   4096 /* keys looked at in one slice */

static mailbus_code_t load_fresh(journal_sqlite_t *self, int64_t settled, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code = mb_db_prepare(
        self->db, "SELECT sequence, event_id FROM events WHERE sequence > ?1", &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_bind_int64(stmt, 1, settled);
    int step = sqlite3_step(stmt);
    for (; step == SQLITE_ROW && code == MAILBUS_OK; step = sqlite3_step(stmt)) {
        const char *id = (const char *)sqlite3_column_text(stmt, 1);
        if (id == NULL || strlen(id) > MAILBUS_ID_MAX) {
            code = journal_sqlite_damaged(self, "an event id", error);
            continue;
        }
        code = journal_ids_put(self->fresh, journal_ids_key(self->salt, id),
                               (uint64_t)sqlite3_column_int64(stmt, 0));
        if (code != MAILBUS_OK) {
            mailbus_fail(error, code, "out of memory");
        }
    }
    if (code == MAILBUS_OK && step != SQLITE_DONE) {
        code = journal_sqlite_fail(self, error, "reading the ids");
    }
    sqlite3_finalize(stmt);
    return code;
}

mailbus_code_t journal_sqlite_ids_open(journal_sqlite_t *self, mailbus_error_t *error)
{
    int64_t settled = 0;
    const mailbus_code_t code = mb_db_integer(
        self->db, "SELECT value FROM meta WHERE name = 'ids_settled'", &settled, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    self->swept_to = self->oldest_event;
    self->fresh = journal_ids_new();
    if (self->fresh == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    return load_fresh(self, settled, error);
}

void journal_sqlite_ids_close(journal_sqlite_t *self)
{
    journal_ids_destroy(&self->fresh);
    journal_ids_destroy(&self->settling);
    free(self->sorted);
    free(self->pending);
}

/* Between transactions: everything in `fresh` is committed. Without memory for it `fresh` just
 * grows until the next try. */
void journal_sqlite_ids_begin(journal_sqlite_t *self)
{
    self->pending_count = 0;
    if (self->settling != NULL || journal_ids_count(self->fresh) < GENERATION) {
        return;
    }
    journal_ids_t *next = journal_ids_new();
    if (next == NULL ||
        journal_ids_sorted(self->fresh, &self->sorted, &self->sorted_count) != MAILBUS_OK) {
        journal_ids_destroy(&next);
        return;
    }
    self->settling = self->fresh;
    self->settling_to = self->head;
    self->settled = 0;
    self->settled_committed = 0;
    self->fresh = next;
}

mailbus_code_t journal_sqlite_ids_find(journal_sqlite_t *self, uint64_t key, uint64_t *ret_sequence,
                                       mailbus_error_t *error)
{
    uint64_t sequence = journal_ids_find(self->fresh, key);
    if (sequence == 0 && self->settling != NULL) {
        sequence = journal_ids_find(self->settling, key);
    }
    if (sequence == 0) {
        int64_t found = 0;
        sqlite3_bind_int64(self->statements[JS_ID_FIND], 1, (int64_t)key);
        const mailbus_code_t code = journal_sqlite_integer(self, JS_ID_FIND, 0, &found, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        sequence = (uint64_t)found;
    }
    *ret_sequence = sequence >= self->oldest_event ? sequence : 0;
    return MAILBUS_OK;
}

mailbus_code_t journal_sqlite_ids_add(journal_sqlite_t *self, uint64_t key, uint64_t sequence,
                                      mailbus_error_t *error)
{
    if (self->pending_count == self->pending_capacity) {
        const size_t capacity = self->pending_capacity == 0 ? 256 : self->pending_capacity * 2;
        void *pending = realloc(self->pending, capacity * sizeof *self->pending);
        if (pending == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
        self->pending = pending;
        self->pending_capacity = capacity;
    }
    const mailbus_code_t code = journal_ids_put(self->fresh, key, sequence);
    if (code != MAILBUS_OK) {
        return mailbus_fail(error, code, "out of memory");
    }
    self->pending[self->pending_count++] = (journal_id_t){.key = key, .sequence = sequence};
    return MAILBUS_OK;
}

mailbus_code_t journal_sqlite_ids_settle(journal_sqlite_t *self, mailbus_error_t *error)
{
    if (self->settling == NULL || self->pending_count == 0) {
        return MAILBUS_OK;
    }
    size_t end = self->settled + SETTLE_LEAST + 2 * self->pending_count;
    if (end > self->sorted_count) {
        end = self->sorted_count;
    }
    sqlite3_stmt *stmt = self->statements[JS_ID_SET];
    for (; self->settled < end; self->settled++) {
        const journal_id_t *id = &self->sorted[self->settled];
        if (id->sequence < self->oldest_event) {
            continue;
        }
        sqlite3_bind_int64(stmt, 1, (int64_t)id->key);
        sqlite3_bind_int64(stmt, 2, (int64_t)id->sequence);
        const mailbus_code_t code = journal_sqlite_run(self, JS_ID_SET, "settling ids", error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    if (end < self->sorted_count) {
        return MAILBUS_OK;
    }
    return journal_sqlite_meta_set(self, "ids_settled", (int64_t)self->settling_to, error);
}

void journal_sqlite_ids_committed(journal_sqlite_t *self)
{
    self->pending_count = 0;
    self->settled_committed = self->settled;
    if (self->settling != NULL && self->settled == self->sorted_count) {
        journal_ids_destroy(&self->settling);
        free(self->sorted);
        self->sorted = NULL;
    }
}

void journal_sqlite_ids_rolled_back(journal_sqlite_t *self)
{
    for (size_t i = 0; i < self->pending_count; i++) {
        journal_ids_remove(self->fresh, self->pending[i].key, self->pending[i].sequence);
    }
    self->pending_count = 0;
    self->settled = self->settled_committed;
    self->sweeping = false; /* what it deleted is back */
}

mailbus_code_t journal_sqlite_ids_sweep(journal_sqlite_t *self, bool *ret_more,
                                        mailbus_error_t *error)
{
    if (!self->sweeping) {
        /* A pass looks at every id: worth it when an eighth of them can go. */
        const uint64_t kept = self->head + 1 - self->oldest_event;
        const uint64_t worth = kept / 8 > GENERATION ? kept / 8 : GENERATION;
        if (self->oldest_event - self->swept_to < worth) {
            return MAILBUS_OK;
        }
        self->sweeping = true;
        self->sweep_from = INT64_MIN;
        self->swept_to = self->oldest_event;
    }
    int64_t last = INT64_MAX;
    sqlite3_bind_int64(self->statements[JS_SWEEP_LOOK], 1, self->sweep_from);
    sqlite3_bind_int64(self->statements[JS_SWEEP_LOOK], 2, SWEEP_ROWS);
    mailbus_code_t code = journal_sqlite_integer(self, JS_SWEEP_LOOK, INT64_MAX, &last, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_stmt *stmt = self->statements[JS_SWEEP_DELETE];
    sqlite3_bind_int64(stmt, 1, self->sweep_from);
    sqlite3_bind_int64(stmt, 2, last);
    sqlite3_bind_int64(stmt, 3, (int64_t)self->swept_to);
    code = journal_sqlite_run(self, JS_SWEEP_DELETE, "taking old ids out", error);
    if (code != MAILBUS_OK) {
        return code;
    }
    self->sweeping = last < INT64_MAX;
    self->sweep_from = last < INT64_MAX ? last + 1 : last;
    *ret_more = *ret_more || self->sweeping;
    return MAILBUS_OK;
}
