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

/* Who decides, and what is kept from one question to the next. */
typedef struct {
    check_decide_fn *decide;
    void *arg;
    char why_silent[MAILBUS_CHECK_REASON_MAX]; /* what `decide` gave with its last CHECK_SILENT */
    mailbus_buf_t json;                        /* scratch space */
} check_list_t;

/* Answer `message` (with its routing id) on `socket`. */
answered_t check_server_answer(void *socket, mb_message_t *message, check_list_t *list);

#endif
