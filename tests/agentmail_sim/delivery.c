/* The thread that owns the curl handles. Where a receiver closes a connection that was used before,
 * libcurl itself sends once more on a new one, within the same attempt: the receiver may see a body
 * twice for one attempt in the report.
 *
 * The lock is over the queue, the rule and the slots' items; the handles are touched by the thread
 * alone. */
#include "delivery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "delivery_slot.h"
#include "mailbus/buf.h"
#include "memory.h"

enum {
    CONNECTIONS = 16,
    IDLE_MS = 60000,
};

struct delivery {
    mb_log_t *log;
    double time_scale;
    CURLM *multi;
    slot_t slots[CONNECTIONS];
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock;
    delivery_queue_t queue;
    fail_rule_t rule;
    uint64_t generation_start; /* items up to this number were there before the last reset */
};

/* Under the lock: what an attempt came to. Takes the item. */
static void settle(delivery_t *self, delivery_item_t *item, const attempt_t *attempt,
                   unsigned retry_after_s)
{
    int64_t now_ms = mb_clock_monotonic_ms();
    item->attempts[item->made++] = *attempt;
    bool good = attempt->status >= 200 && attempt->status < 300;
    int64_t pause_ms = good ? -1 : delivery_pause_ms(item->made, self->time_scale);
    mb_log(self->log, good ? MB_DEBUG : MB_WARN, "delivery", good ? "delivered" : "attempt failed",
           MB_S("id", item->event_id), MB_S("topic", item->event_type), MB_S("delivery", item->id),
           MB_U("attempt", item->made), MB_I("status", attempt->status),
           MB_S("error", attempt->error[0] != '\0' ? attempt->error : NULL),
           MB_I("next_ms", pause_ms));
    if (item->number <= self->generation_start) { /* reset while it was under way */
        delivery_item_free(&item);
    } else if (!good && item->outcome == DELIVERY_CANCELLED) {
        delivery_queue_finish(&self->queue, item, DELIVERY_CANCELLED);
    } else if (pause_ms < 0) {
        delivery_queue_finish(&self->queue, item, good ? DELIVERY_SUCCEEDED : DELIVERY_FAILED);
    } else {
        int64_t asked_ms = (int64_t)retry_after_s * 1000;
        item->due_ms = now_ms + (asked_ms > pause_ms ? asked_ms : pause_ms);
        delivery_queue_put(&self->queue, item);
    }
}

/* Under the lock: does the rule take this attempt? */
static bool fail_by_rule(delivery_t *self, slot_t *slot, delivery_item_t *item)
{
    slot->spoil = (fail_rule_t){.count = 0};
    if (self->rule.count <= 0) {
        return false;
    }
    self->rule.count--;
    if (self->rule.mode == FAIL_AFTER) {
        slot->spoil = self->rule;
        slot->spoil.count = 1;
        return false;
    }
    bool reset = self->rule.mode == FAIL_RESET;
    attempt_t attempt = {.wall_ms = mb_clock_wall_ms(),
                         .status = reset ? 0 : (long)self->rule.status};
    snprintf(attempt.error, sizeof attempt.error, "made to fail by /sim/fail");
    settle(self, item, &attempt, self->rule.retry_after);
    return true;
}

/* Fill the free slots with what is due; when the next one is, in ms from now. */
static int fill_slots(delivery_t *self)
{
    int64_t next_ms = -1;
    pthread_mutex_lock(&self->lock);
    for (int at = 0; at < CONNECTIONS; at++) {
        slot_t *slot = &self->slots[at];
        while (slot->item == NULL) {
            delivery_item_t *item =
                delivery_queue_take(&self->queue, mb_clock_monotonic_ms(), &next_ms);
            if (item == NULL) {
                goto out;
            }
            if (!fail_by_rule(self, slot, item)) {
                slot_load(slot, item);
                curl_multi_add_handle(self->multi, slot->easy);
            }
        }
    }
    next_ms = -1; /* all are busy: the next free one looks again */
out:
    pthread_mutex_unlock(&self->lock);
    int64_t wait_ms = next_ms < 0 ? IDLE_MS : next_ms - mb_clock_monotonic_ms();
    return wait_ms < 0 ? 0 : wait_ms > IDLE_MS ? IDLE_MS : (int)wait_ms;
}

static void finish(delivery_t *self, slot_t *slot, CURLcode result)
{
    attempt_t attempt;
    unsigned retry_after_s = slot_result(slot, result, &attempt);
    curl_multi_remove_handle(self->multi, slot->easy);
    pthread_mutex_lock(&self->lock);
    delivery_item_t *item = slot_unload(slot);
    settle(self, item, &attempt, retry_after_s);
    pthread_mutex_unlock(&self->lock);
}

static void *run(void *arg)
{
    delivery_t *self = arg;
    while (!atomic_load(&self->stop)) {
        int wait_ms = fill_slots(self);
        int running = 0;
        int left = 0;
        curl_multi_perform(self->multi, &running);
        bool any = false;
        const CURLMsg *message;
        while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
            if (message->msg == CURLMSG_DONE) {
                slot_t *slot = NULL;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
                finish(self, slot, message->data.result);
                any = true;
            }
        }
        if (!any) {
            curl_multi_poll(self->multi, NULL, 0, wait_ms, NULL);
        }
    }
    return NULL;
}

mailbus_code_t delivery_new(mb_log_t *log, double time_scale, delivery_t **ret_self,
                            mailbus_error_t *error)
{
    delivery_t *self = memory_new(sizeof *self);
    self->log = log;
    self->time_scale = time_scale;
    atomic_init(&self->stop, false);
    pthread_mutex_init(&self->lock, NULL);
    self->multi = curl_multi_init();
    bool good = self->multi != NULL;
    for (int at = 0; good && at < CONNECTIONS; at++) {
        good = slot_open(&self->slots[at]);
    }
    if (good) {
        curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
        good = pthread_create(&self->thread, NULL, run, self) == 0;
        self->started = good;
    }
    if (!good) {
        delivery_destroy(&self);
        return mailbus_fail(error, MAILBUS_EIO, "can't start the delivery thread");
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void delivery_destroy(delivery_t **self_p)
{
    delivery_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->started) {
        atomic_store(&self->stop, true);
        curl_multi_wakeup(self->multi);
        pthread_join(self->thread, NULL);
    }
    for (int at = 0; at < CONNECTIONS; at++) {
        slot_t *slot = &self->slots[at];
        if (slot->item != NULL) {
            curl_multi_remove_handle(self->multi, slot->easy);
        }
        slot_close(slot);
    }
    curl_multi_cleanup(self->multi);
    delivery_queue_clear(&self->queue);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

bool delivery_has_room(delivery_t *self, size_t count, size_t bytes)
{
    pthread_mutex_lock(&self->lock);
    bool room = delivery_queue_has_room(&self->queue, count, bytes);
    pthread_mutex_unlock(&self->lock);
    return room;
}

static char **header_lines(const cJSON *headers)
{
    size_t count = 0;
    char **lines = memory_new(((size_t)cJSON_GetArraySize(headers) + 1) * sizeof(char *));
    const cJSON *item;
    cJSON_ArrayForEach(item, headers)
    {
        mailbus_buf_t line = MAILBUS_BUF_INIT;
        mailbus_buf_printf(&line, "%s: %s", item->string, item->valuestring);
        lines[count++] = mailbus_buf_take(&line, NULL);
    }
    return lines;
}

void delivery_add(delivery_t *self, const delivery_target_t *target, const delivery_event_t *event)
{
    delivery_item_t *item = memory_new(sizeof *item);
    item->id = memory_text(event->id);
    item->event_type = memory_text(event->event_type);
    item->event_id = memory_text(event->event_id);
    item->webhook_id = memory_text(target->webhook_id);
    item->url = memory_text(target->url);
    item->secret = memory_text(target->secret);
    item->guide = target->guide;
    item->headers = header_lines(target->headers);
    item->body = memory_copy(event->body, event->size);
    item->size = event->size;
    item->due_ms = mb_clock_monotonic_ms();
    pthread_mutex_lock(&self->lock);
    delivery_queue_put(&self->queue, item);
    pthread_mutex_unlock(&self->lock);
    curl_multi_wakeup(self->multi);
}

void delivery_cancel(delivery_t *self, const char *webhook_id)
{
    pthread_mutex_lock(&self->lock);
    delivery_queue_cancel(&self->queue, webhook_id);
    for (int at = 0; at < CONNECTIONS; at++) { /* what is under way is not tried again */
        delivery_item_t *item = self->slots[at].item;
        if (item != NULL && strcmp(item->webhook_id, webhook_id) == 0) {
            item->outcome = DELIVERY_CANCELLED;
        }
    }
    pthread_mutex_unlock(&self->lock);
}

void delivery_fail_next(delivery_t *self, const fail_rule_t *rule)
{
    pthread_mutex_lock(&self->lock);
    self->rule = *rule;
    pthread_mutex_unlock(&self->lock);
}

void delivery_reset(delivery_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->generation_start = self->queue.next_number;
    delivery_queue_clear(&self->queue);
    self->rule.count = 0;
    pthread_mutex_unlock(&self->lock);
}

cJSON *delivery_report(delivery_t *self, size_t limit)
{
    delivery_item_t *busy[CONNECTIONS];
    pthread_mutex_lock(&self->lock);
    for (int at = 0; at < CONNECTIONS; at++) {
        const slot_t *slot = &self->slots[at];
        bool old = slot->item != NULL && slot->item->number <= self->generation_start;
        busy[at] = old ? NULL : slot->item;
    }
    cJSON *report = delivery_queue_report(&self->queue, busy, CONNECTIONS, limit);
    pthread_mutex_unlock(&self->lock);
    return report;
}
