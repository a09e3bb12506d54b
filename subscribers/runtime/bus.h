/* Stage 7: take in. One thread owns the SUB socket, the DEALER socket and the gap state; it writes
 * events and cursor to the inbox in one transaction.
 *
 * Files: bus.c (the thread), bus_open.c (start and stop), bus_sub.c (what is published),
 * bus_replay.c (asking for what is missing), bus_stream.c (first contact, another journal, the
 * stored note). */
#ifndef RUNTIME_BUS_H
#define RUNTIME_BUS_H

#include <stdatomic.h>

#include "inbox.h"
#include "shard.h"
#include "zmq_socket.h"

typedef struct bus bus_t;

/* What to do where the gateway has another journal than the one the cursor belongs to. */
typedef enum {
    BUS_RESTART, /* go on with what the new journal recorded since the last contact with the old */
    BUS_OLDEST,  /* take everything that it keeps */
    BUS_STOP,    /* end the program and leave it to a person */
} bus_policy_t;

typedef struct {
    const char *publish; /* endpoints to connect to */
    const char *replay;
    const mb_key_pair_t *own; /* CURVE; NULL: plain */
    const char *server_key;
    const char *const *topics; /* as gap_new takes them */
    const char *const *prefixes;
    shard_t shard;
    bool start_oldest; /* the first contact begins at the oldest event, not at the head */
    bus_policy_t new_stream;
    void (*notify)(void *arg); /* on the bus thread: positioned or failed has changed */
    void *notify_arg;
    atomic_bool *met; /* set for good once bus_caught_up was true; lent, may be NULL */
} bus_options_t;

/* Connected and running when it returns OK. Everything is lent for its life. */
MAILBUS_MUST_USE mailbus_code_t bus_new(void *context, const bus_options_t *options, inbox_t *inbox,
                                        mb_metrics_t *metrics, mb_log_t *log, bus_t **ret_self,
                                        mailbus_error_t *error);
/* Stop taking in, write what was taken, close the sockets. */
void bus_destroy(bus_t **self_p);

/* True once the place in the gateway's journal is known: nothing that is recorded from then on is
 * missed. */
bool bus_positioned(bus_t *self);
/* True while everything that the gateway is known to have is in the inbox, or was. */
bool bus_caught_up(bus_t *self);
/* True where it can't go on; `reason` says why. */
bool bus_failed(bus_t *self, char *reason, size_t size);
/* True while heads come, and intake is not paused. */
bool bus_ready(bus_t *self, char *reason, size_t size);

#endif
