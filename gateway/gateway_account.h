/* How much of what was handed to libzmq has not left this process yet.
 *
 * A high-water mark counts messages, and a message is anything from 200 bytes to 2 MiB. Bodies are
 * therefore sent as parcels: libzmq calls back when the last connection is done with one, or was
 * closed, and the account goes down. Any thread may ask; parcels are freed on libzmq's own. */
#ifndef GATEWAY_ACCOUNT_H
#define GATEWAY_ACCOUNT_H

#include <zmq.h>

#include "event.h"

typedef struct gateway_account gateway_account_t;

/* One reference; NULL without memory. `parent` (NULL: none) is charged too, and is held. */
gateway_account_t *gateway_account_new(gateway_account_t *parent);
/* Parcels on their way hold references of their own, so this may come before libzmq is done. */
void gateway_account_release(gateway_account_t **self_p);
size_t gateway_account_bytes(const gateway_account_t *self);
size_t gateway_account_parcels(const gateway_account_t *self);

/* Initialise `ret_message` with the body of `event`, not copied: the event is held until libzmq is
 * done with it. */
MAILBUS_MUST_USE mailbus_code_t gateway_parcel_event(gateway_account_t *account, event_t *event,
                                                     zmq_msg_t *ret_message);
/* Initialise `ret_message` with a copy of `size` bytes. */
MAILBUS_MUST_USE mailbus_code_t gateway_parcel_copy(gateway_account_t *account, const void *data,
                                                    size_t size, zmq_msg_t *ret_message);
/* A message with a copy of `size` bytes that no account is charged for: topics and headers. */
MAILBUS_MUST_USE mailbus_code_t gateway_frame_copy(const void *data, size_t size,
                                                   zmq_msg_t *ret_message);

#endif
