/* One libmicrohttpd daemon: its options, its messages, its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_priv.h"

#define CONNECTION_MEMORY                                                                          \
    (16 * 1024) /* bytes for header and read buffer; headers take below 4 KiB */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

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

mailbus_code_t http_loop_start(http_loop_t *self, int listen_fd, mailbus_error_t *error)
{
    const http_t *http = self->http;
    self->listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    if (self->listen_fd < 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't share the listening socket: %s",
                            strerror(errno));
    }
    struct MHD_OptionItem more[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)on_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    if (http->tls == NULL) {
        more[0].option = MHD_OPTION_END;
    }
    self->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG |
            (http->tls != NULL ? MHD_USE_TLS : 0),
        0, NULL, NULL, http_on_request, self, /* the logger comes first, or it misses messages */
        MHD_OPTION_EXTERNAL_LOGGER, on_message, self, //
        MHD_OPTION_LISTEN_SOCKET, self->listen_fd,    //
        MHD_OPTION_CONNECTION_LIMIT, share(http->connections, http->loop_count),
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        share(http->connections_per_address, http->loop_count), //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, silence_s(&http->limits),
#if MHD_VERSION >= 0x00097701
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 2, /* the strictest that RFC 9112 allows */
#else
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
        MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, self, //
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, self,   //
        MHD_OPTION_URI_LOG_CALLBACK, http_on_request_line, self, MHD_OPTION_ARRAY, more,
        MHD_OPTION_END);
    if (self->daemon == NULL) {
        close(self->listen_fd);
        self->listen_fd = -1;
        return mailbus_fail(error, MAILBUS_EIO, "libmicrohttpd can't start: %s", strerror(errno));
    }
    return MAILBUS_OK;
}

/* The descriptor comes back to us, but the polling thread may be about to use it: it is closed only
 * after the thread has ended. */
void http_loop_quiesce(http_loop_t *self)
{
    if (self->daemon != NULL) {
        (void)MHD_quiesce_daemon(self->daemon);
    }
}

void http_loop_stop(http_loop_t *self)
{
    if (self->daemon != NULL) {
        MHD_stop_daemon(self->daemon);
        self->daemon = NULL;
    }
    if (self->listen_fd >= 0) {
        close(self->listen_fd);
        self->listen_fd = -1;
    }
}
