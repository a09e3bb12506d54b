#include "delivery_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/replay.h"
#include "memory.h"

int64_t delivery_pause_ms(unsigned made, double time_scale)
{
    static const int seconds[DELIVERY_ATTEMPTS - 1] = {5, 300, 1800, 7200, 18000, 36000, 36000};
    assert(made >= 1);
    if (made >= DELIVERY_ATTEMPTS) {
        return -1;
    }
    return (int64_t)(seconds[made - 1] * 1000.0 / time_scale);
}

void delivery_item_free(delivery_item_t **item_p)
{
    delivery_item_t *item = *item_p;
    *item_p = NULL;
    if (item == NULL) {
        return;
    }
    for (char **header = item->headers; header != NULL && *header != NULL; header++) {
        free(*header);
    }
    free(item->headers);
    free(item->id);
    free(item->event_type);
    free(item->event_id);
    free(item->webhook_id);
    free(item->url);
    free(item->secret);
    free(item->body);
    free(item);
}

bool delivery_queue_has_room(const delivery_queue_t *self, size_t count, size_t bytes)
{
    return self->waiting + count <= DELIVERY_WAITING_MAX &&
           self->bytes + (int64_t)bytes <= DELIVERY_BYTES_MAX;
}

static bool is_before(const delivery_item_t *one, const delivery_item_t *other)
{
    return one->due_ms < other->due_ms ||
           (one->due_ms == other->due_ms && one->number < other->number);
}

static void swap(delivery_item_t **one, delivery_item_t **other)
{
    delivery_item_t *item = *one;
    *one = *other;
    *other = item;
}

static void sift_down(delivery_queue_t *self, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < self->waiting; child++) {
            least = is_before(self->heap[child], self->heap[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        swap(&self->heap[at], &self->heap[least]);
        at = least;
    }
}

void delivery_queue_put(delivery_queue_t *self, delivery_item_t *item)
{
    if (self->waiting == self->capacity) {
        self->capacity = self->capacity == 0 ? 64 : self->capacity * 2;
        self->heap = memory_grow(self->heap, self->capacity, sizeof(delivery_item_t *));
    }
    if (item->number == 0) {
        item->number = ++self->next_number;
    }
    self->bytes += (int64_t)item->size;
    size_t at = self->waiting++;
    self->heap[at] = item;
    for (; at > 0 && is_before(item, self->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        swap(&self->heap[at], &self->heap[(at - 1) / 2]);
    }
}

delivery_item_t *delivery_queue_take(delivery_queue_t *self, int64_t now_ms, int64_t *ret_next_ms)
{
    delivery_item_t *item = NULL;
    if (self->waiting > 0 && self->heap[0]->due_ms <= now_ms) {
        item = self->heap[0];
        self->bytes -= (int64_t)item->size;
        self->heap[0] = self->heap[--self->waiting];
        sift_down(self, 0);
    }
    *ret_next_ms = self->waiting > 0 ? self->heap[0]->due_ms : -1;
    return item;
}

void delivery_queue_finish(delivery_queue_t *self, delivery_item_t *item, outcome_t outcome)
{
    item->outcome = outcome;
    free(item->body);
    item->body = NULL;
    self->succeeded += outcome == DELIVERY_SUCCEEDED;
    self->failed += outcome == DELIVERY_FAILED;
    self->cancelled += outcome == DELIVERY_CANCELLED;
    item->next = NULL;
    if (self->last_done != NULL) {
        self->last_done->next = item;
    } else {
        self->first_done = item;
    }
    self->last_done = item;
    if (++self->done > DELIVERY_DONE_MAX) {
        delivery_item_t *oldest = self->first_done;
        self->first_done = oldest->next;
        self->done--;
        delivery_item_free(&oldest);
    }
}

void delivery_queue_cancel(delivery_queue_t *self, const char *webhook_id)
{
    size_t kept = 0;
    for (size_t at = 0; at < self->waiting; at++) {
        delivery_item_t *item = self->heap[at];
        if (strcmp(item->webhook_id, webhook_id) == 0) {
            self->bytes -= (int64_t)item->size;
            delivery_queue_finish(self, item, DELIVERY_CANCELLED);
        } else {
            self->heap[kept++] = item;
        }
    }
    self->waiting = kept;
    for (size_t at = kept / 2; at-- > 0;) {
        sift_down(self, at);
    }
}

void delivery_queue_clear(delivery_queue_t *self)
{
    for (size_t at = 0; at < self->waiting; at++) {
        delivery_item_free(&self->heap[at]);
    }
    free(self->heap);
    while (self->first_done != NULL) {
        delivery_item_t *item = self->first_done;
        self->first_done = item->next;
        delivery_item_free(&item);
    }
    uint64_t number = self->next_number;
    *self = (delivery_queue_t){.next_number = number};
}

static cJSON *item_json(const delivery_item_t *item)
{
    static const char *const outcomes[] = {"pending", "succeeded", "failed", "cancelled"};
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "number", (double)item->number);
    cJSON_AddStringToObject(json, "id", item->id);
    cJSON_AddStringToObject(json, "event_type", item->event_type);
    cJSON_AddStringToObject(json, "event_id", item->event_id);
    cJSON_AddStringToObject(json, "webhook_id", item->webhook_id);
    cJSON_AddStringToObject(json, "url", item->url);
    cJSON_AddStringToObject(json, "outcome", outcomes[item->outcome]);
    cJSON *attempts = cJSON_AddArrayToObject(json, "attempts");
    for (unsigned at = 0; at < item->made; at++) {
        const attempt_t *attempt = &item->attempts[at];
        char time[MAILBUS_TIME_SIZE];
        mailbus_time_format(attempt->wall_ms, time);
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "time", time);
        cJSON_AddNumberToObject(entry, "time_ms", (double)attempt->wall_ms);
        cJSON_AddNumberToObject(entry, "status", (double)attempt->status);
        cJSON_AddNumberToObject(entry, "duration_ms", (double)attempt->took_ms);
        if (attempt->error[0] != '\0') {
            cJSON_AddStringToObject(entry, "error", attempt->error);
        }
        cJSON_AddItemToArray(attempts, entry);
    }
    return json;
}

static int by_number(const void *one, const void *other)
{
    uint64_t a = (*(delivery_item_t *const *)one)->number;
    uint64_t b = (*(delivery_item_t *const *)other)->number;
    return a < b ? -1 : a > b;
}

cJSON *delivery_queue_report(const delivery_queue_t *self, delivery_item_t *const *busy,
                             size_t busy_count, size_t limit)
{
    size_t count = 0;
    size_t pending = self->waiting;
    delivery_item_t **items =
        memory_new((self->done + self->waiting + busy_count) * sizeof(delivery_item_t *));
    for (delivery_item_t *item = self->first_done; item != NULL; item = item->next) {
        items[count++] = item;
    }
    for (size_t at = 0; at < self->waiting; at++) {
        items[count++] = self->heap[at];
    }
    for (size_t at = 0; at < busy_count; at++) {
        if (busy[at] != NULL) {
            items[count++] = busy[at];
            pending++;
        }
    }
    qsort(items, count, sizeof(delivery_item_t *), by_number);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "count", (double)count);
    cJSON_AddNumberToObject(json, "pending", (double)pending);
    cJSON_AddNumberToObject(json, "succeeded", (double)self->succeeded);
    cJSON_AddNumberToObject(json, "failed", (double)self->failed);
    cJSON_AddNumberToObject(json, "cancelled", (double)self->cancelled);
    cJSON *array = cJSON_AddArrayToObject(json, "deliveries");
    for (size_t at = count > limit ? count - limit : 0; at < count; at++) {
        cJSON_AddItemToArray(array, item_json(items[at]));
    }
    free(items);
    return json;
}
