/* What the files of the ingest listener share: http.c (life), http_connection.c (connections and
 * their deadlines), http_request.c (one request through stages 1 to 4). */
#ifndef GATEWAY_HTTP_PRIV_H
#define GATEWAY_HTTP_PRIV_H

#include <pthread.h>

#include "budget.h"
#include "http.h"
#include "http_answer.h"
#include "limit.h"
#include "proxy.h"
#include "reaper.h"
#include "tls.h"

typedef struct http_loop http_loop_t;
typedef struct http_connection http_connection_t;
typedef struct http_request http_request_t;

/* What a reload may change. A request keeps the one it began with. */
typedef struct {
    atomic_int references;
    verify_keys_t *keys;
    proxy_list_t proxies;
    size_t max_body;
    int64_t tolerance_s;
    limit_rate_t rate;
    limit_rate_t failures;
} http_policy_t;

struct http_connection {
    http_loop_t *loop;
    proxy_address_t peer;
    int fd; /* libmicrohttpd's; valid while the connection is in the list */
    /* Under loop->lock. */
    http_connection_t *next, *previous;
    reaper_view_t view;
    http_request_t *request; /* while WAITING */
};

/* One daemon with its thread (http_loop.c). */
struct http_loop {
    http_t *http;
    struct MHD_Daemon *daemon;
    int listen_fd; /* a dup of the shared socket */
    int wake_fd;   /* an eventfd */
    pthread_t thread;
    bool runs;
    atomic_bool woken;    /* something was written to wake_fd that the thread has not read */
    atomic_bool quiesce;  /* asked for */
    atomic_bool quiesced; /* done */
    atomic_bool ends;
    atomic_uint resumers; /* threads within http_loop_resume */
    pthread_mutex_t lock;
    http_connection_t *connections;
    size_t count;
    size_t waiting; /* suspended, or resumed but not yet called */
    bool closed;    /* nobody may begin to wait any more: the daemon is about to be stopped */
};

struct http {
    /* Fixed from http_new on. */
    char *path;
    unsigned loop_count;
    unsigned connections;
    unsigned connections_per_address;
    reaper_limits_t limits;
    journal_t *journal;
    mb_log_t *log;
    tls_t *tls; /* NULL: plain HTTP */
    http_answers_t *answers;
    budget_t budget;
    limit_t *rates;
    limit_t *failures;
    limit_t *log_lines; /* one bucket: refusals are logged, floods of them are not */
    int listen_fd;
    char address[80];
    http_loop_t loops[HTTP_THREADS_MAX];

    pthread_mutex_t policy_lock;
    http_policy_t *policy;

    atomic_bool stopping;
    atomic_uint_fast64_t unlogged; /* refusals since the last that was logged */
    pthread_t reaper;
    bool reaper_runs;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake; /* the reaper is to end, or a connection went while stopping */
    bool reaper_ends;

    mb_metric_t *metric_connections;
    mb_metric_t *metric_duration;
    mb_metric_t *metric_verify[VERIFY_RESULTS];
    mb_metric_t *metric_differing;
};

/* ---- http_options.c ---- */
MAILBUS_MUST_USE mailbus_code_t http_check_fields(const http_options_t *options,
                                                  mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t http_check_tls_support(mailbus_error_t *error);
/* `keys_p` is taken over on OK. */
MAILBUS_MUST_USE mailbus_code_t http_policy_new(const http_options_t *options,
                                                verify_keys_t **keys_p, http_policy_t **ret_policy,
                                                mailbus_error_t *error);
http_policy_t *http_policy_hold(http_t *self);
void http_policy_release(http_policy_t **policy_p);

/* ---- http_loop.c ---- */
MAILBUS_MUST_USE mailbus_code_t http_loop_start(http_loop_t *self, int listen_fd,
                                                mailbus_error_t *error);
/* Resume a suspended connection. Any thread; nothing of the connection may be used afterwards. */
void http_loop_resume(http_loop_t *self, struct MHD_Connection *mhd);
void http_loop_quiesce(http_loop_t *self);           /* ask it to accept nothing more */
bool http_loop_is_quiesced(const http_loop_t *self); /* also where it never started */
/* No connection may be suspended. Fine where it never started. */
void http_loop_stop(http_loop_t *self);

/* ---- http_connection.c ---- */
/* Callbacks of libmicrohttpd; cls is the loop. */
void http_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);
void *http_on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd);
/* The context of a connection, or NULL (no memory when it was accepted). */
http_connection_t *http_connection_of(struct MHD_Connection *mhd);
/* Go to a phase. False: the connection is over, because the reaper has cut it, or because it would
 * begin to wait when the loop is closed. */
bool http_connection_enter(http_connection_t *self, reaper_phase_t phase, http_request_t *request,
                           int64_t now_ms);
reaper_phase_t http_connection_phase(http_connection_t *self);
void http_connection_received(http_connection_t *self, size_t size);
/* Look at all connections of a loop once, and end what is over its time. */
void http_loop_sweep(http_loop_t *self, int64_t now_ms);
/* While stopping: end idle connections; with `all` every one, give up waiting for the journal, and
 * let nobody begin to. Returns how many are left. */
size_t http_loop_drain(http_loop_t *self, bool all, int64_t now_ms);
/* Connections that are suspended, or being resumed. */
size_t http_loop_waiting(http_loop_t *self);

/* ---- http_request.c ---- */
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_data_size, void **context);
void http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code);
/* Stop waiting for the journal. True: the caller calls http_request_resume, outside of all locks.
 */
bool http_request_give_up(http_request_t *self);
void http_request_resume(http_request_t *self);
http_request_t **http_request_link(http_request_t *self); /* for the caller's list */

#endif
