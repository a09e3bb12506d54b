/* The admin listener of every program: /healthz, /readyz, /metrics. Never on the intake's port
 * (DESIGN §8), loopback by default. */
#ifndef MB_ADMIN_H
#define MB_ADMIN_H

#include "httpd.h"
#include "metrics.h"

typedef struct mb_admin mb_admin_t;

/* True where the program is ready; else `reason` says in words why not. Called on the listener's
 * thread. */
typedef bool(mb_ready_fn)(void *arg, char *reason, size_t size);

/* listen "": no listener, *ret_self is NULL and OK is returned. /healthz answers 200 while the
 * process lives, /readyz 200 or 503 with the reason, /metrics the registry, / a short index. */
MAILBUS_MUST_USE mailbus_code_t mb_admin_new(const char *listen, mb_metrics_t *metrics,
                                             mb_ready_fn *ready, void *arg, mb_admin_t **ret_self,
                                             mailbus_error_t *error);
/* Pages of the program's own. */
typedef struct {
    mb_http_handler_fn *handler; /* for all other paths and methods, on the listener's thread; it
                                    answers 404 itself where it knows nothing */
    void *arg;
    size_t max_body; /* the largest body that it wants, bytes; 0: none */
} mb_admin_more_t;

/* The same with them. */
MAILBUS_MUST_USE mailbus_code_t mb_admin_new_with(const char *listen, mb_metrics_t *metrics,
                                                  mb_ready_fn *ready, void *arg,
                                                  const mb_admin_more_t *more,
                                                  mb_admin_t **ret_self, mailbus_error_t *error);
void mb_admin_destroy(mb_admin_t **self_p);
const char *mb_admin_address(const mb_admin_t *self); /* "" for NULL */

#endif
