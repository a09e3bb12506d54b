/* One connection's worth of a delivery: a curl handle, and the item it sends. Owned by the delivery
 * thread; the item is changed under delivery.c's lock. */
#ifndef SIM_DELIVERY_SLOT_H
#define SIM_DELIVERY_SLOT_H

#include <curl/curl.h>

#include "delivery_queue.h"
#include "fail_rule.h"

typedef struct {
    CURL *easy;
    struct curl_slist *headers;
    delivery_item_t *item; /* NULL: free */
    int64_t started_ms;    /* monotonic: for how long it took */
    int64_t wall_ms;       /* the same moment, for the signature and the report */
    size_t received;
    fail_rule_t spoil; /* FAIL_AFTER: what becomes of a good answer; count 0: nothing */
    char error[CURL_ERROR_SIZE];
} slot_t;

bool slot_open(slot_t *self);
/* Frees the item too. */
void slot_close(slot_t *self);
/* Sign the item for an attempt now and point the handle at it. Holds the item. */
void slot_load(slot_t *self, delivery_item_t *item);
/* What the attempt came to; how many seconds the receiver asks to be left alone. */
unsigned slot_result(slot_t *self, CURLcode result, attempt_t *ret_attempt);
/* Give the item back. */
delivery_item_t *slot_unload(slot_t *self);

#endif
