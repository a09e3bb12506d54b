/* One libmicrohttpd daemon and the thread that runs it.
 *
 * The thread is ours and not libmicrohttpd's, because its own waits on in epoll_wait where one call
 * returns as many events as it asks for (128): with 128 busy connections to a daemon nothing was
 * answered until some timeout, a minute later. Run from outside it never waits, and everything
 * that is ready is handled. It also lets a whole batch of the journal's answers wake the thread
 * once, and lets the thread itself quiesce the daemon, which is safe at any time. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_priv.h"

#define CONNECTION_MEMORY                                                                          \
    (16 * 1024) /* bytes for header and read buffer; headers take below 4 KiB */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

#define LOOK_MS 1000 /* the thread looks around at least so often */

static void on_message(void *cls, const char *format, va_list arguments)
{
    const http_loop_t *self = cls;
    char text[256];
    /* The formats are libmicrohttpd's own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, arguments);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    mb_log(self->http->log, MB_DEBUG, "http", "libmicrohttpd", MB_S("says", text));
}

/* GnuTLS gives no closure here, but libmicrohttpd makes its connection the session's pointer. */
static int on_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                          gnutls_pcert_st **chain, unsigned *chain_size, gnutls_privkey_t *key)
{
    (void)authorities;
    (void)count;
    (void)algorithms;
    (void)algorithm_count;
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
    const http_connection_t *connection = mhd != NULL ? http_connection_of(mhd) : NULL;
    if (connection == NULL) {
        return -1;
    }
    tls_current(connection->loop->http->tls, chain, chain_size, key);
    return 0;
}

/* This loop's part of a number that is meant for all. */
static unsigned share(unsigned total, unsigned loops)
{
    return total / loops + (total % loops != 0);
}

/* libmicrohttpd counts whole seconds of silence; it only has to be above our own deadlines. */
static unsigned silence_s(const reaper_limits_t *limits)
{
    const int64_t longest =
        limits->idle_ms > limits->request_ms ? limits->idle_ms : limits->request_ms;
    return (unsigned)(longest / 1000 + 5);
}

/* How long the thread may sleep: until libmicrohttpd has something to do, at most LOOK_MS. */
static int sleep_ms(http_loop_t *self)
{
    MHD_UNSIGNED_LONG_LONG ms = LOOK_MS;
    if (MHD_get_timeout(self->daemon, &ms) != MHD_YES || ms > LOOK_MS) {
        ms = LOOK_MS;
    }
    return (int)ms;
}

static void wake(http_loop_t *self)
{
    const uint64_t one = 1;
    if (!atomic_exchange(&self->woken, true)) {
        const ssize_t written = write(self->wake_fd, &one, sizeof one);
        assert(written == (ssize_t)sizeof one); /* an eventfd has room for 2^64 - 2 of them */
    }
}

/* What is asked for before `woken` is false again is seen by what follows in the loop; what comes
 * later wakes the thread anew. */
static void take_wake(http_loop_t *self)
{
    uint64_t count;
    const ssize_t got = read(self->wake_fd, &count, sizeof count);
    assert(got == (ssize_t)sizeof count);
    atomic_store(&self->woken, false);
}

static void *run(void *arg)
{
    http_loop_t *self = arg;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd ready[] = {{.fd = self->wake_fd, .events = POLLIN},
                             {.fd = info->epoll_fd, .events = POLLIN}};
    while (!atomic_load(&self->ends)) {
        ready[0].revents = 0;
        (void)poll(ready, 2, sleep_ms(self));
        if ((ready[0].revents & POLLIN) != 0) {
            take_wake(self);
        }
        if (atomic_load(&self->quiesce) && !atomic_load(&self->quiesced)) {
            (void)MHD_quiesce_daemon(self->daemon);
            atomic_store(&self->quiesced, true);
        }
        (void)MHD_run(self->daemon);
    }
    return NULL;
}

void http_loop_resume(http_loop_t *self, struct MHD_Connection *mhd)
{
    atomic_fetch_add(&self->resumers, 1);
    MHD_resume_connection(mhd);
    wake(self);
    atomic_fetch_sub(&self->resumers, 1); /* the last use of the loop: it may be stopped now */
}

static struct MHD_Daemon *start_daemon(http_loop_t *self)
{
    const http_t *http = self->http;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)on_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    if (http->tls == NULL) {
        tls[0].option = MHD_OPTION_END;
    }
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            (http->tls != NULL ? MHD_USE_TLS : 0),
        0, NULL, NULL, http_on_request, self, /* the logger comes first, or it misses messages */
        MHD_OPTION_EXTERNAL_LOGGER, on_message, self, //
        MHD_OPTION_LISTEN_SOCKET, self->listen_fd,    //
        MHD_OPTION_CONNECTION_LIMIT, share(http->connections, http->loop_count),
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        share(http->connections_per_address, http->loop_count),  //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,   //
        MHD_OPTION_CONNECTION_TIMEOUT, silence_s(&http->limits), //
#if MHD_VERSION >= 0x00097701
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 2, /* the strictest that RFC 9112 allows */
#else
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
        MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, self,  //
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, self,    //
        MHD_OPTION_URI_LOG_CALLBACK, http_on_request_line, self, //
        MHD_OPTION_ARRAY, tls,                                   //
        MHD_OPTION_END);
}

mailbus_code_t http_loop_start(http_loop_t *self, int listen_fd, mailbus_error_t *error)
{
    self->listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->listen_fd < 0 || self->wake_fd < 0) {
        http_loop_stop(self);
        return mailbus_fail(error, MAILBUS_EIO, "no descriptors for an HTTP thread: %s",
                            strerror(errno));
    }
    self->daemon = start_daemon(self);
    if (self->daemon == NULL) {
        http_loop_stop(self);
        return mailbus_fail(error, MAILBUS_EIO, "libmicrohttpd can't start: %s", strerror(errno));
    }
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        http_loop_stop(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "can't start an HTTP thread");
    }
    self->runs = true;
    pthread_setname_np(self->thread, "http");
    return MAILBUS_OK;
}

void http_loop_quiesce(http_loop_t *self)
{
    atomic_store(&self->quiesce, true);
    if (self->runs) {
        wake(self);
    }
}

bool http_loop_is_quiesced(const http_loop_t *self)
{
    return !self->runs || atomic_load(&self->quiesced);
}

static void close_descriptor(int *fd_p)
{
    if (*fd_p >= 0) {
        close(*fd_p);
        *fd_p = -1;
    }
}

void http_loop_stop(http_loop_t *self)
{
    if (self->runs) {
        atomic_store(&self->ends, true);
        wake(self);
        pthread_join(self->thread, NULL);
        self->runs = false;
    }
    if (self->daemon != NULL) {
        if (!atomic_load(&self->quiesced)) { /* or libmicrohttpd would close our descriptor */
            (void)MHD_quiesce_daemon(self->daemon);
        }
        MHD_stop_daemon(self->daemon);
        self->daemon = NULL;
    }
    close_descriptor(&self->listen_fd);
    close_descriptor(&self->wake_fd);
}
