/* What is known about each address, in the subscriber's own database.
 *
 * Two kinds of things are kept, and both come out the same in whatever order events arrive: sums
 * and extremes (table addresses), and the newest LEDGER_ROWS events of each kind per address (table
 * history; sent and delivered mails have none, they are sums and a latest time). The state is not
 * stored: machine_judge works it out from these. */
#ifndef BOUNCES_LEDGER_H
#define BOUNCES_LEDGER_H

#include <sqlite3.h>

#include "machine.h"
#include "report.h"

/* Rows of one kind that an address keeps. The machine looks at as many soft bounces. */
#define LEDGER_ROWS MACHINE_SOFT_MAX

extern const char ledger_schema[]; /* of all of the program's tables */

/* Take one event in, in a transaction of the caller's. An event that the history has already
 * changes nothing. */
MAILBUS_MUST_USE mailbus_code_t ledger_add(sqlite3 *db, const report_t *report, int64_t now_ms,
                                           mailbus_error_t *error);
/* A person clears an address: ENOTFOUND where nothing is known about it. `reason`: one line. */
MAILBUS_MUST_USE mailbus_code_t ledger_clear(sqlite3 *db, const char *key, const char *reason,
                                             int64_t now_ms, mailbus_error_t *error);

/* One line of the history. Texts may be NULL but for the key and the id. */
typedef struct {
    const char *key, *event_id;
    fact_kind_t kind;
    int64_t time_ms;
    const char *type, *sub_type, *status, *inbox, *message_id, *reason;
} ledger_row_t;

/* After a rebuild: rows that the journal did not give. A writer holds prepared statements; it
 * belongs to one connection, and ends before that does. */
typedef struct ledger_writer ledger_writer_t;

MAILBUS_MUST_USE mailbus_code_t ledger_writer_new(sqlite3 *db, ledger_writer_t **ret_self,
                                                  mailbus_error_t *error);
void ledger_writer_destroy(ledger_writer_t **self_p);
/* Counts the row where it is new here, and passes over what is older than all that is kept of its
 * kind: that may have been here. The address must be there. */
MAILBUS_MUST_USE mailbus_code_t ledger_carry_row(ledger_writer_t *self, const ledger_row_t *row,
                                                 mailbus_error_t *error);

/* --- looking ------------------------------------------------------------------------------------
 * A lookup holds prepared statements; it belongs to one connection, and ends before that does. */
typedef struct ledger_lookup ledger_lookup_t;

MAILBUS_MUST_USE mailbus_code_t ledger_lookup_new(sqlite3 *db, ledger_lookup_t **ret_self,
                                                  mailbus_error_t *error);
void ledger_lookup_destroy(ledger_lookup_t **self_p);
/* What the machine wants to know. An address that is not known has no facts. */
MAILBUS_MUST_USE mailbus_code_t ledger_facts(ledger_lookup_t *self, const char *key,
                                             machine_facts_t *ret_facts, mailbus_error_t *error);
/* Append the words for the newest bounce of that kind (FACT_KINDS: of any), "5.1.1
 * Permanent/General"; nothing where there is none. */
MAILBUS_MUST_USE mailbus_code_t ledger_reason(ledger_lookup_t *self, const char *key,
                                              fact_kind_t kind, mailbus_buf_t *out,
                                              mailbus_error_t *error);

#endif
