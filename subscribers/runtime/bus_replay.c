/* The dialogue with the gateway's replay: one request at a time, page by page. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus_internal.h"

void bus_want(bus_t *self, bus_ask_t ask)
{
    self->want_heads |= ask == BUS_ASK_HEADS;
    self->want_page |= ask == BUS_ASK_PAGE;
    self->since_pending |= ask == BUS_ASK_SINCE;
}

void bus_suspect(bus_t *self, bool foreign, int64_t now_ms)
{
    self->foreign_seen |= foreign;
    if (now_ms >= self->heads_not_before_ms) {
        bus_want(self, BUS_ASK_HEADS);
    }
}

void bus_cancel(bus_t *self)
{
    self->asked = BUS_ASK_NOTHING;
    self->request[0] = '\0';
}

/* The open request failed: ask again after a pause that doubles. */
static void back_off(bus_t *self, int64_t now_ms, const char *why)
{
    bus_want(self, self->asked);
    bus_cancel(self);
    int64_t pause_ms = BUS_RETRY_MS;
    for (unsigned i = 0; i < self->failures && pause_ms < BUS_RETRY_MAX_MS; i++) {
        pause_ms *= 2;
    }
    pause_ms = pause_ms > BUS_RETRY_MAX_MS ? BUS_RETRY_MAX_MS : pause_ms;
    self->failures++;
    self->ask_not_before_ms = now_ms + pause_ms;
    mb_metric_add(self->requests_failed, 1);
    mb_log(self->log, MB_WARN, "replay", "asking the gateway for events failed: trying again",
           MB_S("reason", why), MB_I("pause_ms", pause_ms));
}

/* --- asking ------------------------------------------------------------------------------------
 */

static bus_ask_t next_ask(const bus_t *self)
{
    if (self->since_pending) {
        return BUS_ASK_SINCE;
    }
    if (self->want_heads || gap_stream(self->gap)[0] == '\0') {
        return BUS_ASK_HEADS;
    }
    return self->want_page && !self->paused ? BUS_ASK_PAGE : BUS_ASK_NOTHING;
}

static size_t count_names(const char *const *names)
{
    size_t count = 0;
    while (names != NULL && names[count] != NULL) {
        count++;
    }
    return count;
}

static mailbus_code_t encode_request(bus_t *self, bus_ask_t ask, mailbus_buf_t *json,
                                     mailbus_error_t *error)
{
    mailbus_fetch_t fetch = {.kind = ask == BUS_ASK_HEADS ? MAILBUS_REPLAY_HEADS
                                                          : MAILBUS_REPLAY_FETCH};
    snprintf(fetch.request, sizeof fetch.request, "%s-%" PRIu64, self->request_prefix,
             ++self->request_count);
    memcpy(self->request, fetch.request, sizeof self->request);
    /* The encoder only reads the names; its type is the decoder's, which owns them. */
    union {
        const char *const *lent;
        char **names;
    } topics = {self->options.topics}, prefixes = {self->options.prefixes};
    if (ask == BUS_ASK_PAGE) {
        memcpy(fetch.stream, gap_stream(self->gap), sizeof fetch.stream);
        fetch.from = gap_cursor(self->gap) + 1;
        fetch.topics = topics.names;
        fetch.topic_count = count_names(topics.lent);
        fetch.prefixes = prefixes.names;
        fetch.prefix_count = count_names(prefixes.lent);
        fetch.limit =
            BUS_BATCH_EVENTS < MAILBUS_FETCH_MAX_LIMIT ? BUS_BATCH_EVENTS : MAILBUS_FETCH_MAX_LIMIT;
        fetch.bytes = MAILBUS_FETCH_MAX_BYTES;
    } else if (ask == BUS_ASK_SINCE) {
        fetch.has_since = true;
        fetch.since_ms = bus_since(self);
        fetch.limit = 1;
        fetch.bytes = 1; /* one event always comes */
    }
    return mailbus_fetch_encode(&fetch, json, error);
}

static void send_request(bus_t *self, bus_ask_t ask, int64_t now_ms)
{
    if (!self->dealer_up) { /* the socket would keep it for whoever comes, long out of date */
        self->ask_not_before_ms = now_ms + BUS_RETRY_MS;
        return;
    }
    mailbus_error_t error = {0};
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    self->asked = ask;
    mailbus_code_t code = encode_request(self, ask, &json, &error);
    if (code == MAILBUS_OK) {
        const char *verb =
            mailbus_replay_verb(ask == BUS_ASK_HEADS ? MAILBUS_REPLAY_HEADS : MAILBUS_REPLAY_FETCH);
        code = mb_frame_send(self->dealer, verb, strlen(verb), true, &error);
    }
    if (code == MAILBUS_OK) {
        code = mb_frame_send(self->dealer, json.data, json.size, false, &error);
    }
    mailbus_buf_free(&json);
    if (code == MAILBUS_EAGAIN) {
        bus_cancel(self); /* the gateway doesn't read: no failure of ours */
        self->ask_not_before_ms = now_ms + BUS_RETRY_MS;
        return;
    }
    if (code != MAILBUS_OK) {
        back_off(self, now_ms, error.text);
        return;
    }
    self->want_heads &= ask != BUS_ASK_HEADS;
    if (ask == BUS_ASK_HEADS) {
        self->heads_not_before_ms = now_ms + BUS_HEADS_MS;
    }
    self->want_page &= ask != BUS_ASK_PAGE;
    self->answer_until_ms = now_ms + BUS_ANSWER_MS;
    self->highest_when_asked = gap_highest(self->gap);
    self->cursor_when_asked = gap_cursor(self->gap);
    self->page_broken = false;
    self->since_found = false;
}

void bus_ask(bus_t *self, int64_t now_ms)
{
    if (self->asked != BUS_ASK_NOTHING && now_ms >= self->answer_until_ms) {
        back_off(self, now_ms, "no answer");
    }
    if (self->paused && self->asked == BUS_ASK_PAGE) {
        bus_cancel(self);
        self->want_page = true;
    }
    bus_ask_t ask = next_ask(self);
    if (self->asked == BUS_ASK_NOTHING && ask != BUS_ASK_NOTHING &&
        now_ms >= self->ask_not_before_ms && now_ms >= self->write_blocked_until_ms) {
        send_request(self, ask, now_ms);
    }
}

int64_t bus_ask_wait(const bus_t *self, int64_t now_ms)
{
    int64_t when_ms;
    if (self->asked != BUS_ASK_NOTHING) {
        when_ms = self->answer_until_ms;
    } else if (next_ask(self) != BUS_ASK_NOTHING) {
        when_ms = self->ask_not_before_ms > self->write_blocked_until_ms
                      ? self->ask_not_before_ms
                      : self->write_blocked_until_ms;
    } else {
        return BUS_IDLE_MS;
    }
    return when_ms <= now_ms ? 0 : when_ms - now_ms;
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void on_event(bus_t *self, mb_message_t *message, int64_t now_ms)
{
    enum { VERB, REQUEST, TOPIC, HEADER, BODY, FRAMES };
    if (self->asked == BUS_ASK_NOTHING || message->count != FRAMES || message->too_many ||
        strlen(self->request) != mb_message_size(message, REQUEST) ||
        memcmp(self->request, mb_message_data(message, REQUEST), strlen(self->request)) != 0) {
        return; /* of an earlier request */
    }
    self->answer_until_ms = now_ms + BUS_ANSWER_MS;
    mailbus_event_t *event = NULL;
    mailbus_error_t error = {0};
    if (mailbus_event_decode(mb_message_data(message, TOPIC), mb_message_size(message, TOPIC),
                             mb_message_data(message, HEADER), mb_message_size(message, HEADER),
                             mb_message_data(message, BODY), mb_message_size(message, BODY), &event,
                             &error) != MAILBUS_OK) {
        /* Not skipped: that would be a loss. It is asked for again until somebody helps. */
        mb_metric_add(self->malformed, 1);
        mb_log(self->log, MB_ERROR, "replay",
               "the gateway keeps an event that this program can't read: is it newer?",
               MB_S("reason", error.text), MB_U("cursor", gap_cursor(self->gap)));
        self->page_broken = true;
    } else if (self->asked == BUS_ASK_SINCE) {
        self->since_found = true;
        self->since_base = event->sequence - 1;
    } else {
        gap_verdict_t verdict = bus_take(self, &event, mb_message_data(message, HEADER),
                                         mb_message_size(message, HEADER));
        self->page_broken |= verdict == GAP_FETCH || verdict == GAP_FOREIGN;
    }
    mailbus_event_free(&event);
}

/* Below `oldest` nothing is kept any more. */
static void on_trimmed(bus_t *self, const mailbus_answer_t *answer)
{
    uint64_t from;
    uint64_t to;
    if (self->asked != BUS_ASK_PAGE || !gap_trimmed(self->gap, answer->oldest, &from, &to)) {
        return;
    }
    self->note_dirty = true;
    if (!self->beginning) {
        mb_metric_add(self->lost, to - from + 1);
        mb_log(self->log, MB_ERROR, "replay",
               "away for too long: the gateway no longer keeps these sequences, and what they held "
               "for this subscriber is lost",
               MB_U("from", from), MB_U("to", to));
    }
}

/* Which journal is it, and has it gone back in time? Only an answer to a question that was asked
 * later than we took what we have can tell. */
static bool same_journal(bus_t *self, const mailbus_heads_t *heads)
{
    if (gap_stream(self->gap)[0] == '\0') {
        bus_first_contact(self, heads);
        return false;
    }
    if (strcmp(heads->stream, gap_stream(self->gap)) != 0) {
        bus_another_stream(self, heads->stream, false);
        return false;
    }
    if (heads->sequence < self->highest_when_asked) {
        bus_another_stream(self, heads->stream, true);
        return false;
    }
    return true;
}

static void on_heads(bus_t *self, const mailbus_heads_t *heads, int64_t now_ms)
{
    if (same_journal(self, heads)) {
        bus_heard(self, heads, now_ms);
        if (gap_heads(self->gap, heads) == GAP_FETCH) {
            bus_want(self, BUS_ASK_PAGE);
        }
        if (self->foreign_seen && ++self->mismatches == BUS_MISMATCHES) {
            mb_log(self->log, MB_ERROR, "bus",
                   "another journal is published than the one that replay answers from: do "
                   "bus.publish and bus.replay name the same gateway?",
                   MB_S("publish", self->options.publish), MB_S("replay", self->options.replay));
        }
    }
}

static void on_since(bus_t *self, const mailbus_answer_t *answer)
{
    const mailbus_heads_t *heads = answer->heads;
    if (strcmp(heads->stream, self->new_stream) != 0) {
        memcpy(self->new_stream, heads->stream, sizeof self->new_stream);
        return; /* replaced once more: ask that one */
    }
    bus_begin_stream(self, self->since_found   ? self->since_base
                           : answer->next == 0 ? 0
                                               : answer->next - 1);
}

static void on_page(bus_t *self, const mailbus_answer_t *answer, int64_t now_ms)
{
    if (!same_journal(self, answer->heads)) {
        return;
    }
    mb_metric_add(self->pages, 1);
    self->beginning = false;
    gap_page(self->gap, answer->next);
    self->note_dirty = true;
    bus_heard(self, answer->heads, now_ms);
    bool more = gap_heads(self->gap, answer->heads) == GAP_FETCH;
    /* A published event showed a gap that this answer was too early for. */
    bool moved = gap_cursor(self->gap) > self->cursor_when_asked;
    self->gap_at = moved && gap_synced(self->gap) < self->gap_at ? self->gap_at : 0;
    if (more || self->gap_at > 0) {
        bus_want(self, BUS_ASK_PAGE);
    }
}

static void on_end(bus_t *self, const mailbus_answer_t *answer, int64_t now_ms)
{
    bus_ask_t asked = self->asked;
    if (self->page_broken) {
        back_off(self, now_ms, "the page had a hole");
        return;
    }
    bus_cancel(self);
    if (self->failures > 0) {
        self->failures = 0;
        mb_log(self->log, MB_INFO, "replay", "the gateway answers again");
    }
    switch (asked) {
    case BUS_ASK_HEADS:
        on_heads(self, answer->heads, now_ms);
        break;
    case BUS_ASK_SINCE:
        on_since(self, answer);
        break;
    case BUS_ASK_PAGE:
        on_page(self, answer, now_ms);
        break;
    case BUS_ASK_NOTHING:
        break;
    }
}

static void on_error(bus_t *self, const mailbus_answer_t *answer, int64_t now_ms)
{
    char why[320];
    snprintf(why, sizeof why, "%d %s", answer->code, answer->message);
    if (answer->code == 404 && self->asked == BUS_ASK_PAGE) {
        bus_cancel(self);
        bus_want(self, BUS_ASK_HEADS); /* another stream: ask which */
        return;
    }
    back_off(self, now_ms, why);
}

static void on_answer(bus_t *self, mb_message_t *message, int64_t now_ms)
{
    mailbus_answer_t *answer = NULL;
    mailbus_error_t error = {0};
    if (message->count != 2 ||
        mailbus_answer_decode(mb_message_data(message, 0), mb_message_size(message, 0),
                              mb_message_data(message, 1), mb_message_size(message, 1), &answer,
                              &error) != MAILBUS_OK) {
        mb_metric_add(self->malformed, 1);
        mb_log(self->log, MB_WARN, "replay", "the gateway's answer can't be read",
               MB_S("reason", error.text));
        return;
    }
    bool ours = self->asked != BUS_ASK_NOTHING && strcmp(answer->request, self->request) == 0;
    if (ours && answer->kind == MAILBUS_REPLAY_TRIMMED) {
        on_trimmed(self, answer);
    } else if (ours && answer->kind == MAILBUS_REPLAY_END) {
        on_end(self, answer, now_ms);
    } else if (ours && answer->kind == MAILBUS_REPLAY_ERROR) {
        on_error(self, answer, now_ms);
    }
    mailbus_answer_free(&answer);
}

void bus_read_dealer(bus_t *self, int64_t now_ms)
{
    static const char event[] = "EVENT";
    for (int i = 0; i < BUS_BATCH_EVENTS && bus_batch_room(self); i++) {
        mb_message_t message;
        if (mb_message_receive(self->dealer, &message, NULL) != MAILBUS_OK) {
            return;
        }
        if (mb_message_size(&message, 0) == sizeof event - 1 &&
            memcmp(mb_message_data(&message, 0), event, sizeof event - 1) == 0) {
            on_event(self, &message, now_ms);
        } else {
            on_answer(self, &message, now_ms);
        }
        mb_message_close(&message);
    }
}
