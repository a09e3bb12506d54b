/* The life of the ingest listener: bind, start, reload, stop. */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "encoding.h"
#include "http_priv.h"
#include "httpd.h"

#define BACKLOG           1024  /* what the kernel accepts for us in a burst */
#define SWEEP_MS          200   /* how exact the deadlines are */
#define DRAIN_MS          10    /* how often stopping looks whether all is answered */
#define RATE_SLOTS        65536 /* addresses with a bucket of their own: 2 MiB */
#define FAILURE_SLOTS     16384
#define SPARE_DESCRIPTORS 128U /* for the journal, the bus and the admin listener */
#define LAST_WORDS_MS     1000 /* for answers to leave after stopping has given up on the rest */

/* ---- making ---------------------------------------------------------------------------------- */

static void register_metrics(http_t *self, mb_metrics_t *metrics)
{
    static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                    0.25,  0.5,    1,     2.5,  5,     10};
    self->metric_connections = mb_gauge(metrics, "mailbus_http_connections", "",
                                        "Open connections of the ingest listener");
    self->budget.gauge = mb_gauge(metrics, "mailbus_http_body_bytes_in_flight", "",
                                  "Memory held by request bodies, in bytes");
    self->metric_duration =
        mb_histogram(metrics, "mailbus_http_request_duration_seconds", "",
                     "From the end of a request's header to the end of its answer", bounds,
                     sizeof bounds / sizeof bounds[0]);
    self->metric_differing =
        mb_counter(metrics, "mailbus_http_duplicates_differing_total", "",
                   "Duplicates whose body was not the first copy's; the first copy counts");
    for (int i = VERIFY_OK + 1; i < VERIFY_RESULTS; i++) {
        char label[64];
        snprintf(label, sizeof label, "reason=\"%s\"", verify_result_name((verify_result_t)i));
        self->metric_verify[i] = mb_counter(metrics, "mailbus_verify_failures_total", label,
                                            "Requests whose signature was not accepted");
    }
}

/* The threads' means of waiting. A condition on the monotonic clock, so that setting the wall clock
 * stops no deadline. False without memory. */
static bool init_locks(http_t *self)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&self->policy_lock, NULL) != 0 ||
        pthread_mutex_init(&self->wake_lock, NULL) != 0 ||
        pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&self->wake, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    for (size_t i = 0; good && i < HTTP_THREADS_MAX; i++) {
        self->loops[i].http = self;
        self->loops[i].listen_fd = -1;
        self->loops[i].wake_fd = -1;
        good = pthread_mutex_init(&self->loops[i].lock, NULL) == 0;
    }
    return good;
}

/* What fits the process's descriptor table; beyond it accept() would fail again and again. */
static unsigned fit_connections(http_t *self, unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)wanted + SPARE_DESCRIPTORS) {
        return wanted;
    }
    const unsigned fits = limit.rlim_cur / 2 > SPARE_DESCRIPTORS
                              ? (unsigned)limit.rlim_cur - SPARE_DESCRIPTORS
                              : SPARE_DESCRIPTORS;
    mb_log(self->log, MB_WARN, "http",
           "fewer connections than http.connections: raise the limit "
           "of open files (ulimit -n)",
           MB_U("wanted", wanted), MB_U("connections", fits));
    return fits;
}

static mailbus_code_t fill(http_t *self, const http_options_t *options, mb_metrics_t *metrics,
                           mailbus_error_t *error)
{
    uint64_t seed;
    if (mb_random(&seed, sizeof seed) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EIO, "the system gives no random numbers");
    }
    self->limits = (reaper_limits_t){.request_ms = options->request_timeout_ms,
                                     .idle_ms = options->idle_timeout_ms,
                                     .answer_ms = options->answer_timeout_ms};
    self->loop_count = options->threads;
    self->connections = fit_connections(self, options->connections);
    self->connections_per_address = options->connections_per_address;
    self->budget.limit = options->body_budget;
    self->path = strdup(options->path);
    self->rates = limit_new(RATE_SLOTS, seed);
    self->failures = limit_new(FAILURE_SLOTS, seed);
    self->log_lines = limit_new(1, 0);
    if (self->path == NULL || self->rates == NULL || self->failures == NULL ||
        self->log_lines == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    register_metrics(self, metrics);
    mailbus_code_t code = http_answers_new(metrics, &self->answers, error);
    if (code == MAILBUS_OK && options->tls_cert[0] != '\0') {
        code = http_check_tls_support(error);
        if (code == MAILBUS_OK) {
            code = tls_new(options->tls_cert, options->tls_key, &self->tls, error);
        }
    }
    return code;
}

mailbus_code_t http_new(const http_options_t *options, verify_keys_t **keys_p, journal_t *journal,
                        mb_metrics_t *metrics, mb_log_t *log, http_t **ret_self,
                        mailbus_error_t *error)
{
    mailbus_code_t code = http_check_fields(options, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    http_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->listen_fd = -1;
    self->journal = journal;
    self->log = log;
    if (!init_locks(self)) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    code = fill(self, options, metrics, error);
    if (code == MAILBUS_OK) {
        code = mb_tcp_listen(options->listen, BACKLOG, &self->listen_fd, error);
    }
    if (code == MAILBUS_OK) {
        mb_tcp_address(self->listen_fd, self->address, sizeof self->address);
        code = http_policy_new(options, keys_p, &self->policy, error);
    }
    if (code != MAILBUS_OK) {
        http_destroy(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

const char *http_address(const http_t *self)
{
    return self->address;
}

/* ---- the reaper -------------------------------------------------------------------------------
 */

/* Wait on `wake`, at most `ms`; under wake_lock. */
static void wait_ms(http_t *self, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&self->wake, &self->wake_lock, &until);
}

static void *run_reaper(void *arg)
{
    http_t *self = arg;
    pthread_mutex_lock(&self->wake_lock);
    while (!self->reaper_ends) {
        wait_ms(self, SWEEP_MS);
        pthread_mutex_unlock(&self->wake_lock);
        const int64_t now_ms = mb_clock_monotonic_ms();
        for (unsigned i = 0; i < self->loop_count; i++) {
            http_loop_sweep(&self->loops[i], now_ms);
        }
        pthread_mutex_lock(&self->wake_lock);
    }
    pthread_mutex_unlock(&self->wake_lock);
    return NULL;
}

static void end_reaper(http_t *self)
{
    if (!self->reaper_runs) {
        return;
    }
    pthread_mutex_lock(&self->wake_lock);
    self->reaper_ends = true;
    pthread_cond_broadcast(&self->wake);
    pthread_mutex_unlock(&self->wake_lock);
    pthread_join(self->reaper, NULL);
    self->reaper_runs = false;
}

/* ---- starting and reloading -------------------------------------------------------------------
 */

mailbus_code_t http_start(http_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    if (pthread_create(&self->reaper, NULL, run_reaper, self) != 0) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "can't start the thread of the deadlines");
    }
    self->reaper_runs = true;
    for (unsigned i = 0; code == MAILBUS_OK && i < self->loop_count; i++) {
        code = http_loop_start(&self->loops[i], self->listen_fd, error);
    }
    if (code != MAILBUS_OK) {
        http_stop(self, 0);
        return code;
    }
    if (verify_keys_accepts_all(self->policy->keys)) {
        mb_log(self->log, MB_WARN, "http",
               "verify.insecure_accept_all=yes: requests are taken without a signature");
    }
    mb_log(self->log, MB_INFO, "http", "listening", MB_S("address", self->address),
           MB_S("path", self->path), MB_S("tls", self->tls != NULL ? "yes" : "no"),
           MB_U("threads", self->loop_count));
    return MAILBUS_OK;
}

mailbus_code_t http_reload(http_t *self, const http_options_t *options, verify_keys_t **keys_p,
                           mailbus_error_t *error)
{
    mailbus_code_t code = http_check_fields(options, error);
    if (code == MAILBUS_OK && (options->tls_cert[0] != '\0') != (self->tls != NULL)) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "http.tls_cert: TLS can't be switched on or off without a restart");
    }
    http_policy_t *policy = NULL;
    if (code == MAILBUS_OK) {
        /* The keys go in last, so that they are still the caller's where the files are bad. */
        verify_keys_t *none = NULL;
        code = http_policy_new(options, &none, &policy, error);
    }
    if (code == MAILBUS_OK && self->tls != NULL) {
        code = tls_reload(self->tls, options->tls_cert, options->tls_key, mb_clock_monotonic_ms(),
                          error);
    }
    if (code != MAILBUS_OK) {
        http_policy_release(&policy);
        return code;
    }
    policy->keys = *keys_p;
    *keys_p = NULL;
    pthread_mutex_lock(&self->policy_lock);
    http_policy_t *old = self->policy;
    self->policy = policy;
    pthread_mutex_unlock(&self->policy_lock);
    http_policy_release(&old);
    return MAILBUS_OK;
}

/* ---- stopping ---------------------------------------------------------------------------------
 */

static void pause_ms(http_t *self, int64_t ms)
{
    pthread_mutex_lock(&self->wake_lock);
    wait_ms(self, ms);
    pthread_mutex_unlock(&self->wake_lock);
}

/* Look again and again until nothing is left, or `for_ms` are over. `all`: see http_loop_drain. */
static void drain(http_t *self, bool all, int64_t for_ms)
{
    const int64_t end_ms = mb_clock_monotonic_ms() + for_ms;
    for (;;) {
        const int64_t now_ms = mb_clock_monotonic_ms();
        size_t left = 0;
        for (unsigned i = 0; i < self->loop_count; i++) {
            left += http_loop_drain(&self->loops[i], all, now_ms);
        }
        if (left == 0 || now_ms >= end_ms) {
            return;
        }
        pause_ms(self, DRAIN_MS);
    }
}

/* libmicrohttpd aborts the process where it is stopped with a suspended connection. The loops are
 * closed, so nobody begins to wait (a connection may still come out of accept() after quiescing),
 * and everyone who waits has been resumed or is being so: this ends as soon as the polling threads
 * have seen it. */
static void wait_for_resumed(http_t *self)
{
    for (unsigned i = 0; i < self->loop_count; i++) {
        while (http_loop_waiting(&self->loops[i]) > 0) {
            (void)http_loop_drain(&self->loops[i], true, mb_clock_monotonic_ms());
            pause_ms(self, DRAIN_MS);
        }
    }
}

void http_stop(http_t *self, int64_t grace_ms)
{
    if (atomic_exchange(&self->stopping, true)) {
        return;
    }
    bool any = false;
    for (unsigned i = 0; i < self->loop_count; i++) {
        any |= self->loops[i].daemon != NULL;
        http_loop_quiesce(&self->loops[i]);
    }
    for (unsigned i = 0; i < self->loop_count; i++) {
        while (!http_loop_is_quiesced(&self->loops[i])) {
            pause_ms(self, DRAIN_MS);
        }
    }
    /* Shut for all the dups at once: the kernel resets what it had queued and what comes now. */
    shutdown(self->listen_fd, SHUT_RDWR);
    if (any) {
        drain(self, false, grace_ms);
    }
    drain(self, true, LAST_WORDS_MS);
    wait_for_resumed(self);
    end_reaper(self);
    for (unsigned i = 0; i < self->loop_count; i++) {
        http_loop_stop(&self->loops[i]);
    }
    if (any) {
        mb_log(self->log, MB_INFO, "http", "stopped", MB_S("address", self->address));
    }
}

void http_destroy(http_t **self_p)
{
    http_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    http_stop(self, 0);
    if (self->listen_fd >= 0) {
        close(self->listen_fd);
    }
    http_policy_release(&self->policy);
    tls_destroy(&self->tls);
    http_answers_destroy(&self->answers);
    limit_destroy(&self->rates);
    limit_destroy(&self->failures);
    limit_destroy(&self->log_lines);
    for (size_t i = 0; i < HTTP_THREADS_MAX; i++) {
        pthread_mutex_destroy(&self->loops[i].lock);
    }
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->wake_lock);
    pthread_mutex_destroy(&self->policy_lock);
    free(self->path);
    free(self);
}
