#include "replay_page.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

mailbus_code_t replay_page_init(replay_page_t *self, mailbus_error_t *error)
{
    *self = (replay_page_t){.buffer = MAILBUS_BUF_INIT};
    self->entries = calloc(MAILBUS_FETCH_MAX_LIMIT, sizeof *self->entries);
    return self->entries != NULL
               ? MAILBUS_OK
               : mailbus_fail(error, MAILBUS_ENOMEM, "no memory for pages of events");
}

void replay_page_free(replay_page_t *self)
{
    replay_page_clear(self);
    free(self->entries);
    self->entries = NULL;
    mailbus_buf_free(&self->buffer);
}

void replay_page_clear(replay_page_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        zmq_msg_close(&self->entries[i].topic);
        zmq_msg_close(&self->entries[i].header);
        zmq_msg_close(&self->entries[i].body);
    }
    self->count = 0;
    mailbus_heads_free(&self->heads);
}

static mailbus_code_t entry_fill(replay_page_t *self, replay_entry_t *entry, const event_t *event)
{
    mailbus_buf_clear(&self->buffer);
    mailbus_code_t code = event_header(event, self->stream, &self->buffer, NULL);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = gateway_frame_copy(event->topic, strlen(event->topic), &entry->topic);
    if (code != MAILBUS_OK) {
        return code;
    }
    code = gateway_frame_copy(self->buffer.data, self->buffer.size, &entry->header);
    if (code == MAILBUS_OK) {
        code = gateway_parcel_copy(self->account, event->body, event->body_size, &entry->body);
        if (code == MAILBUS_OK) {
            entry->sequence = event->sequence;
            return MAILBUS_OK;
        }
        zmq_msg_close(&entry->header);
    }
    zmq_msg_close(&entry->topic);
    return code;
}

/* A journal_visit_fn. */
static bool visit(void *arg, const event_t *event)
{
    replay_page_t *self = arg;
    assert(self->count < MAILBUS_FETCH_MAX_LIMIT); /* the request's limit is at most that */
    self->failure = entry_fill(self, &self->entries[self->count], event);
    if (self->failure != MAILBUS_OK) {
        return false;
    }
    self->count++;
    return true;
}

/* What to ask the journal for: a time becomes a sequence, numbers fit the journal's. */
static mailbus_code_t resolve(journal_reader_t *reader, const mailbus_fetch_t *fetch,
                              size_t max_events, mailbus_fetch_t *ret_wanted,
                              mailbus_error_t *error)
{
    mailbus_fetch_t wanted = *fetch;
    if (fetch->kind == MAILBUS_REPLAY_HEADS) {
        wanted.from = INT64_MAX; /* behind every event: only the figures */
    } else if (fetch->has_since) {
        mailbus_code_t code = journal_reader_since(reader, fetch->since_ms, &wanted.from, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    if (wanted.from > INT64_MAX) {
        wanted.from = INT64_MAX;
    }
    if (wanted.limit == 0 || wanted.limit > max_events) {
        wanted.limit = (uint32_t)max_events;
    }
    if (wanted.bytes == 0 || wanted.bytes > MAILBUS_FETCH_MAX_BYTES) {
        wanted.bytes = MAILBUS_FETCH_MAX_BYTES;
    }
    *ret_wanted = wanted;
    return MAILBUS_OK;
}

/* From 0 means the oldest there is, so nothing of it can be missing. A time that leads to the
 * oldest event may have meant earlier ones that are gone by now; nobody can tell, so it is said. */
static bool is_trimmed(const mailbus_fetch_t *fetch, uint64_t from, uint64_t oldest)
{
    if (fetch->kind != MAILBUS_REPLAY_FETCH) {
        return false;
    }
    return fetch->has_since ? oldest > 1 && from <= oldest : from > 0 && from < oldest;
}

mailbus_code_t replay_page_read(replay_page_t *self, journal_reader_t *reader,
                                const mailbus_fetch_t *fetch, size_t max_events, const char *stream,
                                gateway_account_t *account, mailbus_error_t *error)
{
    assert(self->count == 0 && self->heads == NULL);
    assert(max_events > 0 && max_events <= MAILBUS_FETCH_MAX_LIMIT);
    mailbus_fetch_t wanted;
    mailbus_code_t code = resolve(reader, fetch, max_events, &wanted, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    self->stream = stream;
    self->account = account;
    self->failure = MAILBUS_OK;
    code = journal_reader_fetch(reader, &wanted, visit, self, &self->next, &self->oldest,
                                &self->heads, error);
    if (code == MAILBUS_OK && self->failure != MAILBUS_OK && self->count == 0) {
        /* A shorter page is no failure, but one without its first event would be asked for again
         * and again. */
        code = mailbus_fail(error, self->failure, "an event can't be made into a message: %s",
                            mailbus_code_name(self->failure));
    }
    if (code != MAILBUS_OK) {
        replay_page_clear(self);
        return code;
    }
    if (fetch->kind == MAILBUS_REPLAY_HEADS) {
        self->next = self->heads->sequence + 1;
    }
    self->trimmed = is_trimmed(fetch, wanted.from, self->oldest);
    return MAILBUS_OK;
}
