/* Answers one replay request: checks it, reads its page, sends it. The replay thread's.
 *
 * What bounds the memory of replay: a peer is sent one page more only while what it has not taken
 * yet is at most one page. A page is at most 1000 events and 4 MiB of bodies (or one larger event),
 * so a peer that asks and never reads costs two pages, and all peers together
 * REPLAY_TOTAL_BYTES_MAX and a page. The high-water mark is never what stops a page: it is five
 * pages, of which libzmq may count up to half as unread for longer than they are. */
#ifndef REPLAY_ANSWER_H
#define REPLAY_ANSWER_H

#include "journal.h"
#include "zmq_socket.h"

/* Bytes of all answers that wait for peers to read them. */
#define REPLAY_TOTAL_BYTES_MAX (256u * 1024 * 1024)

typedef struct replay_answerer replay_answerer_t;

/* `stream` is copied, the rest is lent. send_hwm: of the ROUTER socket. */
MAILBUS_MUST_USE mailbus_code_t replay_answerer_new(const char *stream, int send_hwm,
                                                    mb_metrics_t *metrics, mb_log_t *log,
                                                    replay_answerer_t **ret_self,
                                                    mailbus_error_t *error);
void replay_answerer_destroy(replay_answerer_t **self_p);
/* Answer `message` (routing id, then what the peer sent) on the ROUTER `socket`. Never blocks on a
 * peer. `reader` is this thread's. */
void replay_answer(replay_answerer_t *self, void *socket, journal_reader_t *reader,
                   mb_message_t *message);
/* Bring the gauges up to date. */
void replay_answerer_tend(replay_answerer_t *self);

#endif
