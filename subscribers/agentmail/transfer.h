/* One HTTP exchange over a reused libcurl handle, with bounds on everything: for the API's client,
 * and for what else subscribers send (webhooks, Slack, GitHub). Call curl_global_init before. */
#ifndef AGENTMAIL_TRANSFER_H
#define AGENTMAIL_TRANSFER_H

#include <stdatomic.h>

#include "mailbus/buf.h"

/* Which addresses may be connected to, looked at after DNS. */
typedef enum {
    AGENTMAIL_REACH_ANY,      /* the operator named the host */
    AGENTMAIL_REACH_LOOPBACK, /* plain http: nothing leaves the machine */
    AGENTMAIL_REACH_PUBLIC,   /* an answer named the host */
} agentmail_reach_t;

#define AGENTMAIL_WANTED_MAX  6    /* header fields of an answer that one exchange can ask for */
#define AGENTMAIL_HEADER_SIZE 1024 /* of one of their values with its NUL: a Link field is long */

typedef struct {
    const char *method;
    const char *url;
    agentmail_reach_t reach;
    const char *authorization;  /* whole header line; NULL: none */
    const char *key;            /* whole Idempotency-Key line; NULL: none */
    const char *const *headers; /* further whole lines, ends with NULL; may be NULL */
    const char *const
        *wanted;      /* names of the answer's header fields, ends with NULL; may be NULL */
    const char *json; /* the body; NULL: none */
    size_t json_size;
    size_t limit; /* bytes of the answer's body */
    bool cut;     /* at the limit stop and be content; else it is a failure */
    /* On a connection of its own: libcurl sends a request a second time where a reused connection
     * ends without an answer, and what has no idempotency key would be done twice. */
    bool once;
    long timeout_ms, connect_timeout_ms;
    long stall_s;    /* ended where for so long … */
    long least_rate; /* … fewer bytes a second than this move; 0: 1 */
    const char *user_agent;
    const atomic_bool *stopped; /* once it is true the exchange ends soon; may be NULL */
} agentmail_transfer_t;

typedef struct {
    long status;        /* 0: no answer, `failure` says why */
    double retry_after; /* seconds, 0: not said */
    bool sent;          /* the request left, at least in part */
    bool refused;       /* the address may not be connected to */
    bool too_long;      /* the body went beyond the limit */
    char failure[256];
    char values[AGENTMAIL_WANTED_MAX]
               [AGENTMAIL_HEADER_SIZE]; /* of `wanted`, in its order; "": not there, or too long */
} agentmail_answer_t;

typedef struct agentmail_handle agentmail_handle_t;

agentmail_handle_t *agentmail_handle_new(void); /* NULL: no memory */
void agentmail_handle_destroy(agentmail_handle_t **self_p);
/* The answer's body is appended to `body`; what came is there on failure too. */
void agentmail_handle_run(agentmail_handle_t *self, const agentmail_transfer_t *transfer,
                          mailbus_buf_t *body, agentmail_answer_t *answer);

#endif
