/* The way to a gateway: a DEALER for questions, a SUB for what is live. The program's one thread
 * owns both sockets and their monitors.
 *
 * Every wait is bounded by cli.timeout and ends at Ctrl-C (ESTOPPED). A failure says what was
 * tried and what may be wrong: nobody listens, a key that is not let in, keys on one side only. */
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include "cli.h"
#include "filter.h"
#include "mailbus/replay.h"
#include "zmq_socket.h"

typedef struct link link_t;

/* Connect to bus.replay, with the key of bus.curve_dir where that is set. Blocks signals for the
 * rest of the program's life: they end waits. */
MAILBUS_MUST_USE mailbus_code_t link_new(cli_t *cli, link_t **ret_self, mailbus_error_t *error);
void link_destroy(link_t **self_p);

/* One event of a page, lent for the call; the header as it came. false: nothing more of this page
 * is wanted. */
typedef bool(link_visit_fn)(void *arg, const mailbus_event_t *event, const void *header,
                            size_t header_size);
/* Ask and take the whole answer. `request` is filled in here. *ret_trimmed (may be NULL) becomes
 * TRIMMED's oldest as soon as that comes, before the events; ret_end is the END, freed by the
 * caller. ERROR
 * becomes: 404 ENOTFOUND, 429 EAGAIN, 403 EACCESS, 400 EINVAL, else EIO. */
MAILBUS_MUST_USE mailbus_code_t link_ask(link_t *self, mailbus_fetch_t *fetch, link_visit_fn *visit,
                                         void *arg, uint64_t *ret_trimmed,
                                         mailbus_answer_t **ret_end, mailbus_error_t *error);

/* Connect to bus.publish and subscribe to what the filter names, and to bus.heads. */
MAILBUS_MUST_USE mailbus_code_t link_subscribe(link_t *self, const filter_t *filter,
                                               mailbus_error_t *error);
/* What is live: one message, or ETIMEOUT after `wait_ms`. The caller closes it. */
MAILBUS_MUST_USE mailbus_code_t link_receive(link_t *self, int wait_ms, mb_message_t *ret_message,
                                             mailbus_error_t *error);
/* The journal's id that the user named under `key`, "" for none. */
MAILBUS_MUST_USE mailbus_code_t link_read_stream(cli_t *cli, const char *key,
                                                 char stream[MAILBUS_UUID_SIZE],
                                                 mailbus_error_t *error);
/* cli.timeout */
int link_timeout_ms(const link_t *self);
/* The failure of a gateway that publishes nothing, in words. ETIMEOUT or EACCESS. */
mailbus_code_t link_silent(link_t *self, mailbus_error_t *error);

#endif
