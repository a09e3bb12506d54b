/* One message on the ROUTER socket: what was asked, and the answer in the shape of the question.
 * The server's thread. */
#ifndef CHECK_SERVER_ANSWER_H
#define CHECK_SERVER_ANSWER_H

#include "server.h"
#include "zmq_socket.h"

/* Bytes of one frame of the envelope: routing ids are at most 255 (RFC 28 §ROUTER). */
#define CHECK_ENVELOPE_MAX 255

typedef enum {
    ANSWERED_YES,
    ANSWERED_NO,
    ANSWERED_SILENT,  /* `decide` said so: nothing was sent */
    ANSWERED_ERROR,   /* {"error":…} was sent */
    ANSWERED_DROPPED, /* the frames are no question, and nobody can be told: nothing was sent */
    ANSWERED_UNSENT,  /* there was an answer, and the peer is gone or takes nothing */
    ANSWERED_KINDS,
} answered_t;

/* Answer `message` (with its routing id) on `socket`. `json` is scratch space. */
answered_t check_server_answer(void *socket, mb_message_t *message, check_decide_fn *decide,
                               void *arg, mailbus_buf_t *json);

#endif
