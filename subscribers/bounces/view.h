/* One address as people see it: what the tables hold, and what the machine makes of it. */
#ifndef BOUNCES_VIEW_H
#define BOUNCES_VIEW_H

#include "ledger.h"
#include "limits.h"

/* The columns of `addresses` that view_row wants, in this order. */
#define VIEW_COLUMNS                                                                               \
    "key, shown, sent, delivered, soft, hard, sender, known, notice, rejected, first_ms, last_ms"

typedef struct {
    ledger_lookup_t *lookup;
    limits_t limits;
    int64_t now_ms;
} view_t;

MAILBUS_MUST_USE mailbus_code_t view_open(sqlite3 *db, int64_t now_ms, view_t *ret_view,
                                          mailbus_error_t *error);
void view_close(view_t *view);
/* What the machine says of an address. */
MAILBUS_MUST_USE mailbus_code_t view_judge(const view_t *view, const char *key,
                                           machine_verdict_t *ret_verdict, mailbus_error_t *error);
/* Append the members of one row's object, without its braces. `row` stands on VIEW_COLUMNS. */
MAILBUS_MUST_USE mailbus_code_t view_row(const view_t *view, sqlite3_stmt *row,
                                         const machine_verdict_t *verdict, mailbus_buf_t *out,
                                         mailbus_error_t *error);
/* Append the rows of its history, the newest first: "{…},{…}". */
MAILBUS_MUST_USE mailbus_code_t view_history(sqlite3 *db, const char *key, mailbus_buf_t *out,
                                             mailbus_error_t *error);

#endif
