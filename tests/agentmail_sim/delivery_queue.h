/* Deliveries by the time they are due, and those that are over, for GET /sim/deliveries. Time is a
 * parameter; no thread, no socket: delivery.c calls it under its lock. */
#ifndef SIM_DELIVERY_QUEUE_H
#define SIM_DELIVERY_QUEUE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELIVERY_ATTEMPTS    8                     /* Svix's: the first and seven more */
#define DELIVERY_WAITING_MAX 200000                /* not over yet */
#define DELIVERY_BYTES_MAX   (512LL * 1024 * 1024) /* of their bodies */
#define DELIVERY_DONE_MAX    20000                 /* shown after they are over; the oldest go */

/* Milliseconds between attempt `made` (from 1) and the next one, divided by `time_scale`; -1: there
 * is none. Svix's schedule: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. */
int64_t delivery_pause_ms(unsigned made, double time_scale);

typedef struct {
    int64_t wall_ms;
    int64_t took_ms;
    long status; /* 0: no answer */
    char error[128];
} attempt_t;

typedef enum {
    DELIVERY_PENDING,
    DELIVERY_SUCCEEDED,
    DELIVERY_FAILED,
    DELIVERY_CANCELLED
} outcome_t;

/* One event on its way to one URL. */
typedef struct delivery_item {
    struct delivery_item *next; /* among those that are over */
    uint64_t number;            /* in the order of creation */
    int64_t due_ms;             /* monotonic */
    char *id;                   /* of the Svix message: the same for every URL and attempt */
    char *event_type;
    char *event_id;
    char *webhook_id;
    char *url;
    char *secret;
    bool guide;     /* signed as the guide does */
    char **headers; /* "Name: value", ended by NULL */
    char *body;     /* NULL when it is over */
    size_t size;
    attempt_t attempts[DELIVERY_ATTEMPTS];
    unsigned made;
    outcome_t outcome;
} delivery_item_t;

typedef struct {
    delivery_item_t **heap; /* by due_ms, then number */
    size_t waiting;
    size_t capacity;
    delivery_item_t *first_done;
    delivery_item_t *last_done;
    size_t done;
    int64_t bytes;
    uint64_t next_number;
    uint64_t succeeded, failed, cancelled; /* since the start or the last clear */
} delivery_queue_t;

void delivery_item_free(delivery_item_t **item_p);
bool delivery_queue_has_room(const delivery_queue_t *self, size_t count, size_t bytes);
/* A new item, or one that is due again. Takes it. */
void delivery_queue_put(delivery_queue_t *self, delivery_item_t *item);
/* The first item that is due, taken out, or NULL. `ret_next_ms` gets when the next one is, or -1.
 */
delivery_item_t *delivery_queue_take(delivery_queue_t *self, int64_t now_ms, int64_t *ret_next_ms);
/* It is over. Takes the item. */
void delivery_queue_finish(delivery_queue_t *self, delivery_item_t *item, outcome_t outcome);
/* All that wait for this webhook are over. */
void delivery_queue_cancel(delivery_queue_t *self, const char *webhook_id);
void delivery_queue_clear(delivery_queue_t *self);
/* {"count","pending","succeeded","failed","cancelled","deliveries":[the newest `limit`]}; items
 * that are being sent right now stand in `busy` (NULLs are passed over). */
cJSON *delivery_queue_report(const delivery_queue_t *self, delivery_item_t *const *busy,
                             size_t busy_count, size_t limit);

#endif
