#include "replay_peers.h"

#include <stdlib.h>
#include <string.h>

#define ROUTING_ID_MAX 255 /* bytes; ZMTP's */

typedef struct {
    uint8_t id[ROUTING_ID_MAX];
    uint8_t size;
    gateway_account_t *account; /* NULL: the entry was never used */
} peer_t;

struct replay_peers {
    gateway_account_t *total;
    peer_t peers[REPLAY_PEERS_MAX];
};

replay_peers_t *replay_peers_new(void)
{
    replay_peers_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->total = gateway_account_new(NULL);
    if (self->total == NULL) {
        free(self);
        return NULL;
    }
    return self;
}

void replay_peers_destroy(replay_peers_t **self_p)
{
    replay_peers_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < REPLAY_PEERS_MAX; i++) {
        gateway_account_release(&self->peers[i].account);
    }
    gateway_account_release(&self->total);
    free(self);
}

gateway_account_t *replay_peers_account(replay_peers_t *self, const void *id, size_t size)
{
    peer_t *idle = NULL;
    if (size > ROUTING_ID_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < REPLAY_PEERS_MAX; i++) {
        peer_t *peer = &self->peers[i];
        if (peer->account != NULL && peer->size == size && memcmp(peer->id, id, size) == 0) {
            return peer->account;
        }
        if (idle == NULL &&
            (peer->account == NULL || gateway_account_parcels(peer->account) == 0)) {
            idle = peer;
        }
    }
    if (idle == NULL) {
        return NULL;
    }
    if (idle->account == NULL) {
        idle->account = gateway_account_new(self->total);
    }
    memcpy(idle->id, id, size);
    idle->size = (uint8_t)size;
    return idle->account;
}

size_t replay_peers_bytes(const replay_peers_t *self)
{
    return gateway_account_bytes(self->total);
}
