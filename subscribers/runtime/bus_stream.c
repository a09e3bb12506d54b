/* Which journal this is: first contact, another journal, and the note that survives a restart. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus_internal.h"
#include "clock.h"

/* The note: "<contact ms> <recorded ms>\n" and gap_encode's text. */

mailbus_code_t bus_note_encode(bus_t *self, mailbus_error_t *error)
{
    mailbus_buf_clear(&self->note);
    mailbus_buf_printf(&self->note, "%" PRId64 " %" PRId64 "\n", self->contact_ms,
                       self->recorded_ms);
    return gap_encode(self->gap, &self->note, error);
}

static mailbus_code_t note_decode(bus_t *self, const char *text, mailbus_error_t *error)
{
    int64_t contact_ms;
    int64_t recorded_ms;
    const char *end = strchr(text, '\n');
    if (end == NULL || sscanf(text, "%" SCNd64 " %" SCNd64, &contact_ms, &recorded_ms) != 2) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the stored cursor is malformed");
    }
    mailbus_code_t code = gap_decode(self->gap, end + 1, error);
    if (code == MAILBUS_OK) {
        self->contact_ms = contact_ms;
        self->recorded_ms = recorded_ms;
    }
    return code;
}

static mailbus_code_t read_note(store_t *store, void *arg, mailbus_error_t *error)
{
    return store_get(store, "gap", arg, error);
}

mailbus_code_t bus_note_load(bus_t *self, mailbus_error_t *error)
{
    char *text = NULL;
    mailbus_code_t code = inbox_with_store(self->inbox, read_note, &text, error);
    if (code == MAILBUS_OK && text != NULL) {
        code = note_decode(self, text, error);
    }
    if (code == MAILBUS_OK) {
        code = bus_note_encode(self, error);
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_clear(&self->saved);
        mailbus_buf_append(&self->saved, self->note.data, self->note.size);
    }
    free(text);
    return code;
}

void bus_note_restore(bus_t *self)
{
    mailbus_error_t error;
    if (note_decode(self, self->saved.data, &error) != MAILBUS_OK) {
        bus_fail(self, error.text); /* no memory: the file has it, a restart reads it */
    }
}

int64_t bus_since(const bus_t *self)
{
    int64_t contact_ms = self->contact_ms - BUS_CONTACT_SLACK_MS;
    int64_t recorded_ms = self->recorded_ms + 1;
    int64_t since_ms = recorded_ms > contact_ms ? recorded_ms : contact_ms;
    return since_ms > 0 ? since_ms : 0;
}

void bus_begin_stream(bus_t *self, uint64_t base)
{
    self->since_pending = false;
    self->gap_at = 0;
    self->beginning = base == 0;
    gap_reset(self->gap, self->new_stream, base);
    self->contact_ms = mb_clock_wall_ms();
    self->note_dirty = true;
    self->note_saved_ms = 0; /* now */
    mb_log(self->log, MB_INFO, "bus", "position in the journal", MB_S("stream", self->new_stream),
           MB_U("after", base));
    bus_want(self, BUS_ASK_PAGE);
}

void bus_first_contact(bus_t *self, const mailbus_heads_t *heads)
{
    memcpy(self->new_stream, heads->stream, sizeof self->new_stream);
    bus_begin_stream(self, self->options.start_oldest ? 0 : heads->sequence);
}

void bus_another_stream(bus_t *self, const char *stream, bool back)
{
    const char *what = back ? "the gateway's journal went back in time, as after a restored backup"
                            : "the gateway has another journal";
    bus_policy_t policy = self->options.new_stream;
    if (back && policy == BUS_OLDEST) {
        policy = BUS_RESTART; /* the beginning is the same: it would all be handled twice */
    }
    mb_metric_add(self->streams, 1);
    bus_cancel(self);
    if (policy == BUS_STOP) {
        char reason[256];
        snprintf(reason, sizeof reason,
                 "%s; bus.new_stream=stop: start once with restart or oldest to go on with it",
                 what);
        bus_fail(self, reason);
        return;
    }
    mb_log(self->log, MB_WARN, "bus", what, MB_S("old_stream", gap_stream(self->gap)),
           MB_S("stream", stream), MB_U("cursor", gap_cursor(self->gap)),
           MB_S("policy", policy == BUS_OLDEST
                              ? "take everything that the new one keeps"
                              : "go on with what was recorded since the last contact"));
    memcpy(self->new_stream, stream, strlen(stream) + 1);
    if (policy == BUS_OLDEST) {
        bus_begin_stream(self, 0);
    } else {
        bus_want(self, BUS_ASK_SINCE);
    }
}
