/* What each peer of the replay socket has been sent and has not taken yet. The replay thread's. */
#ifndef REPLAY_PEERS_H
#define REPLAY_PEERS_H

#include "gateway_account.h"

typedef struct replay_peers replay_peers_t;

/* Peers with something on its way at one time. Beyond it a new one is asked to come back later. */
#define REPLAY_PEERS_MAX 1024

replay_peers_t *replay_peers_new(void); /* NULL without memory */
void replay_peers_destroy(replay_peers_t **self_p);
/* The account of a peer, lent until the next call; NULL where there are too many peers (or no
 * memory). Entries of peers with nothing on its way are used again. */
gateway_account_t *replay_peers_account(replay_peers_t *self, const void *id, size_t size);
/* The sum over all peers. */
size_t replay_peers_bytes(const replay_peers_t *self);

#endif
