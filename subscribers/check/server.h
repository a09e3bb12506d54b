/* The answering side of the check protocol, for a subscriber that keeps a list.
 *
 * One thread owns a ROUTER socket and calls `decide` there. With bus.curve_dir set the socket
 * speaks CURVE: this program's own pair (clients/<bus.curve_name>.key_secret) is the server's, and
 * whoever is in clients/ may ask; fail-closed, as the gateway's sockets are. */
#ifndef CHECK_SERVER_H
#define CHECK_SERVER_H

#include "mailbus/check.h"
#include "mailbus/subscriber.h"

/* Rows for the subscriber's settings table. A text, because an endpoint can't be empty; what is
 * none is said at start. */
#define CHECK_SERVER_SETTINGS(endpoint)                                                            \
    {"check.listen", "text",                                                                       \
     endpoint,       "Where others ask whether they may send to an address; empty: nowhere",       \
     false,          NULL},                                                                        \
    {                                                                                              \
        "check.open", "boolean", "no", "Listen beyond loopback without keys (bus.curve_dir)",      \
            false, NULL                                                                            \
    }

typedef enum { CHECK_YES, CHECK_NO, CHECK_SILENT /* the list can't be read: no answer */ } check_t;

/* On the server's thread. `address` is checked and unquoted (agentmail_address_parse); `reason`
 * (an empty string in `size` bytes) and *ret_until_ms (0: for good) go with CHECK_NO; with
 * CHECK_SILENT the reason is for the log, which the server writes: once when it becomes silent,
 * once a minute while it is, once when it answers again. */
typedef check_t(check_decide_fn)(void *arg, const char *address, char *reason, size_t size,
                                 int64_t *ret_until_ms);

typedef struct check_server check_server_t;

/* Bound and answering when it returns OK; with an empty check.listen *ret_self is NULL. Call it
 * from the subscriber's start; destroy it in its stop. Logs stage=check message=bound endpoint=….
 * Counts as mailbus_<name>_checks_total{answer="yes|no|silent|error|dropped|unsent"}. */
MAILBUS_MUST_USE mailbus_code_t check_server_new(mailbus_runtime_t *runtime,
                                                 check_decide_fn *decide, void *arg,
                                                 check_server_t **ret_self, mailbus_error_t *error);
void check_server_destroy(check_server_t **self_p); /* takes NULL */
/* Call it from the subscriber's reload: reads the allow-list again. Where a key was taken away all
 * connections are cut, and whoever is still allowed connects anew. Takes NULL. On error the old
 * list stays in force. */
MAILBUS_MUST_USE mailbus_code_t check_server_reload(check_server_t *self, mailbus_error_t *error);
/* The real endpoint, ports filled in. */
const char *check_server_endpoint(const check_server_t *self);

#endif
