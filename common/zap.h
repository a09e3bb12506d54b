/* The ZAP handler (RFC 27/ZAP) of a process: who may open a CURVE connection to a bound socket.
 *
 * Own code, not czmq's zauth: zauth copies certificate metadata into 512 bytes without looking,
 * reads the folder on its own schedule, and tells nobody of a refusal. This one fails closed,
 * counts and logs. One thread owns the REP socket at inproc://zeromq.zap.01. */
#ifndef MB_ZAP_H
#define MB_ZAP_H

#include "keys.h"
#include "log.h"
#include "metrics.h"

typedef struct mb_zap mb_zap_t;

#define MB_ZAP_DOMAIN "mailbus"

/* Runs when it returns OK. The allow-list comes from `dir` (mb_keys_list). `context` is a libzmq
 * context, lent. */
MAILBUS_MUST_USE mailbus_code_t mb_zap_new(void *context, const char *dir, mb_metrics_t *metrics,
                                           mb_log_t *log, mb_zap_t **ret_self,
                                           mailbus_error_t *error);
void mb_zap_destroy(mb_zap_t **self_p);
/* Read the folder again. `ret_revoked` says whether a key that was allowed is no more: the caller
 * then binds its sockets anew, because ZAP asks only at the handshake. On error the old list stays.
 */
MAILBUS_MUST_USE mailbus_code_t mb_zap_reload(mb_zap_t *self, bool *ret_revoked,
                                              mailbus_error_t *error);

#endif
