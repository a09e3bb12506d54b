#include "gateway_account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct gateway_account {
    atomic_int references;
    atomic_size_t bytes;
    atomic_size_t parcels;
    gateway_account_t *parent;
};

typedef struct {
    atomic_bool
        sealed; /* libzmq's queues order all of this already, but no tool can see into them */
    gateway_account_t *account;
    event_t *event; /* NULL: the bytes follow here */
    size_t size;
    char data[];
} parcel_t;

/* What a parcel costs beside its bytes: the message's frames, libzmq's and the allocator's
 * book-keeping. Without it a flood of empty bodies would look free. */
#define PARCEL_OVERHEAD 512

gateway_account_t *gateway_account_new(gateway_account_t *parent)
{
    gateway_account_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    atomic_init(&self->references, 1);
    atomic_init(&self->bytes, 0);
    atomic_init(&self->parcels, 0);
    self->parent = parent;
    if (parent != NULL) {
        atomic_fetch_add_explicit(&parent->references, 1, memory_order_relaxed);
    }
    return self;
}

void gateway_account_release(gateway_account_t **self_p)
{
    gateway_account_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    assert(gateway_account_parcels(self) == 0);
    gateway_account_release(&self->parent);
    free(self);
}

size_t gateway_account_bytes(const gateway_account_t *self)
{
    return atomic_load_explicit(&self->bytes, memory_order_relaxed);
}

size_t gateway_account_parcels(const gateway_account_t *self)
{
    return atomic_load_explicit(&self->parcels, memory_order_relaxed);
}

static void charge(gateway_account_t *self, size_t size)
{
    for (gateway_account_t *at = self; at != NULL; at = at->parent) {
        atomic_fetch_add_explicit(&at->bytes, size + PARCEL_OVERHEAD, memory_order_relaxed);
        atomic_fetch_add_explicit(&at->parcels, 1, memory_order_relaxed);
    }
}

static void discharge(gateway_account_t *self, size_t size)
{
    for (gateway_account_t *at = self; at != NULL; at = at->parent) {
        atomic_fetch_sub_explicit(&at->bytes, size + PARCEL_OVERHEAD, memory_order_relaxed);
        atomic_fetch_sub_explicit(&at->parcels, 1, memory_order_relaxed);
    }
}

/* A zmq_free_fn: runs on the thread that lets go of the message last. */
static void parcel_free(void *data, void *hint)
{
    (void)data;
    parcel_t *parcel = hint;
    bool sealed = atomic_load_explicit(&parcel->sealed, memory_order_acquire);
    assert(sealed);
    (void)sealed;
    discharge(parcel->account, parcel->size);
    event_release(&parcel->event);
    gateway_account_release(&parcel->account);
    free(parcel);
}

static mailbus_code_t parcel_new(gateway_account_t *account, size_t size, size_t copied,
                                 parcel_t **ret_parcel)
{
    parcel_t *parcel = malloc(sizeof *parcel + copied);
    if (parcel == NULL) {
        return MAILBUS_ENOMEM;
    }
    atomic_fetch_add_explicit(&account->references, 1, memory_order_relaxed);
    charge(account, size);
    atomic_init(&parcel->sealed, false);
    parcel->account = account;
    parcel->event = NULL;
    parcel->size = size;
    *ret_parcel = parcel;
    return MAILBUS_OK;
}

static mailbus_code_t parcel_message(parcel_t *parcel, void *data, zmq_msg_t *ret_message)
{
    const size_t size = parcel->size;
    atomic_store_explicit(&parcel->sealed, true,
                          memory_order_release); /* the last we touch of it */
    if (zmq_msg_init_data(ret_message, data, size, parcel_free, parcel) != 0) {
        parcel_free(data, parcel);
        return MAILBUS_ENOMEM;
    }
    return MAILBUS_OK;
}

mailbus_code_t gateway_parcel_event(gateway_account_t *account, event_t *event,
                                    zmq_msg_t *ret_message)
{
    parcel_t *parcel;
    if (parcel_new(account, event->body_size, 0, &parcel) != MAILBUS_OK) {
        return MAILBUS_ENOMEM;
    }
    parcel->event = event_hold(event);
    return parcel_message(parcel, event->body, ret_message);
}

mailbus_code_t gateway_parcel_copy(gateway_account_t *account, const void *data, size_t size,
                                   zmq_msg_t *ret_message)
{
    parcel_t *parcel;
    if (parcel_new(account, size, size, &parcel) != MAILBUS_OK) {
        return MAILBUS_ENOMEM;
    }
    if (size > 0) {
        memcpy(parcel->data, data, size);
    }
    return parcel_message(parcel, parcel->data, ret_message);
}

mailbus_code_t gateway_frame_copy(const void *data, size_t size, zmq_msg_t *ret_message)
{
    if (zmq_msg_init_size(ret_message, size) != 0) {
        return MAILBUS_ENOMEM;
    }
    memcpy(zmq_msg_data(ret_message), data, size);
    return MAILBUS_OK;
}
