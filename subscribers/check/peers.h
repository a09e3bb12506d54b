/* Whom to ask before a mail is sent: the entries of send.checks, and one question to all of them.
 *
 * Every question has sockets of its own, made for it and closed after it. A question comes once per
 * mail that is about to be sent, which is an HTTPS call already; in return nothing is shared
 * between worker threads, no queue fills up for a peer that is away, and an answer that comes late
 * has nowhere to go: its socket is closed, and the routing id that it was for with it. */
#ifndef CHECK_PEERS_H
#define CHECK_PEERS_H

#include "mailbus/check.h"

#define CHECK_PEERS_MAX 16 /* entries of send.checks: more is a mistake */

typedef struct check_peers check_peers_t;

/* What one of them said. */
typedef enum { CHECK_REPLY_YES, CHECK_REPLY_NO, CHECK_REPLY_NONE } check_reply_kind_t;
typedef struct {
    check_reply_kind_t kind;
    char reason[MAILBUS_CHECK_REASON_MAX + 1]; /* one line; NONE: why there is no answer */
    int64_t until_ms;                          /* NO: until then; 0: for good */
} check_reply_t;

/* Read `entries`: blank-separated, ENDPOINT or NAME@ENDPOINT. With a NAME the connection uses
 * CURVE: clients/NAME.key of `curve_dir` is the peer's key, clients/<curve_name>.key_secret this
 * program's. EINVAL (and what the keys' files give) with the entry that is wrong: a NAME without
 * keys, keys but no NAME beyond loopback, no endpoint, twice the same, too many. */
MAILBUS_MUST_USE mailbus_code_t check_peers_new(const char *entries, const char *curve_dir,
                                                const char *curve_name, check_peers_t **ret_self,
                                                mailbus_error_t *error);
void check_peers_destroy(check_peers_t **self_p);
size_t check_peers_count(const check_peers_t *self);
/* What a person calls it: NAME, or the endpoint. */
const char *check_peers_label(const check_peers_t *self, size_t index);

/* Ask all of them at once and wait for `timeout_ms` at most; `replies` has room for all. With
 * `stop_at_no` it returns with the first no, and the others are NONE. Any thread, several at a
 * time. EINVAL where the address can't be asked about (nothing was sent); ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t check_peers_ask(const check_peers_t *self, const char *address,
                                                int64_t timeout_ms, bool stop_at_no,
                                                check_reply_t *replies, mailbus_error_t *error);

#endif
