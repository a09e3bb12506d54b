/* One HTTP exchange over a reused libcurl handle, with bounds on everything. Inside the library. */
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

typedef struct {
    const char *method;
    const char *url;
    agentmail_reach_t reach;
    const char *authorization; /* whole header line; NULL: none */
    const char *key;           /* whole Idempotency-Key line; NULL: none */
    const char *json;          /* the body; NULL: none */
    size_t json_size;
    size_t limit; /* bytes of the answer's body */
    bool cut;     /* at the limit stop and be content; else it is a failure */
    long timeout_ms, connect_timeout_ms, stall_s;
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
} agentmail_answer_t;

typedef struct agentmail_handle agentmail_handle_t;

agentmail_handle_t *agentmail_handle_new(void); /* NULL: no memory */
void agentmail_handle_destroy(agentmail_handle_t **self_p);
/* The answer's body is appended to `body`; what came is there on failure too. */
void agentmail_handle_run(agentmail_handle_t *self, const agentmail_transfer_t *transfer,
                          mailbus_buf_t *body, agentmail_answer_t *answer);

#endif
