/* Stage 6: replay. One thread owns the ROUTER socket and a read-only connection to the journal. It
 * answers page by page (PROTOCOL.md §Replay), so nothing piles up for a slow reader. */
#ifndef GATEWAY_REPLAY_H
#define GATEWAY_REPLAY_H

#include "journal.h"
#include "zmq_socket.h"

typedef struct replay replay_t;

typedef struct {
    const char *endpoint;
    bool open;
    const mb_key_pair_t *own;
    int send_hwm; /* messages queued for one peer; a page is at most a fifth of it */
    int linger_ms;
} replay_options_t;

#define REPLAY_SEND_HWM 5000 /* five pages of MAILBUS_FETCH_MAX_LIMIT */

/* Bound and answering when it returns OK. `context` and `journal` are lent. */
MAILBUS_MUST_USE mailbus_code_t replay_new(void *context, const replay_options_t *options,
                                           journal_t *journal, mb_metrics_t *metrics, mb_log_t *log,
                                           replay_t **ret_self, mailbus_error_t *error);
/* Finish the request in hand, linger, close. */
void replay_destroy(replay_t **self_p);
/* As publisher_rebind and publisher_bound. */
void replay_rebind(replay_t *self);
bool replay_bound(const replay_t *self);
/* The real endpoint, ports filled in. */
const char *replay_endpoint(const replay_t *self);

#endif
