/* The numbers of the journal: the next sequence, and the last one of every topic.
 *
 * The journal's thread gives numbers out (journal_heads_take) between begin and commit or rollback;
 * any thread may copy what is committed. A rollback gives the numbers back, so they stay dense. */
#ifndef GATEWAY_JOURNAL_HEADS_H
#define GATEWAY_JOURNAL_HEADS_H

#include <pthread.h>

#include "mailbus/heads.h"

typedef struct journal_heads journal_heads_t;

journal_heads_t *journal_heads_new(void); /* NULL without memory */
void journal_heads_destroy(journal_heads_t **self_p);
/* While opening, once the store knows it. */
void journal_heads_set_stream(journal_heads_t *self, const char *stream);
/* A committed topic with its head, while opening. Indexes are given in order, from 0. EFULL beyond
 * MAILBUS_HEADS_MAX_TOPICS, EEXIST for a name that is there. */
MAILBUS_MUST_USE mailbus_code_t journal_heads_load(journal_heads_t *self, const char *topic,
                                                   uint64_t head);

void journal_heads_begin(journal_heads_t *self);
/* The number of the next event on `topic`. EFULL: a new topic beyond MAILBUS_HEADS_MAX_TOPICS;
 * ENOMEM. Nothing changes on failure. */
MAILBUS_MUST_USE mailbus_code_t journal_heads_take(journal_heads_t *self, const char *topic,
                                                   uint64_t *ret_sequence, uint64_t *ret_previous,
                                                   size_t *ret_index);
void journal_heads_commit(journal_heads_t *self);
void journal_heads_rollback(journal_heads_t *self);

/* The numbers as the journal's thread sees them, those of an open transaction included. Lent. */
const mailbus_heads_t *journal_heads_view(const journal_heads_t *self);
/* What is committed; any thread; freed by the caller. */
MAILBUS_MUST_USE mailbus_code_t journal_heads_copy(journal_heads_t *self,
                                                   mailbus_heads_t **ret_heads);

#endif
