/* One page of a FETCH: read in one short transaction, kept as messages, then sent. */
#ifndef REPLAY_PAGE_H
#define REPLAY_PAGE_H

#include "gateway_account.h"
#include "journal.h"

typedef struct {
    uint64_t sequence;
    zmq_msg_t topic, header, body; /* identical to what was published */
} replay_entry_t;

typedef struct {
    replay_entry_t *entries; /* room for MAILBUS_FETCH_MAX_LIMIT */
    size_t count;
    uint64_t next;   /* where the next page begins */
    uint64_t oldest; /* the oldest sequence whose body is still kept */
    bool trimmed;    /* part of what was wanted is gone (or may be, where a time was given) */
    mailbus_heads_t *heads; /* as of the same transaction */
    /* While reading. */
    const char *stream;
    gateway_account_t *account;
    mailbus_buf_t buffer;
    mailbus_code_t failure;
} replay_page_t;

/* Room for a page, to be used again and again. */
MAILBUS_MUST_USE mailbus_code_t replay_page_init(replay_page_t *self, mailbus_error_t *error);
void replay_page_free(replay_page_t *self); /* takes half-made and cleared ones */

/* Read what `fetch` wants, at most `max_events`; HEADS reads no events. Bodies are charged to
 * `account`. On OK the page is cleared with replay_page_clear. */
MAILBUS_MUST_USE mailbus_code_t replay_page_read(replay_page_t *self, journal_reader_t *reader,
                                                 const mailbus_fetch_t *fetch, size_t max_events,
                                                 const char *stream, gateway_account_t *account,
                                                 mailbus_error_t *error);
void replay_page_clear(replay_page_t *self);

#endif
