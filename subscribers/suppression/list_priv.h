/* Between list.c, list_state.c and list_carry.c. */
#ifndef SUPPRESSION_LIST_PRIV_H
#define SUPPRESSION_LIST_PRIV_H

#include "list.h"

enum { STORED_TEXTS = 4 }; /* address, event_id, message_id, note */

/* The machine's state of one key, with what its strings lie in. */
typedef struct {
    state_t state;
    char *texts[REASONS][STORED_TEXTS];
} stored_state_t;

void stored_state_free(stored_state_t *stored);

/* A fact that is noted already: the machine's step, saved. `later` as suppress_step wants it. The
 * state's strings may be the fact's afterwards. */
MAILBUS_MUST_USE mailbus_code_t list_apply(sqlite3 *db, const char *key, const fact_t *fact,
                                           const judgement_t *judgement, stored_state_t *stored,
                                           int64_t later, list_change_t *change,
                                           mailbus_error_t *error);

/* list_state.c: the state of one key as it is stored; to be freed, also where this failed. */
MAILBUS_MUST_USE mailbus_code_t list_load_state(sqlite3 *db, const char *key,
                                                stored_state_t *stored, mailbus_error_t *error);
/* Only whether and when a person took it off. */
MAILBUS_MUST_USE mailbus_code_t list_load_removal(sqlite3 *db, const char *key, state_t *state,
                                                  mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t list_save_evidence(sqlite3 *db, const char *key, reason_t reason,
                                                   const evidence_t *evidence,
                                                   mailbus_error_t *error);
/* The entry, as the state has it, or none. */
MAILBUS_MUST_USE mailbus_code_t list_save_entry(sqlite3 *db, const char *key, const state_t *state,
                                                mailbus_error_t *error);
/* A copy of a column's text; NULL: it is NULL, or no memory. */
char *list_copy_column(sqlite3_stmt *stmt, int column);

#endif
