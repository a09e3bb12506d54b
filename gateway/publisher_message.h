/* What goes out on the bus: exactly three frames (PROTOCOL.md §Event, §Heads). */
#ifndef PUBLISHER_MESSAGE_H
#define PUBLISHER_MESSAGE_H

#include "gateway_account.h"
#include "mailbus/heads.h"

/* Topic, header and body of an event. The body is not copied but held, and charged to `account`.
 * All three are there or none, so that no message is ever cut short. `buffer` is scratch. */
MAILBUS_MUST_USE mailbus_code_t publisher_event_frames(event_t *event, const char *stream,
                                                       gateway_account_t *account,
                                                       mailbus_buf_t *buffer, zmq_msg_t frames[3]);
/* The same for bus.heads. */
MAILBUS_MUST_USE mailbus_code_t publisher_heads_frames(const mailbus_heads_t *heads,
                                                       mailbus_buf_t *buffer, zmq_msg_t frames[3]);
/* Send three frames on an XPUB socket, and close them whatever happens. XPUB takes or drops, it
 * never waits; false only where the socket is of no use any more. */
bool publisher_send(void *socket, zmq_msg_t frames[3]);

#endif
