/* The thread that owns the curl handles. Where a receiver closes a connection that was used before,
 * libcurl itself sends once more on a new one, within the same attempt: the receiver may see a body
 * twice for one attempt in the report.
 *
 * The lock is over the queue, the rule and the slots' items;
 * the handles are touched by the thread alone. */
#include "delivery.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "encoding.h"
#include "memory.h"
#include "webhook_signature.h"

enum {
    CONNECTIONS = 16,
    TIMEOUT_S = 15,           /* Svix's */
    ANSWER_MAX = 1024 * 1024, /* bytes of an answer: it is not looked at */
    RETRY_AFTER_MAX_S = 3600, /* a receiver can't put us off for longer */
    IDLE_MS = 60000,
};

typedef struct {
    CURL *easy;
    struct curl_slist *headers;
    delivery_item_t *item; /* NULL: free */
    int64_t started_ms;
    size_t received;
    fail_rule_t spoil; /* FAIL_AFTER: what becomes of a good answer; count 0: nothing */
    char error[CURL_ERROR_SIZE];
} slot_t;

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

static size_t take_answer(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    slot_t *slot = arg;
    slot->received += size * count;
    return slot->received <= ANSWER_MAX ? size * count : 0;
}

static bool slot_open(slot_t *slot)
{
    slot->easy = curl_easy_init();
    if (slot->easy == NULL) {
        return false;
    }
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(slot->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(slot->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_USERAGENT, "agentmail-sim/" MAILBUS_VERSION);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(slot->easy, CURLOPT_ERRORBUFFER, slot->error);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    return true;
}

static void add_header(slot_t *slot, const char *text)
{
    struct curl_slist *list = curl_slist_append(slot->headers, text);
    if (list != NULL) {
        slot->headers = list;
    }
}

/* The signature of one attempt: a Svix timestamp is that of the attempt, not of the event. */
static void sign(slot_t *slot, const delivery_item_t *item, int64_t wall_ms)
{
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    if (item->guide) {
        const mb_part_t part = {item->body, item->size};
        uint8_t digest[MB_SHA256_SIZE];
        mailbus_code_t code = mb_hmac_sha256(item->secret, strlen(item->secret), &part, 1, digest);
        assert(code == MAILBUS_OK);
        mailbus_buf_text(&line, "X-AgentMail-Signature: sha256=");
        mb_hex_encode(digest, sizeof digest, &line);
        add_header(slot, line.data);
        mailbus_buf_free(&line);
        return;
    }
    mb_webhook_key_t key;
    char timestamp[32];
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)(wall_ms / 1000));
    mailbus_code_t code = mb_webhook_key_parse(item->secret, &key, NULL);
    assert(code == MAILBUS_OK); /* looked at when it was registered */
    mailbus_buf_printf(&line, "svix-id: %s", item->id);
    add_header(slot, line.data);
    mailbus_buf_clear(&line);
    mailbus_buf_printf(&line, "svix-timestamp: %s", timestamp);
    add_header(slot, line.data);
    mailbus_buf_clear(&line);
    mailbus_buf_text(&line, "svix-signature: ");
    code = mb_webhook_sign(&key, item->id, timestamp, item->body, item->size, &line);
    assert(code == MAILBUS_OK);
    add_header(slot, line.data);
    mailbus_buf_free(&line);
}

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

static void start(delivery_t *self, slot_t *slot, delivery_item_t *item)
{
    slot->item = item;
    slot->received = 0;
    slot->error[0] = '\0';
    slot->started_ms = mb_clock_monotonic_ms();
    add_header(slot, "Content-Type: application/json");
    add_header(slot, "Expect:");
    for (char **header = item->headers; header != NULL && *header != NULL; header++) {
        add_header(slot, *header);
    }
    sign(slot, item, mb_clock_wall_ms());
    curl_easy_setopt(slot->easy, CURLOPT_URL, item->url);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, item->body);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)item->size);
    curl_multi_add_handle(self->multi, slot->easy);
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
                start(self, slot, item);
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
    attempt_t attempt = {.took_ms = mb_clock_monotonic_ms() - slot->started_ms};
    attempt.wall_ms = mb_clock_wall_ms() - attempt.took_ms;
    curl_off_t retry_after = 0;
    if (result == CURLE_OK) {
        curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &attempt.status);
        curl_easy_getinfo(slot->easy, CURLINFO_RETRY_AFTER, &retry_after);
    } else {
        snprintf(attempt.error, sizeof attempt.error, "%.127s",
                 slot->error[0] != '\0' ? slot->error : curl_easy_strerror(result));
    }
    if (slot->spoil.count > 0) {
        attempt.status = (long)slot->spoil.status;
        retry_after = slot->spoil.retry_after;
        snprintf(attempt.error, sizeof attempt.error, "delivered, then made to fail by /sim/fail");
    }
    curl_multi_remove_handle(self->multi, slot->easy);
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    pthread_mutex_lock(&self->lock);
    delivery_item_t *item = slot->item;
    slot->item = NULL;
    settle(self, item, &attempt,
           (unsigned)(retry_after > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : retry_after));
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
            delivery_item_free(&slot->item);
        }
        curl_slist_free_all(slot->headers);
        curl_easy_cleanup(slot->easy);
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
