/* Retention and quarantine, in slices inside the journal's transactions. Owner: the journal's
 * thread.
 *
 * Bodies go first, by age or because the file is too large; then ids, by age, or where even without
 * bodies the file is too large. Rows leave at the low end only, so what is kept is dense. */
#include "journal_sqlite.h"

/* Bytes of bodies that one slice takes away: overflow pages are read to be freed, and large bodies
 * must not stall intake. */
#define SLICE_BYTES (16ll * 1024 * 1024)
/* A row of `events` with its key in `ids`, about: what taking one away gives back. */
#define EVENT_BYTES 320
/* Free pages are used again, so the file only shrinks where many are free, or where it is far above
 * the wanted size: moving pages for every row that goes would cost more than writing them. */
#define FREE_PAGES_LEAST 4096
/* All of quarantine, however many requests that is. */
#define QUARANTINE_BYTES (64ll * 1024 * 1024)

mailbus_code_t journal_sqlite_oldest_event(journal_sqlite_t *self, mailbus_error_t *error)
{
    int64_t oldest = 0;
    const mailbus_code_t code =
        journal_sqlite_integer(self, JS_OLDEST_EVENT, (int64_t)self->head + 1, &oldest, error);
    if (code == MAILBUS_OK) {
        self->oldest_event = (uint64_t)oldest;
    }
    return code;
}

/* What one kind of row is to lose. */
typedef struct {
    int64_t first;     /* the oldest there is */
    int64_t last;      /* nothing above this goes */
    int64_t before_ms; /* by age */
    int64_t excess;    /* bytes, by size */
    bool bodies;       /* bodies, else events */
    size_t rows;
} slice_t;

/* The last sequence of the slice (first - 1: nothing goes), and whether the rows ran out before the
 * reasons did. */
static mailbus_code_t find_slice(journal_sqlite_t *self, const slice_t *slice, int64_t *ret_last,
                                 bool *ret_more, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[JS_PRUNE_LOOK];
    int64_t freed = 0;
    int64_t last = slice->first - 1;
    bool reason = true;
    size_t rows = 0;
    int step = SQLITE_DONE;
    sqlite3_bind_int64(stmt, 1, slice->first);
    sqlite3_bind_int64(stmt, 2, (int64_t)slice->rows);
    while (reason && freed < SLICE_BYTES && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const int64_t sequence = sqlite3_column_int64(stmt, 0);
        const bool old = sqlite3_column_int64(stmt, 1) < slice->before_ms;
        const bool large =
            freed < slice->excess && sequence + JOURNAL_KEEP_LEAST <= (int64_t)self->head;
        reason = sequence <= slice->last && (old || large);
        if (reason) {
            last = sequence;
            freed += slice->bodies ? sqlite3_column_int64(stmt, 2) : EVENT_BYTES;
            rows++;
        }
    }
    mailbus_code_t code = MAILBUS_OK;
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        code = journal_sqlite_fail(self, error, "looking for what is old");
    }
    sqlite3_reset(stmt);
    if (code == MAILBUS_OK) {
        *ret_last = last;
        *ret_more = rows == slice->rows || freed >= SLICE_BYTES;
    }
    return code;
}

static mailbus_code_t take_slice(journal_sqlite_t *self, const slice_t *slice, size_t *ret_count,
                                 bool *ret_more, mailbus_error_t *error)
{
    int64_t last = 0;
    bool more = false;
    mailbus_code_t code = find_slice(self, slice, &last, &more, error);
    if (code != MAILBUS_OK || last < slice->first) {
        return code;
    }
    const journal_statement_t statement = slice->bodies ? JS_BODIES_DELETE : JS_EVENTS_DELETE;
    sqlite3_bind_int64(self->statements[statement], 1, last);
    code = journal_sqlite_run(self, statement, "taking away what is old", error);
    if (code != MAILBUS_OK) {
        return code;
    }
    *ret_count = (size_t)(last - slice->first + 1);
    /* Where the size was the reason: look again how large it is now. */
    *ret_more = *ret_more || more || slice->excess > 0;
    return MAILBUS_OK;
}

static mailbus_code_t shrink(journal_sqlite_t *self, int64_t max_size, int64_t pages, int64_t free,
                             bool *ret_more, mailbus_error_t *error)
{
    const bool many = free > FREE_PAGES_LEAST && free > pages / 4;
    const bool far =
        max_size > 0 && free > 0 && pages * JOURNAL_PAGE_SIZE > max_size + max_size / 8;
    if (!many && !far) {
        return MAILBUS_OK;
    }
    *ret_more = true;
    return journal_sqlite_run(self, JS_VACUUM, "giving free pages back", error);
}

mailbus_code_t journal_sqlite_prune(void *arg, const journal_prune_t *prune,
                                    journal_pruned_t *ret_pruned, mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    journal_pruned_t pruned = {0};
    int64_t pages = 0;
    int64_t free = 0;
    int64_t oldest_body = 0;
    const int64_t head = (int64_t)self->head;
    mailbus_code_t code = journal_sqlite_integer(self, JS_PAGES, 0, &pages, error);
    if (code == MAILBUS_OK) {
        code = journal_sqlite_integer(self, JS_PAGES_FREE, 0, &free, error);
    }
    if (code == MAILBUS_OK) {
        code = journal_sqlite_integer(self, JS_OLDEST_BODY, head + 1, &oldest_body, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    const int64_t used = (pages - free) * JOURNAL_PAGE_SIZE;
    const int64_t excess =
        prune->max_size > 0 && used > prune->max_size ? used - prune->max_size : 0;
    const slice_t bodies = {.first = oldest_body,
                            .last = head,
                            .before_ms = prune->bodies_before_ms,
                            .excess = excess,
                            .bodies = true,
                            .rows = prune->rows};
    code = take_slice(self, &bodies, &pruned.bodies, &pruned.more, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const slice_t ids = {.first = (int64_t)self->oldest_event,
                         .last = oldest_body + (int64_t)pruned.bodies - 1,
                         .before_ms = prune->ids_before_ms,
                         .excess = pruned.bodies == 0 ? excess : 0,
                         .rows = prune->rows};
    code = take_slice(self, &ids, &pruned.ids, &pruned.more, error);
    if (code == MAILBUS_OK && pruned.ids > 0) {
        self->oldest_event += pruned.ids;
    }
    if (code == MAILBUS_OK) {
        code = journal_sqlite_ids_sweep(self, &pruned.more, error);
    }
    if (code == MAILBUS_OK) {
        code = shrink(self, prune->max_size, pages, free, &pruned.more, error);
    }
    if (code == MAILBUS_OK) {
        *ret_pruned = pruned;
    }
    return code;
}

/* Newest first: the id of the first request that no longer fits; 0: all fit. */
static mailbus_code_t find_surplus(journal_sqlite_t *self, int64_t keep, int64_t *ret_id,
                                   mailbus_error_t *error)
{
    sqlite3_stmt *stmt = self->statements[JS_REJECT_LOOK];
    mailbus_code_t code = MAILBUS_OK;
    int64_t count = 0;
    int64_t bytes = 0;
    int64_t id = 0;
    int step = SQLITE_DONE;
    while (id == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        count++;
        bytes += sqlite3_column_int64(stmt, 1);
        if (count > keep || bytes > QUARANTINE_BYTES) {
            id = sqlite3_column_int64(stmt, 0);
        }
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        code = journal_sqlite_fail(self, error, "looking through the quarantine");
    }
    sqlite3_reset(stmt);
    *ret_id = id;
    return code;
}

mailbus_code_t journal_sqlite_quarantine(void *arg, const journal_reject_t *reject,
                                         mailbus_error_t *error)
{
    journal_sqlite_t *self = arg;
    if (reject->keep <= 0) {
        return MAILBUS_OK;
    }
    sqlite3_stmt *stmt = self->statements[JS_REJECT_ADD];
    sqlite3_bind_int64(stmt, 1, self->last_reject + 1);
    sqlite3_bind_int64(stmt, 2, reject->recorded_ms);
    sqlite3_bind_text(stmt, 3, reject->reason, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 4, reject->webhook_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 5, (int64_t)reject->size);
    sqlite3_bind_blob64(stmt, 6, reject->size > 0 ? reject->body : "", reject->size, SQLITE_STATIC);
    mailbus_code_t code = journal_sqlite_run(self, JS_REJECT_ADD, "adding to quarantine", error);
    if (code != MAILBUS_OK) {
        return code;
    }
    self->last_reject++; /* a number that a rollback leaves unused does no harm here */
    int64_t surplus = 0;
    code = find_surplus(self, reject->keep, &surplus, error);
    if (code != MAILBUS_OK || surplus == 0) {
        return code;
    }
    sqlite3_bind_int64(self->statements[JS_REJECT_DELETE], 1, surplus);
    return journal_sqlite_run(self, JS_REJECT_DELETE, "bounding the quarantine", error);
}
