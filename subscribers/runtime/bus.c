/* The thread: what it waits for, and the transaction at the end of each turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus_internal.h"
#include "clock.h"

/* --- the state that others look at --------------------------------------------------------------
 */

void bus_set_positioned(bus_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool changed = !self->positioned;
    self->positioned = true;
    pthread_mutex_unlock(&self->lock);
    if (changed && self->options.notify != NULL) {
        self->options.notify(self->options.notify_arg);
    }
}

void bus_fail(bus_t *self, const char *reason)
{
    pthread_mutex_lock(&self->lock);
    self->failed = true;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    pthread_mutex_unlock(&self->lock);
    if (self->options.notify != NULL) {
        self->options.notify(self->options.notify_arg);
    }
}

bool bus_positioned(bus_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool positioned = self->positioned;
    pthread_mutex_unlock(&self->lock);
    return positioned;
}

bool bus_caught_up(bus_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool caught_up = self->caught_up;
    pthread_mutex_unlock(&self->lock);
    return caught_up;
}

bool bus_failed(bus_t *self, char *reason, size_t size)
{
    pthread_mutex_lock(&self->lock);
    bool failed = self->failed;
    if (failed) {
        snprintf(reason, size, "%s", self->reason);
    }
    pthread_mutex_unlock(&self->lock);
    return failed;
}

bool bus_ready(bus_t *self, char *reason, size_t size)
{
    pthread_mutex_lock(&self->lock);
    const char *why = self->failed        ? self->reason
                      : !self->heard      ? "no heads from the gateway"
                      : !self->positioned ? "the place in the gateway's journal is not known yet"
                      : self->pausing     ? "the inbox is full: intake pauses"
                                          : NULL;
    if (why != NULL) {
        snprintf(reason, size, "%s", why);
    }
    pthread_mutex_unlock(&self->lock);
    return why == NULL;
}

void bus_heard(bus_t *self, const mailbus_heads_t *heads, int64_t now_ms)
{
    self->contact_ms = mb_clock_wall_ms();
    self->note_dirty = true;
    self->heads_ms = now_ms;
    self->head = heads->sequence > self->head ? heads->sequence : self->head;
}

/* Heads come every second; say once that they don't, and once that they do again. */
static void look_for_silence(bus_t *self, int64_t now_ms)
{
    bool silent = now_ms - self->heads_ms >= BUS_SILENCE_MS;
    bool heard = !silent && gap_stream(self->gap)[0] != '\0';
    pthread_mutex_lock(&self->lock);
    self->heard = heard;
    self->pausing = self->paused;
    pthread_mutex_unlock(&self->lock);
    if (silent == self->silent) {
        return;
    }
    self->silent = silent;
    if (silent) {
        mb_log(self->log, MB_WARN, "bus",
               "nothing is heard from the gateway: is it running, and is this its address?",
               MB_S("publish", self->options.publish), MB_S("replay", self->options.replay));
    } else {
        mb_log(self->log, MB_INFO, "bus", "the gateway is heard again");
    }
}

/* --- taking in ----------------------------------------------------------------------------------
 */

bool bus_batch_room(const bus_t *self)
{
    return self->batch_count < BUS_BATCH_EVENTS && self->batch_bytes < BUS_BATCH_BYTES;
}

static void keep(bus_t *self, mailbus_event_t **event_p, const void *header, size_t header_size)
{
    char *copy = malloc(header_size + 1);
    if (copy == NULL) {
        /* The gap rule counts it as taken, so nothing may be committed any more. */
        bus_fail(self, "no memory to take an event in");
        mailbus_event_free(event_p);
        return;
    }
    memcpy(copy, header, header_size);
    self->batch[self->batch_count++] =
        (inbox_arrival_t){.event = *event_p, .header = copy, .header_size = header_size};
    self->batch_bytes += (*event_p)->body_size + header_size;
    *event_p = NULL;
    mb_metric_add(self->taken, 1);
}

gap_verdict_t bus_take(bus_t *self, mailbus_event_t **event_p, const void *header,
                       size_t header_size)
{
    mailbus_event_t *event = *event_p;
    gap_verdict_t verdict = gap_event(self->gap, event);
    if (verdict == GAP_TAKE) {
        self->note_dirty = true;
        int64_t recorded_ms;
        if (mailbus_time_parse(event->recorded_time, &recorded_ms) == MAILBUS_OK &&
            recorded_ms > self->recorded_ms) {
            self->recorded_ms = recorded_ms;
        }
        if (shard_owns(&self->options.shard, event)) {
            keep(self, event_p, header, header_size);
        } else {
            mb_metric_add(self->other_shard, 1);
        }
    } else if (verdict == GAP_DROP) {
        mb_metric_add(self->seen, 1);
    } else if (verdict == GAP_FOREIGN) {
        mb_metric_add(self->foreign, 1);
    }
    mailbus_event_free(event_p);
    return verdict;
}

void bus_batch_clear(bus_t *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        mailbus_event_free(&self->batch[i].event);
        free(self->batch[i].header);
    }
    self->batch_count = 0;
    self->batch_bytes = 0;
}

/* The file refused: forget what was taken since the last commit, and fetch it again later. */
static void take_back(bus_t *self, int64_t now_ms, const mailbus_error_t *error)
{
    mb_log(self->log, MB_ERROR, "inbox", "the state file refuses to be written: trying again",
           MB_S("reason", error->text));
    bus_note_restore(self);
    bus_cancel(self);
    bus_want(self, BUS_ASK_PAGE);
    self->write_blocked_until_ms = now_ms + BUS_WRITE_RETRY_MS;
}

static bool finished_due(bus_t *self, int64_t now_ms)
{
    if (!inbox_unwritten(self->inbox)) {
        self->finished_since_ms = 0;
        return false;
    }
    if (self->finished_since_ms == 0) {
        self->finished_since_ms = now_ms;
    }
    return now_ms - self->finished_since_ms >= BUS_FLUSH_MS;
}

void bus_commit(bus_t *self, int64_t now_ms)
{
    if (now_ms < self->write_blocked_until_ms) {
        return; /* nothing is taken meanwhile, so nothing is forgotten */
    }
    if (self->failed) { /* written by this thread alone */
        bus_batch_clear(self);
        return;
    }
    bool note = self->note_dirty && (self->batch_count > 0 || self->note_saved_ms == 0 ||
                                     now_ms - self->note_saved_ms >= BUS_NOTE_MS);
    if (self->batch_count == 0 && !note && !finished_due(self, now_ms)) {
        return;
    }
    mailbus_error_t error = {0};
    /* The note goes along with whatever is written. */
    mailbus_code_t code = bus_note_encode(self, &error);
    if (code == MAILBUS_OK) {
        code = inbox_take_in(self->inbox, self->batch, self->batch_count, self->note.data,
                             mb_clock_wall_ms(), &error);
    }
    if (code == MAILBUS_OK) {
        mailbus_buf_t last = self->saved;
        self->saved = self->note;
        self->note = last;
        self->note_dirty = false;
        self->note_saved_ms = now_ms;
        self->finished_since_ms = 0;
    } else {
        take_back(self, now_ms, &error);
    }
    bus_batch_clear(self);
    if (code == MAILBUS_OK && gap_stream(self->gap)[0] != '\0') {
        bus_set_positioned(self);
    }
}

/* --- the thread ---------------------------------------------------------------------------------
 */

/* True where a connection was lost. `up` says whether there is one. */
static bool read_monitor(bus_t *self, mb_monitor_t *monitor, const char *endpoint, bool *up)
{
    bool lost = false;
    mb_monitor_event_t event;
    while (mb_monitor_next(monitor, &event) == MAILBUS_OK) {
        if ((event.event & MB_MONITOR_HANDSHAKE_FAILED) != 0) {
            mb_metric_add(self->refused, 1);
            mb_log(self->log, MB_WARN, "bus",
                   "the gateway let us not in: are both sides with keys or both without, and is "
                   "this program's key allowed there?",
                   MB_S("endpoint", endpoint), MB_S("failed", mb_monitor_failure(event.event)));
        } else {
            *up = event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
            mb_metric_move(self->connected, *up ? 1 : -1);
            mb_log(self->log, MB_INFO, "bus", *up ? "connected" : "disconnected",
                   MB_S("endpoint", endpoint));
            lost |= !*up;
        }
    }
    return lost;
}

static void look_at_pause(bus_t *self)
{
    bool paused = inbox_full(self->inbox);
    if (paused == self->paused) {
        return;
    }
    self->paused = paused;
    if (paused) {
        mb_log(self->log, MB_WARN, "bus", "the inbox is full: intake pauses",
               MB_I("events", inbox_rows(self->inbox)));
    } else {
        mb_log(self->log, MB_INFO, "bus", "the inbox has room: intake goes on");
        bus_want(self, BUS_ASK_PAGE);
    }
}

static void set_gauges(bus_t *self)
{
    uint64_t cursor = gap_cursor(self->gap);
    pthread_mutex_lock(&self->lock);
    self->caught_up = self->positioned && !self->want_page && !self->since_pending &&
                      self->asked == BUS_ASK_NOTHING && self->batch_count == 0 &&
                      cursor >= self->head;
    if (self->caught_up && self->options.met != NULL) {
        atomic_store(self->options.met, true);
    }
    pthread_mutex_unlock(&self->lock);
    mb_metric_set(self->head_gauge, (int64_t)self->head);
    mb_metric_set(self->cursor_gauge, (int64_t)cursor);
    mb_metric_set(self->lag_gauge, self->head > cursor ? (int64_t)(self->head - cursor) : 0);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static long poll_wait(bus_t *self, int64_t now_ms)
{
    int64_t wait_ms = least(BUS_IDLE_MS, bus_ask_wait(self, now_ms));
    if (self->paused) {
        wait_ms = least(wait_ms, BUS_PAUSE_POLL_MS);
    }
    if (self->finished_since_ms != 0) {
        int64_t due_ms = self->finished_since_ms + BUS_FLUSH_MS;
        due_ms = due_ms < self->write_blocked_until_ms ? self->write_blocked_until_ms : due_ms;
        wait_ms = least(wait_ms, due_ms > now_ms ? due_ms - now_ms : 0);
    }
    return (long)wait_ms;
}

static bool stopping(bus_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool stop = self->stop || self->failed;
    pthread_mutex_unlock(&self->lock);
    return stop;
}

static void turn(bus_t *self)
{
    zmq_pollitem_t items[] = {
        {.socket = self->dealer, .events = ZMQ_POLLIN},
        {.socket = self->sub, .events = ZMQ_POLLIN},
        {.fd = self->wake, .events = ZMQ_POLLIN},
        {.socket = mb_monitor_socket(self->sub_monitor), .events = ZMQ_POLLIN},
        {.socket = mb_monitor_socket(self->dealer_monitor), .events = ZMQ_POLLIN},
    };
    zmq_poll(items, sizeof items / sizeof items[0], poll_wait(self, mb_clock_monotonic_ms()));
    int64_t now_ms = mb_clock_monotonic_ms();
    if ((items[2].revents & ZMQ_POLLIN) != 0) {
        uint64_t ignored;
        if (read(self->wake, &ignored, sizeof ignored) < 0) {
            /* EAGAIN: somebody was faster. It only wakes. */
        }
    }
    read_monitor(self, self->sub_monitor, self->options.publish, &self->sub_up);
    if (read_monitor(self, self->dealer_monitor, self->options.replay, &self->dealer_up)) {
        bus_want(self, self->asked); /* whoever had the question is gone */
        bus_cancel(self);
    }
    look_at_pause(self);
    if (now_ms >= self->write_blocked_until_ms) {
        bus_read_dealer(self, now_ms);
        bus_read_sub(self, now_ms);
    }
    bus_commit(self, now_ms);
    if (!self->failed && inbox_broken(self->inbox)) { /* by this thread's write or a worker's */
        bus_fail(self, "the disk failed: what was read from it can no longer be trusted");
    }
    bus_ask(self, now_ms);
    look_for_silence(self, now_ms);
    set_gauges(self);
}

void *bus_run(void *arg)
{
    bus_t *self = arg;
    while (!stopping(self)) {
        turn(self);
    }
    self->write_blocked_until_ms = 0;
    self->note_saved_ms = 0; /* the cursor as it is now */
    bus_commit(self, mb_clock_monotonic_ms());
    return NULL;
}
