/* Own thread: libmicrohttpd's polling thread, which also runs the handler. Nothing here is shared
 * with other threads after the start. */
#include "httpd.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "encoding.h"
#include "mailbus/json.h"

enum {
    /* At once: people, a scraper, an SDK's pool. Below 128, because libmicrohttpd 0.9.75 forgets
     * connections when one epoll_wait gives exactly that many (gateway/http_loop.c). */
    CONNECTIONS_MAX = 120,
    CONNECTION_MEMORY = 32 * 1024, /* bytes of a request's head */
    BODIES_MAX = 64 * 1024 * 1024, /* bytes of all bodies in flight together: 503 beyond */
    OVERRUN_MAX = 1024 * 1024,     /* bytes read past a limit before we hang up */
    QUERY_MAX = 32,                /* arguments of a query that we look at */
    DEFAULT_TIMEOUT_S = 10,
    BACKLOG = 128,
};

struct mb_httpd {
    struct MHD_Daemon *daemon;
    mb_http_handler_fn *handler;
    void *arg;
    size_t max_body;
    size_t in_flight; /* bytes of bodies held; the polling thread's */
    char address[300];
};

typedef struct {
    char *name;
    char *value;
} argument_t;

struct mb_http_request {
    mb_httpd_t *httpd;
    struct MHD_Connection *connection;
    const char *method; /* lent by libmicrohttpd while the request lives */
    const char *path;
    mailbus_buf_t body;
    size_t overrun;   /* bytes thrown away past a limit */
    unsigned refused; /* the status to answer with once the body is through; 0: none */
    argument_t arguments[QUERY_MAX];
    size_t argument_count;
    bool bad_query;
};

const char *mb_http_method(const mb_http_request_t *request)
{
    return request->method;
}

const char *mb_http_path(const mb_http_request_t *request)
{
    return request->path;
}

const char *mb_http_header(const mb_http_request_t *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *mb_http_query(const mb_http_request_t *request, const char *name)
{
    for (size_t i = 0; i < request->argument_count; i++) {
        if (strcmp(request->arguments[i].name, name) == 0) {
            return request->arguments[i].value;
        }
    }
    return NULL;
}

const void *mb_http_body(const mb_http_request_t *request, size_t *ret_size)
{
    if (ret_size != NULL) {
        *ret_size = request->body.size;
    }
    return request->body.data != NULL ? request->body.data : "";
}

void mb_http_error(mb_http_response_t *response, unsigned status, const char *message)
{
    response->status = status;
    response->content_type = "application/json";
    mailbus_buf_clear(&response->body);
    mailbus_buf_text(&response->body, "{\"error\":");
    mailbus_json_write_string(&response->body, message, strlen(message));
    mailbus_buf_text(&response->body, "}\n");
}

void mb_http_method_error(mb_http_response_t *response, const char *allow)
{
    mb_http_error(response, 405, "another method is wanted here: see the header Allow");
    snprintf(response->headers[0][0], sizeof response->headers[0][0], "Allow");
    snprintf(response->headers[0][1], sizeof response->headers[0][1], "%s", allow);
}

/* Keep paths and queries as they came: what is decoded twice can't be checked once. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static char *decode(const char *text)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    /* libmicrohttpd has made blanks of the '+' already. */
    if (mb_url_decode(text, strlen(text), false, &out) != MAILBUS_OK) {
        mailbus_buf_free(&out);
        return NULL;
    }
    return mailbus_buf_take(&out, NULL);
}

static enum MHD_Result take_argument(void *arg, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    (void)kind;
    mb_http_request_t *request = arg;
    if (request->argument_count == QUERY_MAX) {
        request->bad_query = true;
        return MHD_NO;
    }
    argument_t *argument = &request->arguments[request->argument_count++];
    argument->name = decode(name);
    argument->value = decode(value != NULL ? value : "");
    if (argument->name == NULL || argument->value == NULL) {
        request->bad_query = true;
        return MHD_NO;
    }
    return MHD_YES;
}

/* Give the response to libmicrohttpd; `body` is emptied. */
static enum MHD_Result queue(mb_http_request_t *request, mb_http_response_t *response, bool close)
{
    assert(response->status >= 200 && response->status <= 599);
    if (response->body.failed) {
        mailbus_buf_free(&response->body);
        return MHD_NO;
    }
    size_t size = 0;
    char *body = mailbus_buf_take(&response->body, &size);
    struct MHD_Response *answer = MHD_create_response_from_buffer(
        size, body, body != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (answer == NULL) {
        free(body);
        return MHD_NO;
    }
    enum MHD_Result result =
        MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    size_t count = sizeof response->headers / sizeof *response->headers;
    for (size_t i = 0; i < count && response->headers[i][0][0] != '\0'; i++) {
        if (MHD_add_response_header(answer, response->headers[i][0], response->headers[i][1]) !=
            MHD_YES) {
            result = MHD_NO; /* a line break in it: our caller's bug, and no header for a peer */
        }
    }
    if (close && MHD_add_response_header(answer, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES) {
        result = MHD_NO;
    }
    if (result == MHD_YES) {
        result = MHD_queue_response(request->connection, response->status, answer);
    }
    MHD_destroy_response(answer);
    return result;
}

/* What the listener itself refuses. The connection is not used again: its framing is in doubt. */
static enum MHD_Result refuse(mb_http_request_t *request, unsigned status)
{
    const char *text = "the request is malformed";
    if (status == MHD_HTTP_CONTENT_TOO_LARGE) {
        text = "the body is too large";
    } else if (status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        text = "too much at once; try again soon";
    }
    mb_http_response_t response = {.body = MAILBUS_BUF_INIT};
    mb_http_error(&response, status, text);
    return queue(request, &response, true);
}

typedef struct {
    unsigned lengths;
    bool chunked;
} framing_t;

static enum MHD_Result look_at_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    (void)kind;
    (void)value;
    framing_t *framing = arg;
    framing->lengths += strcasecmp(name, "Content-Length") == 0;
    framing->chunked = framing->chunked || strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* The status to refuse a head with, or 0. libmicrohttpd takes several lengths, and a length beside
 * a transfer encoding, though the two ends may then see different bodies (RFC 9112 §6.3). */
static unsigned check_head(const mb_http_request_t *request)
{
    framing_t framing = {0, false};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, look_at_header, &framing);
    if (framing.lengths > 1 || (framing.lengths == 1 && framing.chunked)) {
        return MHD_HTTP_BAD_REQUEST;
    }
    const char *length = mb_http_header(request, "Content-Length");
    if (length != NULL) {
        errno = 0;
        unsigned long long declared = strtoull(length, NULL, 10);
        if (errno != 0 || declared > request->httpd->max_body) {
            return MHD_HTTP_CONTENT_TOO_LARGE;
        }
    }
    return 0;
}

/* Take a piece of the body. Past a limit it is thrown away for a while, so that the peer can read
 * the answer; false: hang up. */
static bool take_body(mb_http_request_t *request, const char *data, size_t size)
{
    mb_httpd_t *httpd = request->httpd;
    if (request->refused == 0) {
        if (size > httpd->max_body - request->body.size) {
            request->refused = MHD_HTTP_CONTENT_TOO_LARGE;
        } else if (size > BODIES_MAX - httpd->in_flight) {
            request->refused = MHD_HTTP_SERVICE_UNAVAILABLE;
        } else {
            mailbus_buf_append(&request->body, data, size);
            if (request->body.failed) {
                return false;
            }
            httpd->in_flight += size;
            return true;
        }
        httpd->in_flight -= request->body.size;
        mailbus_buf_free(&request->body);
    }
    request->overrun += size;
    return request->overrun <= OVERRUN_MAX;
}

/* The whole request is here: decode the query, ask the handler, answer. */
static enum MHD_Result answer(mb_http_request_t *request)
{
    if (request->refused != 0) {
        return refuse(request, request->refused);
    }
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, take_argument, request);
    if (request->bad_query) {
        return refuse(request, MHD_HTTP_BAD_REQUEST);
    }
    mb_http_response_t response = {
        .status = MHD_HTTP_OK, .content_type = "application/json", .body = MAILBUS_BUF_INIT};
    request->httpd->handler(request->httpd->arg, request, &response);
    if (response.abort) {
        mailbus_buf_free(&response.body);
        return MHD_NO;
    }
    return queue(request, &response, false);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_p)
{
    (void)version;
    mb_http_request_t *request = *request_p;
    if (request == NULL) { /* the head is here, nothing of the body */
        request = calloc(1, sizeof *request);
        if (request == NULL) {
            return MHD_NO;
        }
        *request_p = request;
        *request = (mb_http_request_t){.httpd = arg,
                                       .connection = connection,
                                       .method = method,
                                       .path = url,
                                       .body = MAILBUS_BUF_INIT};
        unsigned status = check_head(request);
        return status != 0 ? refuse(request, status) : MHD_YES;
    }
    if (*upload_size > 0) {
        bool go_on = take_body(request, upload, *upload_size);
        *upload_size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    return answer(request);
}

static void request_completed(void *arg, struct MHD_Connection *connection, void **request_p,
                              enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    mb_httpd_t *httpd = arg;
    mb_http_request_t *request = *request_p;
    if (request == NULL) {
        return;
    }
    httpd->in_flight -= request->body.size;
    for (size_t i = 0; i < request->argument_count; i++) {
        free(request->arguments[i].name);
        free(request->arguments[i].value);
    }
    mailbus_buf_free(&request->body);
    free(request);
    *request_p = NULL;
}

mailbus_code_t mb_httpd_new(const mb_httpd_options_t *options, mb_httpd_t **ret_self,
                            mailbus_error_t *error)
{
    int fd = -1;
    mailbus_code_t code = mb_tcp_listen(options->listen, BACKLOG, &fd, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mb_httpd_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        close(fd);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->handler = options->handler;
    self->arg = options->arg;
    self->max_body = options->max_body;
    mb_tcp_address(fd, self->address, sizeof self->address);
    unsigned timeout = options->timeout_s != 0 ? options->timeout_s : DEFAULT_TIMEOUT_S;
    self->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, self,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, timeout, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        request_completed, self, MHD_OPTION_END);
    if (self->daemon == NULL) {
        /* Whether libmicrohttpd has closed the socket depends on where it failed: leave it, the
         * program ends. */
        free(self);
        return mailbus_fail(error, MAILBUS_EIO, "can't start the HTTP listener on %s",
                            options->listen);
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void mb_httpd_destroy(mb_httpd_t **self_p)
{
    if (*self_p == NULL) {
        return;
    }
    MHD_stop_daemon((*self_p)->daemon); /* completes every request, and closes the socket */
    free(*self_p);
    *self_p = NULL;
}

const char *mb_httpd_address(const mb_httpd_t *self)
{
    return self->address;
}
