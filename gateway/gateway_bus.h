/* Stages 4 to 6 as one: the journal, the two sockets that serve it, and who may connect to them.
 *
 * The gateway publishes what AgentMail sends through one; a subscriber that publishes events of its
 * own (mailbus-extract) has another, so that whatever reads the one reads the other. Belongs to the
 * thread that opened it, but for what its parts allow others (journal_submit, gateway_bus_ready).
 */
#ifndef GATEWAY_BUS_H
#define GATEWAY_BUS_H

#include "publisher.h"
#include "replay.h"
#include "zap.h"

/* Once a second: PROTOCOL.md promises it to subscribers, so it is no setting. */
#define GATEWAY_HEADS_INTERVAL_MS 1000

/* How long a bus that stops waits for subscribers to take what is queued for them. What they don't
 * take they fetch after the restart; the gateway's whole stop has ten seconds. */
#define GATEWAY_LINGER_MS 2000

typedef struct {
    journal_options_t journal;
    publisher_options_t publisher; /* `own` is filled in here */
    replay_options_t replay;       /* the same */
    const char *curve_dir; /* folder with server.key_secret and clients/; "": without keys */
} gateway_bus_options_t;

typedef struct {
    /* Lent. */
    mb_metrics_t *metrics;
    mb_log_t *log;
    /* Its own. */
    void *context; /* libzmq's */
    mb_key_pair_t own;
    bool curve;
    mb_zap_t *zap; /* NULL without keys */
    journal_t *journal;
    publisher_t *publisher;
    replay_t *replay;
} gateway_bus_t;

/* Open the journal, bind the sockets, see that strangers stay out. Nothing is taken yet. `self` is
 * zeroed; on failure gateway_bus_close takes what there is. The options are lent for the call. */
MAILBUS_MUST_USE mailbus_code_t gateway_bus_open(gateway_bus_t *self,
                                                 const gateway_bus_options_t *options,
                                                 mb_metrics_t *metrics, mb_log_t *log,
                                                 mailbus_error_t *error);
/* From now on what is handed to the journal is committed and published. */
MAILBUS_MUST_USE mailbus_code_t gateway_bus_start(gateway_bus_t *self, mailbus_error_t *error);
/* True while events are taken and served; else `reason` says why not. Any thread. */
bool gateway_bus_ready(const gateway_bus_t *self, char *reason, size_t size);
/* Read the allow-list of `curve_dir` again; a revoked key is cut off at once. What is wrong is
 * logged, and the old stays in force. */
void gateway_bus_reload_keys(gateway_bus_t *self, const char *curve_dir);
/* Commit what waits and hand it to the publisher; later events are refused. */
void gateway_bus_stop(gateway_bus_t *self);
/* Stop, say the last heads, free everything. Takes half-opened ones and closed ones. */
void gateway_bus_close(gateway_bus_t *self);

#endif
