/* What is published: events and heads on the SUB socket. */
#include <string.h>

#include "bus_internal.h"

static void malformed(bus_t *self, const char *what, const mailbus_error_t *error)
{
    mb_metric_add(self->malformed, 1);
    mb_log(self->log, MB_WARN, "bus", what, MB_S("reason", error->text));
}

/* Heads say what is missing, and that the gateway lives. Which journal it has is decided by an
 * answer that was asked for (bus_replay.c): what waits in a queue may be old. */
static void read_heads(bus_t *self, mb_message_t *message, int64_t now_ms)
{
    mailbus_heads_t *heads = NULL;
    mailbus_error_t error = {0};
    if (message->count != 3 ||
        mailbus_heads_decode(mb_message_data(message, 1), mb_message_size(message, 1),
                             mb_message_data(message, 2), mb_message_size(message, 2), &heads,
                             &error) != MAILBUS_OK) {
        malformed(self, "the gateway published heads that can't be read", &error);
        return;
    }
    self->heads_ms = now_ms;
    gap_verdict_t verdict = gap_heads(self->gap, heads);
    if (verdict == GAP_FOREIGN || verdict == GAP_BEHIND) {
        bus_suspect(self, verdict == GAP_FOREIGN, now_ms);
    } else {
        self->foreign_seen = false;
        self->mismatches = 0;
        bus_heard(self, heads, now_ms);
        if (verdict == GAP_FETCH && !self->paused) {
            bus_want(self, BUS_ASK_PAGE);
        }
    }
    mailbus_heads_free(&heads);
}

/* ZeroMQ's filter is a prefix: what nobody asked for is left before it is decoded. */
static bool wanted_topic(const bus_t *self, const void *data, size_t size)
{
    char topic[MAILBUS_TOPIC_MAX + 1];
    if (size > MAILBUS_TOPIC_MAX) {
        return false;
    }
    memcpy(topic, data, size);
    topic[size] = '\0';
    return strlen(topic) == size && strncmp(topic, MAILBUS_RESERVED, 4) != 0 &&
           gap_matches(self->gap, topic);
}

static void read_event(bus_t *self, mb_message_t *message, int64_t now_ms)
{
    mailbus_event_t *event = NULL;
    mailbus_error_t error = {0};
    if (!wanted_topic(self, mb_message_data(message, 0), mb_message_size(message, 0))) {
        return;
    }
    if (self->paused) {
        mb_metric_add(self->dropped_full, 1); /* replay brings it when there is room */
        return;
    }
    if (message->count != 3 || message->too_many ||
        mailbus_event_decode(mb_message_data(message, 0), mb_message_size(message, 0),
                             mb_message_data(message, 1), mb_message_size(message, 1),
                             mb_message_data(message, 2), mb_message_size(message, 2), &event,
                             &error) != MAILBUS_OK) {
        malformed(self, "the gateway published an event that can't be read", &error);
        return;
    }
    uint64_t sequence = event->sequence;
    switch (bus_take(self, &event, mb_message_data(message, 1), mb_message_size(message, 1))) {
    case GAP_FETCH:
        mb_metric_add(self->gaps, 1);
        self->gap_at = sequence > self->gap_at ? sequence : self->gap_at;
        bus_want(self, BUS_ASK_PAGE);
        break;
    case GAP_FOREIGN:
        bus_suspect(self, true, now_ms);
        break;
    default:
        break;
    }
}

void bus_read_sub(bus_t *self, int64_t now_ms)
{
    /* Bounded also where nothing is kept, so that the loop gets to its other duties. */
    for (int i = 0; i < BUS_BATCH_EVENTS && bus_batch_room(self); i++) {
        mb_message_t message;
        if (mb_message_receive(self->sub, &message, NULL) != MAILBUS_OK) {
            return;
        }
        static const char heads[] = MAILBUS_TOPIC_HEADS;
        if (mb_message_size(&message, 0) == sizeof heads - 1 &&
            memcmp(mb_message_data(&message, 0), heads, sizeof heads - 1) == 0) {
            read_heads(self, &message, now_ms);
        } else {
            read_event(self, &message, now_ms);
        }
        mb_message_close(&message);
    }
}
