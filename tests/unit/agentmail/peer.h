/* A server that answers as it is told, well or badly: one scripted answer per connection. */
#ifndef TEST_AGENTMAIL_PEER_H
#define TEST_AGENTMAIL_PEER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    PEER_CLOSE,        /* send the text, then close in order */
    PEER_RESET,        /* send the text, then reset the connection */
    PEER_HANG,         /* send the text, then nothing until the client goes */
    PEER_TRICKLE,      /* send the text, then a byte now and then (some 50 a second), for ever */
    PEER_ENDLESS,      /* send the text, then bytes for ever */
    PEER_ENDLESS_HEAD, /* send the text, then header lines for ever */
} peer_end_t;

typedef struct {
    const char *text; /* what is sent; "%s" stands for the server's "127.0.0.1:port" */
    peer_end_t end;
} peer_answer_t;

typedef struct peer peer_t;

/* Answer the next connections one after the other; `answers` is lent and ends with a NULL text. */
peer_t *peer_new(const peer_answer_t *answers);
void peer_destroy(peer_t **self_p);
const char *peer_address(const peer_t *self);
/* The whole n-th request as it came, or "" where there was none. Lent; asks after the call that
 * made it has returned. */
const char *peer_request(peer_t *self, size_t n);
size_t peer_count(peer_t *self);

#endif
