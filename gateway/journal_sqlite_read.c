/* Reading for replay. The thread that opens a reader owns it and its read-only connection.
 *
 * Each page is one short read transaction: a long one would keep the log from being reset. */
#include <stdlib.h>
#include <string.h>

#include "journal_sqlite.h"

#define CACHE_BYTES (8ll * 1024 * 1024) /* a page of a FETCH and the inner pages of the trees */

typedef struct {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *end;
    sqlite3_stmt *topics;
    sqlite3_stmt *oldest_body;
    sqlite3_stmt *oldest_event;
    sqlite3_stmt *events;
    sqlite3_stmt *body;
    sqlite3_stmt *recorded;
    char stream[MAILBUS_UUID_SIZE];
} reader_t;

static mailbus_code_t prepare(reader_t *self, mailbus_error_t *error)
{
    const struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } table[] = {
        {&self->begin, "BEGIN"},
        {&self->end, "ROLLBACK"},
        {&self->topics, "SELECT id, name, head FROM topics ORDER BY id"},
        {&self->oldest_body, "SELECT min(sequence) FROM bodies"},
        {&self->oldest_event, "SELECT min(sequence) FROM events"},
        {&self->events, "SELECT sequence, topic, previous, recorded, size, event_id, webhook_id,"
                        " source, subject, time FROM events WHERE sequence >= ?1"
                        " ORDER BY sequence"},
        {&self->body, "SELECT body FROM bodies WHERE sequence = ?1"},
        {&self->recorded, "SELECT recorded FROM events WHERE sequence = ?1"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const mailbus_code_t code = mb_db_prepare(self->db, table[i].sql, table[i].stmt, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_stream(reader_t *self, mailbus_error_t *error)
{
    sqlite3_stmt *stmt = NULL;
    mailbus_code_t code =
        mb_db_prepare(self->db, "SELECT value FROM meta WHERE name = 'stream'", &stmt, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (sqlite3_step(stmt) == SQLITE_ROW &&
        sqlite3_column_bytes(stmt, 0) == MAILBUS_UUID_SIZE - 1) {
        memcpy(self->stream, sqlite3_column_text(stmt, 0), MAILBUS_UUID_SIZE);
    } else {
        code = mb_db_fail(self->db, error, "reading the stream's id");
    }
    sqlite3_finalize(stmt);
    return code;
}

mailbus_code_t journal_sqlite_reader_open(void *store, void **ret_reader, mailbus_error_t *error)
{
    const journal_sqlite_t *sqlite = store; /* path and vfs: they never change */
    const mb_db_options_t options = {.cache_bytes = CACHE_BYTES, .vfs = sqlite->vfs};
    reader_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    mailbus_code_t code = mb_db_open_reader(sqlite->path, &options, &self->db, error);
    if (code == MAILBUS_OK) {
        code = prepare(self, error);
    }
    if (code == MAILBUS_OK) {
        code = read_stream(self, error);
    }
    if (code != MAILBUS_OK) {
        void *reader = self;
        journal_sqlite_reader_close(&reader);
        return code;
    }
    *ret_reader = self;
    return MAILBUS_OK;
}

void journal_sqlite_reader_close(void **reader_p)
{
    reader_t *self = *reader_p;
    *reader_p = NULL;
    if (self != NULL) {
        mb_db_close(&self->db);
        free(self);
    }
}

/* ---- one page -------------------------------------------------------------------------------- */

/* What a page is read into. */
typedef struct {
    mailbus_heads_t *heads;
    size_t capacity; /* of heads->topics */
    bool *wanted;    /* by topic */
    int64_t oldest;  /* oldest body */
    uint64_t next;
} page_t;

static mailbus_code_t minimum(reader_t *self, sqlite3_stmt *stmt, int64_t none, int64_t *ret_value,
                              mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        *ret_value =
            sqlite3_column_type(stmt, 0) == SQLITE_NULL ? none : sqlite3_column_int64(stmt, 0);
    } else {
        code = mb_db_fail(self->db, error, "reading the journal");
    }
    sqlite3_reset(stmt);
    return code;
}

static mailbus_code_t add_head(reader_t *self, page_t *page, mailbus_error_t *error)
{
    mailbus_heads_t *heads = page->heads;
    if (heads->count == page->capacity) {
        const size_t capacity = page->capacity == 0 ? 32 : page->capacity * 2;
        void *topics = realloc(heads->topics, capacity * sizeof *heads->topics);
        if (topics == NULL) {
            return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
        heads->topics = topics;
        page->capacity = capacity;
    }
    const char *name = (const char *)sqlite3_column_text(self->topics, 1);
    mailbus_head_t *head = &heads->topics[heads->count];
    if (name == NULL || sqlite3_column_int64(self->topics, 0) != (int64_t)heads->count ||
        (size_t)sqlite3_column_bytes(self->topics, 1) >= sizeof head->topic) {
        return mailbus_fail(error, MAILBUS_EIO, "the journal's topics are damaged");
    }
    memcpy(head->topic, name, strlen(name) + 1);
    head->sequence = (uint64_t)sqlite3_column_int64(self->topics, 2);
    if (head->sequence > heads->sequence) {
        heads->sequence = head->sequence;
    }
    heads->count++;
    return MAILBUS_OK;
}

static mailbus_code_t read_heads(reader_t *self, page_t *page, mailbus_error_t *error)
{
    page->heads = calloc(1, sizeof *page->heads);
    if (page->heads == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    memcpy(page->heads->stream, self->stream, sizeof self->stream);
    mailbus_code_t code = MAILBUS_OK;
    int step = SQLITE_ROW;
    while (code == MAILBUS_OK && (step = sqlite3_step(self->topics)) == SQLITE_ROW) {
        code = add_head(self, page, error);
    }
    if (code == MAILBUS_OK && step != SQLITE_DONE) {
        code = mb_db_fail(self->db, error, "reading the heads");
    }
    sqlite3_reset(self->topics);
    return code;
}

static mailbus_code_t choose_topics(page_t *page, const mailbus_fetch_t *fetch,
                                    mailbus_error_t *error)
{
    page->wanted = calloc(page->heads->count + 1, sizeof *page->wanted);
    if (page->wanted == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < page->heads->count; i++) {
        page->wanted[i] = mailbus_fetch_matches(fetch, page->heads->topics[i].topic);
    }
    return MAILBUS_OK;
}

/* The row as an event whose strings belong to the statements: good until they move. */
static void lend_event(const reader_t *self, const page_t *page, event_t *event)
{
    sqlite3_stmt *stmt = self->events;
    event->topic = page->heads->topics[sqlite3_column_int64(stmt, 1)].topic;
    event->sequence = (uint64_t)sqlite3_column_int64(stmt, 0);
    event->previous = (uint64_t)sqlite3_column_int64(stmt, 2);
    event->recorded_ms = sqlite3_column_int64(stmt, 3);
    event->id = (char *)sqlite3_column_text(stmt, 5);
    event->webhook_id = (char *)sqlite3_column_text(stmt, 6);
    event->source = (char *)sqlite3_column_text(stmt, 7);
    event->subject = (char *)sqlite3_column_text(stmt, 8);
    event->time = (char *)sqlite3_column_text(stmt, 9);
    event->body_size = (size_t)sqlite3_column_bytes(self->body, 0);
    event->body = event->body_size > 0 ? (char *)sqlite3_column_blob(self->body, 0) : (char *)"";
}

/* Read the body of the row that `events` stands on, and show the event. */
static mailbus_code_t visit_row(reader_t *self, const page_t *page, journal_visit_fn *visit,
                                void *arg, bool *ret_taken, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    event_t event = {0};
    sqlite3_bind_int64(self->body, 1, sqlite3_column_int64(self->events, 0));
    const int step = sqlite3_step(self->body);
    if (step == SQLITE_ROW) {
        lend_event(self, page, &event);
        if (event.id == NULL || event.source == NULL || event.body == NULL) { /* no memory */
            code = mb_db_fail(self->db, error, "reading an event");
        }
        *ret_taken = code == MAILBUS_OK && visit(arg, &event);
    } else if (step == SQLITE_DONE) {
        code = mailbus_fail(error, MAILBUS_EIO, "the body of event %lld is not in the journal",
                            (long long)sqlite3_column_int64(self->events, 0));
    } else {
        code = mb_db_fail(self->db, error, "reading a body");
    }
    sqlite3_reset(self->body);
    return code;
}

static mailbus_code_t read_events(reader_t *self, const mailbus_fetch_t *fetch, page_t *page,
                                  journal_visit_fn *visit, void *arg, mailbus_error_t *error)
{
    const uint32_t limit = fetch->limit > 0 ? fetch->limit : MAILBUS_FETCH_MAX_LIMIT;
    const uint32_t bytes = fetch->bytes > 0 ? fetch->bytes : MAILBUS_FETCH_MAX_BYTES;
    const uint64_t head = page->heads->sequence;
    uint64_t from = fetch->from;
    if (from < (uint64_t)page->oldest) {
        from = (uint64_t)page->oldest;
    }
    page->next = from;
    if (from > head) {
        return MAILBUS_OK;
    }
    sqlite3_bind_int64(self->events, 1, (int64_t)from);
    mailbus_code_t code = MAILBUS_OK;
    uint64_t total = 0;
    uint32_t count = 0;
    bool go_on = true;
    for (int rows = 0; go_on && rows < JOURNAL_READ_ROWS && page->next <= head; rows++) {
        if (sqlite3_step(self->events) != SQLITE_ROW) {
            code = mb_db_fail(self->db, error, "reading the events");
            break;
        }
        const int64_t topic = sqlite3_column_int64(self->events, 1);
        if (topic < 0 || topic >= (int64_t)page->heads->count) {
            code = mailbus_fail(error, MAILBUS_EIO, "the journal's events are damaged");
            break;
        }
        if (page->wanted[topic]) {
            const uint64_t size = (uint64_t)sqlite3_column_int64(self->events, 4);
            if (count == limit || (count > 0 && total + size > bytes)) {
                break;
            }
            code = visit_row(self, page, visit, arg, &go_on, error);
            total += size;
            count++;
        }
        if (code != MAILBUS_OK || !go_on) {
            break;
        }
        page->next = (uint64_t)sqlite3_column_int64(self->events, 0) + 1;
    }
    sqlite3_reset(self->events);
    return code;
}

static mailbus_code_t read_page(reader_t *self, const mailbus_fetch_t *fetch, page_t *page,
                                journal_visit_fn *visit, void *arg, mailbus_error_t *error)
{
    mailbus_code_t code = read_heads(self, page, error);
    if (code == MAILBUS_OK) {
        code = minimum(self, self->oldest_body, (int64_t)page->heads->sequence + 1, &page->oldest,
                       error);
    }
    if (code == MAILBUS_OK) {
        code = choose_topics(page, fetch, error);
    }
    return code == MAILBUS_OK ? read_events(self, fetch, page, visit, arg, error) : code;
}

static mailbus_code_t begin_reading(reader_t *self, mailbus_error_t *error)
{
    return mb_db_run(self->begin, error);
}

/* A read transaction has nothing to undo, so its end can't fail in a way that matters. */
static void end_reading(reader_t *self)
{
    (void)!mb_db_run(self->end, NULL);
}

mailbus_code_t journal_sqlite_reader_fetch(void *reader, const mailbus_fetch_t *fetch,
                                           journal_visit_fn *visit, void *arg, uint64_t *ret_next,
                                           uint64_t *ret_oldest, mailbus_heads_t **ret_heads,
                                           mailbus_error_t *error)
{
    reader_t *self = reader;
    page_t page = {0};
    mailbus_code_t code = begin_reading(self, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = read_page(self, fetch, &page, visit, arg, error);
    end_reading(self);
    free(page.wanted);
    if (code != MAILBUS_OK) {
        mailbus_heads_free(&page.heads);
        return code;
    }
    *ret_next = page.next;
    *ret_oldest = (uint64_t)page.oldest;
    *ret_heads = page.heads;
    return MAILBUS_OK;
}

/* Recorded times never go back along the sequences, and what is kept is dense: halve the range. */
static mailbus_code_t search(reader_t *self, int64_t since_ms, int64_t low, int64_t high,
                             uint64_t *ret_sequence, mailbus_error_t *error)
{
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        int64_t recorded = 0;
        sqlite3_bind_int64(self->recorded, 1, middle);
        const mailbus_code_t code = minimum(self, self->recorded, 0, &recorded, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        if (recorded >= since_ms) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_sequence = (uint64_t)low;
    return MAILBUS_OK;
}

mailbus_code_t journal_sqlite_reader_since(void *reader, int64_t since_ms, uint64_t *ret_sequence,
                                           mailbus_error_t *error)
{
    reader_t *self = reader;
    page_t page = {0};
    int64_t oldest = 0;
    mailbus_code_t code = begin_reading(self, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = read_heads(self, &page, error);
    const int64_t end = code == MAILBUS_OK ? (int64_t)page.heads->sequence + 1 : 0;
    if (code == MAILBUS_OK) {
        code = minimum(self, self->oldest_event, end, &oldest, error);
    }
    if (code == MAILBUS_OK) {
        code = search(self, since_ms, oldest, end, ret_sequence, error);
    }
    end_reading(self);
    mailbus_heads_free(&page.heads);
    return code;
}
