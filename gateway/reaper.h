/* When a connection has taken too long. libmicrohttpd's own timeout is about silence: one byte
 * every two seconds holds a connection for ever. These are deadlines for the whole, as pure
 * functions of the time; http_connection.c has the list and the thread. */
#ifndef GATEWAY_REAPER_H
#define GATEWAY_REAPER_H

#include <stdbool.h>
#include <stdint.h>

/* Where a connection is with its request. */
typedef enum {
    REAPER_IDLE,      /* accepted, or answered: nothing of the next request was seen yet */
    REAPER_HEADER,    /* the request line is here */
    REAPER_BODY,      /* the header is here */
    REAPER_WAITING,   /* the journal has the event; the connection is suspended */
    REAPER_ANSWERING, /* the answer is on its way; libmicrohttpd's timeout guards this */
    REAPER_CUT,       /* over: the socket was shut down */
} reaper_phase_t;

typedef struct {
    int64_t request_ms; /* from the beginning of a request to the end of its body */
    int64_t idle_ms;    /* from an answer to the next request */
    int64_t answer_ms;  /* from the end of the body to the journal's word */
} reaper_limits_t;

typedef struct {
    reaper_phase_t phase;
    int64_t phase_since_ms;   /* when this phase began */
    int64_t request_since_ms; /* when the request began; on a new connection when it was accepted */
    bool first;               /* no request of this connection was complete yet */
    uint64_t received;        /* bytes of the body so far */
} reaper_view_t;

#define REAPER_GRACE_MS    3000 /* before the rate counts: a lost packet may cost a second or two */
#define REAPER_LOWEST_RATE 512  /* bytes of body per second; a 300-baud line had 30 */

typedef enum {
    REAPER_KEEP,
    REAPER_CLOSE,   /* an idle connection: close it without a word */
    REAPER_TIMEOUT, /* a request that came too slowly: 408 where possible, and close */
    REAPER_GIVE_UP, /* the journal's answer is overdue: 503 */
} reaper_verdict_t;

/* now_ms: the clock of the view, monotonic. */
reaper_verdict_t reaper_judge(const reaper_view_t *view, const reaper_limits_t *limits,
                              int64_t now_ms);

#endif
