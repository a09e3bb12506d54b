/* The reading side of the ledger. */
#include <stdlib.h>

#include "db.h"
#include "ledger.h"

enum { DELIVERED, LATEST, SOFT, REASON, STATEMENTS };

static const char *const SQL[STATEMENTS] = {
    [DELIVERED] = "SELECT delivered_ms FROM addresses WHERE key = ?1",
    [LATEST] = "SELECT coalesce(max(time_ms), 0) FROM history WHERE key = ?1 AND kind = ?2",
    [SOFT] = "SELECT time_ms FROM history WHERE key = ?1 AND kind = 'soft'",
    /* in one piece for clang, which takes the comma for forgotten */
    [REASON] = ("SELECT status, type, sub_type, reason FROM history WHERE key = ?1 AND (kind = ?2"
                " OR (?2 IS NULL AND kind <> 'cleared')) ORDER BY time_ms DESC, event_id DESC"
                " LIMIT 1"),
};

struct ledger_lookup {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

mailbus_code_t ledger_lookup_new(sqlite3 *db, ledger_lookup_t **ret_self, mailbus_error_t *error)
{
    ledger_lookup_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->db = db;
    mailbus_code_t code = MAILBUS_OK;
    for (int i = 0; i < STATEMENTS && code == MAILBUS_OK; i++) {
        code = mb_db_prepare(db, SQL[i], &self->statements[i], error);
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        ledger_lookup_destroy(&self);
    }
    return code;
}

void ledger_lookup_destroy(ledger_lookup_t **self_p)
{
    ledger_lookup_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(self->statements[i]);
    }
    free(self);
}

/* Give every row's time to the machine as `kind`. 0 is no time. */
static mailbus_code_t add_times(const ledger_lookup_t *self, int which, const char *key,
                                fact_kind_t kind, machine_facts_t *facts, mailbus_error_t *error)
{
    sqlite3_stmt *query = self->statements[which];
    mailbus_code_t code = MAILBUS_OK;
    sqlite3_bind_text(query, 1, key, -1, SQLITE_STATIC);
    if (which == LATEST) {
        sqlite3_bind_text(query, 2, fact_name(kind), -1, SQLITE_STATIC);
    }
    int step;
    while ((step = sqlite3_step(query)) == SQLITE_ROW) {
        if (sqlite3_column_int64(query, 0) > 0) {
            machine_add(facts, kind, sqlite3_column_int64(query, 0));
        }
    }
    if (step != SQLITE_DONE) {
        code = mb_db_fail(self->db, error, "reading the addresses");
    }
    sqlite3_reset(query);
    sqlite3_clear_bindings(query);
    return code;
}

mailbus_code_t ledger_facts(ledger_lookup_t *self, const char *key, machine_facts_t *ret_facts,
                            mailbus_error_t *error)
{
    machine_facts_t facts = MACHINE_FACTS_INIT;
    mailbus_code_t code = add_times(self, DELIVERED, key, FACT_DELIVERED, &facts, error);
    if (code == MAILBUS_OK) {
        code = add_times(self, LATEST, key, FACT_HARD, &facts, error);
    }
    if (code == MAILBUS_OK) {
        code = add_times(self, LATEST, key, FACT_CLEARED, &facts, error);
    }
    if (code == MAILBUS_OK) {
        code = add_times(self, SOFT, key, FACT_SOFT, &facts, error);
    }
    if (code == MAILBUS_OK) {
        *ret_facts = facts;
    }
    return code;
}

/* "5.1.1 Permanent/General", of what is there. */
static void write_reason(sqlite3_stmt *row, mailbus_buf_t *out)
{
    const char *status = (const char *)sqlite3_column_text(row, 0);
    const char *type = (const char *)sqlite3_column_text(row, 1);
    const char *sub_type = (const char *)sqlite3_column_text(row, 2);
    const char *reason = (const char *)sqlite3_column_text(row, 3);
    const char *separator = "";
    if (status != NULL) {
        mailbus_buf_text(out, status);
        separator = " ";
    }
    if (type != NULL) {
        mailbus_buf_printf(out, "%s%s", separator, type);
        separator = "/";
    }
    if (sub_type != NULL) {
        mailbus_buf_printf(out, "%s%s", separator, sub_type);
        separator = " ";
    }
    if (reason != NULL) {
        mailbus_buf_printf(out, "%s%s", separator[0] == '\0' ? "" : ": ", reason);
    }
}

mailbus_code_t ledger_reason(ledger_lookup_t *self, const char *key, fact_kind_t kind,
                             mailbus_buf_t *out, mailbus_error_t *error)
{
    sqlite3_stmt *query = self->statements[REASON];
    mailbus_code_t code = MAILBUS_OK;
    sqlite3_bind_text(query, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(query, 2, kind == FACT_KINDS ? NULL : fact_name(kind), -1, SQLITE_STATIC);
    int step = sqlite3_step(query);
    if (step == SQLITE_ROW) {
        write_reason(query, out);
    } else if (step != SQLITE_DONE) {
        code = mb_db_fail(self->db, error, "reading the addresses");
    }
    sqlite3_reset(query);
    sqlite3_clear_bindings(query);
    return code;
}
