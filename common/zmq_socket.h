/* libzmq sockets with the options that PITFALLS asks for, in one place. A socket belongs to one
 * thread. */
#ifndef MB_ZMQ_SOCKET_H
#define MB_ZMQ_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "keys.h"

typedef struct {
    int send_hwm; /* messages; 0: libzmq's own 1000 */
    int receive_hwm;
    int linger_ms;            /* bounded on senders */
    int64_t max_inbound;      /* ZMQ_MAXMSGSIZE in bytes; must be set on a bound socket */
    const mb_key_pair_t *own; /* CURVE: this side's pair; NULL: plain */
    const char *server_key;   /* CURVE client: the server's public key, Z85 */
} mb_socket_options_t;

/* A socket with heartbeats (2 s, 6 s, ttl 6 s), handshake 3 s, IPv6, linger, HWMs, maximum size
 * and, where `own` is set, CURVE: as a server with MB_ZAP_DOMAIN and ZMQ_ZAP_ENFORCE_DOMAIN (option
 * 93), so that without a handler nobody gets in. */
MAILBUS_MUST_USE mailbus_code_t mb_socket_new_server(void *context, int type,
                                                     const mb_socket_options_t *options,
                                                     void **ret_socket, mailbus_error_t *error);
/* As above for the connecting side: reconnect 500 ms up to 30 s. Not ZMQ_IMMEDIATE: with it libzmq
 * 4.3.4 throws away at a reconnect what was received and not yet read, and aborts the process where
 * a message was half read (hiccuped in its socket_base.cpp ends the pipe, fq.cpp asserts). So a
 * socket takes messages for a peer that is not there yet; who doesn't want that looks at the
 * monitor before sending. */
MAILBUS_MUST_USE mailbus_code_t mb_socket_new_client(void *context, int type,
                                                     const mb_socket_options_t *options,
                                                     void **ret_socket, mailbus_error_t *error);
void mb_socket_close(void **socket_p);
/* Bind; a plain (non-CURVE) socket binds to loopback and ipc only unless `open` (EACCESS with the
 * words what to set). A stale ipc file is removed, its mode is 0600. `ret_endpoint` (256 bytes)
 * gets the real endpoint, ports filled in. */
MAILBUS_MUST_USE mailbus_code_t mb_socket_bind(void *socket, const char *endpoint, bool curve,
                                               bool open, char *ret_endpoint, size_t size,
                                               mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t mb_socket_connect(void *socket, const char *endpoint,
                                                  mailbus_error_t *error);
/* Translate zmq_errno(): EAGAIN, EHOSTUNREACH → EAGAIN; ETERM → ESTOPPED; ENOMEM; EACCESS; else
 * EIO. */
mailbus_code_t mb_socket_fail(mailbus_error_t *error, const char *doing);

/* One message of several frames, received without blocking. */
#define MB_FRAMES_MAX 8
typedef struct {
    zmq_msg_t frames[MB_FRAMES_MAX];
    size_t count;
    bool too_many; /* there were more; they are dropped */
} mb_message_t;
/* EAGAIN where nothing waits. On OK the caller calls mb_message_close. */
MAILBUS_MUST_USE mailbus_code_t mb_message_receive(void *socket, mb_message_t *ret_message,
                                                   mailbus_error_t *error);
void mb_message_close(mb_message_t *message);
const void *mb_message_data(mb_message_t *message, size_t frame);
size_t mb_message_size(const mb_message_t *message, size_t frame);
/* Send one frame, copied; `more`: another follows; never blocks. */
MAILBUS_MUST_USE mailbus_code_t mb_frame_send(void *socket, const void *data, size_t size,
                                              bool more, mailbus_error_t *error);

#endif
