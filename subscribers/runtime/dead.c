#include "dead.h"

#include <inttypes.h>

static mailbus_code_t not_found(int64_t number, mailbus_error_t *error)
{
    return mailbus_fail(error, MAILBUS_ENOTFOUND, "there is no dead letter %" PRId64, number);
}

/* Columns 0..8 are the same in both queries; a list has no frames. */
static void visit_row(sqlite3_stmt *query, bool frames, dead_visit_fn *visit, void *arg)
{
    dead_letter_t letter = {
        .number = sqlite3_column_int64(query, 0),
        .sequence = (uint64_t)sqlite3_column_int64(query, 1),
        .id = (const char *)sqlite3_column_text(query, 2),
        .topic = (const char *)sqlite3_column_text(query, 3),
        .reason = (const char *)sqlite3_column_text(query, 4),
        .attempts = (unsigned)sqlite3_column_int64(query, 5),
        .crashes = (unsigned)sqlite3_column_int64(query, 6),
        .first_ms = sqlite3_column_int64(query, 7),
        .set_aside_ms = sqlite3_column_int64(query, 8),
    };
    if (frames) {
        letter.header = sqlite3_column_blob(query, 9);
        letter.header_size = (size_t)sqlite3_column_bytes(query, 9);
        letter.body = sqlite3_column_blob(query, 10);
        letter.body_size = (size_t)sqlite3_column_bytes(query, 10);
    }
    visit(arg, &letter);
}

mailbus_code_t dead_list(store_t *store, int64_t after, size_t limit, dead_visit_fn *visit,
                         void *arg, mailbus_error_t *error)
{
    sqlite3_stmt *query = NULL;
    mailbus_code_t code =
        mb_db_prepare(store_db(store),
                      "SELECT number,sequence,id,topic,reason,attempts,crashes,first,set_aside"
                      " FROM mailbus_dead WHERE number>?1 ORDER BY number LIMIT ?2",
                      &query, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_bind_int64(query, 1, after);
    sqlite3_bind_int64(query, 2, (int64_t)(limit > DEAD_LIST_MAX ? DEAD_LIST_MAX : limit));
    int step;
    while ((step = sqlite3_step(query)) == SQLITE_ROW) {
        visit_row(query, false, visit, arg);
    }
    if (step != SQLITE_DONE) {
        code = mb_db_fail(store_db(store), error, "reading the dead letters");
    }
    sqlite3_finalize(query);
    return code;
}

mailbus_code_t dead_show(store_t *store, int64_t number, dead_visit_fn *visit, void *arg,
                         mailbus_error_t *error)
{
    sqlite3_stmt *query = NULL;
    mailbus_code_t code = mb_db_prepare(
        store_db(store),
        "SELECT number,sequence,id,topic,reason,attempts,crashes,first,set_aside,header,body"
        " FROM mailbus_dead WHERE number=?1",
        &query, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_bind_int64(query, 1, number);
    int step = sqlite3_step(query);
    if (step == SQLITE_ROW) {
        visit_row(query, true, visit, arg);
    } else if (step == SQLITE_DONE) {
        code = not_found(number, error);
    } else {
        code = mb_db_fail(store_db(store), error, "reading the dead letters");
    }
    sqlite3_finalize(query);
    return code;
}

mailbus_code_t dead_drop(store_t *store, int64_t number, mailbus_error_t *error)
{
    sqlite3_stmt *drop = NULL;
    mailbus_code_t code =
        mb_db_prepare(store_db(store), "DELETE FROM mailbus_dead WHERE number=?1", &drop, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_bind_int64(drop, 1, number);
    code = mb_db_run(drop, error);
    if (code == MAILBUS_OK && sqlite3_changes64(store_db(store)) == 0) {
        code = not_found(number, error);
    }
    sqlite3_finalize(drop);
    return code;
}

mailbus_code_t dead_retry(store_t *store, int64_t number, int64_t row, int64_t now_ms,
                          int64_t *ret_size, mailbus_error_t *error)
{
    sqlite3_stmt *copy = NULL;
    /* Due now, not 0: so it takes the way of the retries, past whatever waits untried. */
    mailbus_code_t code = mb_db_prepare(
        store_db(store),
        "INSERT INTO mailbus_inbox(number,sequence,id,topic,header,body,first,due)"
        " SELECT nullif(?2,0),sequence,id,topic,header,body,?3,?3 FROM mailbus_dead WHERE "
        "number=?1"
        " RETURNING length(topic)+length(header)+length(body)",
        &copy, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    sqlite3_bind_int64(copy, 1, number);
    sqlite3_bind_int64(copy, 2, row);
    sqlite3_bind_int64(copy, 3, now_ms);
    int64_t size = 0;
    int step = sqlite3_step(copy);
    if (step == SQLITE_ROW) {
        size = sqlite3_column_int64(copy, 0);
        step = sqlite3_step(copy);
    } else if (step == SQLITE_DONE) {
        code = not_found(number, error);
    }
    if (step != SQLITE_DONE) {
        code = mb_db_fail(store_db(store), error, "putting the event back");
    }
    sqlite3_finalize(copy);
    if (code == MAILBUS_OK) {
        code = dead_drop(store, number, error);
    }
    if (code == MAILBUS_OK && ret_size != NULL) {
        *ret_size = size;
    }
    return code;
}
