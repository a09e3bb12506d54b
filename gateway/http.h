/* Stages 1 to 3: the ingest listener. It takes POSTs, has them verified and read, hands them to the
 * journal, and answers after the commit.
 *
 * Threads: `threads` libmicrohttpd daemons, each run by a thread of its own (epoll, no pool) that
 * owns its connections, all accepting from one listening socket; and one reaper that ends what
 * takes too long. No HTTP thread ever waits for the disk: the connection is suspended before the
 * journal gets the event and resumed from the journal's thread. */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include "journal.h"
#include "verify.h"

typedef struct http http_t;

/* Lent for the call; http.c keeps copies. Fields marked (reload) are taken by http_reload too. */
typedef struct {
    const char *listen;               /* http.listen; an MB_ADDRESS, port 0 allowed */
    const char *path;                 /* http.path, "/webhook" */
    unsigned threads;                 /* http.threads: 1 to HTTP_THREADS_MAX */
    unsigned connections;             /* http.connections: most at once */
    unsigned connections_per_address; /* http.connections_per_address; 0: no limit */
    size_t body_budget;               /* http.body_budget: bytes of all bodies in flight */
    int64_t idle_timeout_ms;          /* http.idle_timeout: from an answer to the next header */
    int64_t request_timeout_ms; /* http.request_timeout: from accepting to the end of the body */
    int64_t answer_timeout_ms;  /* http.answer_timeout: from the end of the body to the commit */
    const char *tls_cert; /* http.tls_cert, PEM chain; "": plain HTTP. (reload: the content) */
    const char *tls_key;  /* http.tls_key, PEM */
    size_t max_body;      /* http.max_body, bytes (reload) */
    const char *trusted_proxies; /* http.trusted_proxies: blank-separated CIDRs (reload) */
    int64_t tolerance_s;         /* verify.tolerance, seconds (reload) */
    int64_t rate;                /* limits.rate: requests per second and address; 0: off (reload) */
    int64_t burst;               /* limits.burst: at once; 0: as many as `rate` (reload) */
    int64_t auth_failures; /* limits.auth_failures: failed signatures per minute; 0: off (reload) */
} http_options_t;

#define HTTP_THREADS_MAX 64

/* What http_options_t holds where the settings say nothing. */
#define HTTP_DEFAULT_MAX_BODY        (2 * 1024 * 1024)  /* AgentMail sends at most 1 MB */
#define HTTP_DEFAULT_BODY_BUDGET     (64 * 1024 * 1024) /* 32 of the largest at once */
#define HTTP_DEFAULT_CONNECTIONS     10000
#define HTTP_DEFAULT_THREADS         2
#define HTTP_DEFAULT_REQUEST_TIMEOUT 10000 /* ms; Svix gives up after 15 s */
#define HTTP_DEFAULT_IDLE_TIMEOUT    60000 /* ms */
#define HTTP_DEFAULT_ANSWER_TIMEOUT  12000 /* ms; below Svix's 15 s */

/* Bind, and read the TLS files; nothing is accepted yet. `keys_p` is taken over on OK (and nulled).
 * `journal`, `metrics` (may be NULL) and `log` (may be NULL) are lent and outlive it.
 * EINVAL: a setting, with its key; EEXIST: the address is taken; EACCESS: not allowed to bind. */
MAILBUS_MUST_USE mailbus_code_t http_new(const http_options_t *options, verify_keys_t **keys_p,
                                         journal_t *journal, mb_metrics_t *metrics, mb_log_t *log,
                                         http_t **ret_self, mailbus_error_t *error);
/* Begin to accept; logs "listening" with the address. */
MAILBUS_MUST_USE mailbus_code_t http_start(http_t *self, mailbus_error_t *error);
/* "127.0.0.1:43211": the address with the real port. Lent. */
const char *http_address(const http_t *self);

/* Take the (reload) fields, new keys (taken over on OK) and the TLS files' content for what comes
 * from now on. Requests under way are judged by what held when they began, and connections are not
 * dropped. Where anything is wrong nothing changes. One thread calls this. */
MAILBUS_MUST_USE mailbus_code_t http_reload(http_t *self, const http_options_t *options,
                                            verify_keys_t **keys_p, mailbus_error_t *error);

/* Check without binding anything, for --check: every field, and the TLS files. */
MAILBUS_MUST_USE mailbus_code_t http_check(const http_options_t *options, mailbus_error_t *error);

/* Stop accepting, let what is in flight be answered for at most `grace_ms`, answer 503 to what the
 * journal has not told about by then, stop the threads. The journal must still be running. New
 * connections, and those the kernel had queued but we had not accepted, are reset: the sender sees
 * a failure and sends again. Returns when nothing of it runs; calling it twice is harmless. */
void http_stop(http_t *self, int64_t grace_ms);
/* Stops where that was not done. NULL and half-made are fine. */
void http_destroy(http_t **self_p);

#endif
