/* Inside the library: peers.c reads them, ask.c asks. */
#ifndef CHECK_PEERS_PRIV_H
#define CHECK_PEERS_PRIV_H

#include "keys.h"
#include "peers.h"

enum { PEER_ENDPOINT_SIZE = 256 };

typedef struct {
    char endpoint[PEER_ENDPOINT_SIZE];
    char name[MB_KEY_NAME_MAX + 1]; /* "": in the clear */
    char server_key[MB_KEY_TEXT];
} peer_entry_t;

struct check_peers {
    void *context; /* its own: nothing of the bus waits for a question */
    mb_key_pair_t own;
    char own_name[MB_KEY_NAME_MAX + 1];
    peer_entry_t entries[CHECK_PEERS_MAX];
    size_t count;
};

/* A socket for a peer, not yet connected. */
MAILBUS_MUST_USE mailbus_code_t check_peer_socket(const check_peers_t *self,
                                                  const peer_entry_t *entry, void **ret_socket,
                                                  mailbus_error_t *error);

#endif
