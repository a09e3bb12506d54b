/* A small HTTP listener for what is not mail intake: admin pages, the stand-in's API, test servers.
 *
 * One libmicrohttpd daemon with one polling thread; the handler runs there, one request at a time,
 * with the whole body in memory. Intake has its own listener (gateway/http.c): it must not wait on
 * a disk. */
#ifndef MB_HTTPD_H
#define MB_HTTPD_H

#include "log.h"
#include "mailbus/buf.h"

typedef struct mb_httpd mb_httpd_t;
typedef struct mb_http_request mb_http_request_t;

const char *mb_http_method(const mb_http_request_t *request);
const char *mb_http_path(const mb_http_request_t *request); /* percent-encoded, as it came */
const char *mb_http_header(const mb_http_request_t *request, const char *name); /* NULL: none */
const char *mb_http_query(const mb_http_request_t *request,
                          const char *name); /* decoded; NULL: none */
const void *mb_http_body(const mb_http_request_t *request, size_t *ret_size); /* NUL-terminated */

typedef struct {
    unsigned status;          /* 200 unless changed */
    const char *content_type; /* lent; "application/json" unless changed */
    mailbus_buf_t body;       /* freed by the listener */
    char headers[8][2][256];  /* further headers: name, value; both empty: end */
    bool abort;               /* close the connection with no answer (test servers) */
} mb_http_response_t;

typedef void(mb_http_handler_fn)(void *arg, const mb_http_request_t *request,
                                 mb_http_response_t *response);

typedef struct {
    const char *listen; /* "127.0.0.1:8081"; port 0: any free one */
    size_t max_body;    /* bytes; larger: 413 */
    unsigned timeout_s; /* of an idle connection; 0: 10 */
    mb_http_handler_fn *handler;
    void *arg;
} mb_httpd_options_t;

/* Listening when it returns OK. EEXIST: the address is taken; EACCESS: not allowed to bind it. */
MAILBUS_MUST_USE mailbus_code_t mb_httpd_new(const mb_httpd_options_t *options,
                                             mb_httpd_t **ret_self, mailbus_error_t *error);
void mb_httpd_destroy(mb_httpd_t **self_p);
/* "127.0.0.1:43211": the address with the real port. Lent. */
const char *mb_httpd_address(const mb_httpd_t *self);

/* Fill a response with a status and {"error":"…"}. */
void mb_http_error(mb_http_response_t *response, unsigned status, const char *message);
/* 405, with the methods that would be right ("GET, HEAD") in Allow. */
void mb_http_method_error(mb_http_response_t *response, const char *allow);

/* Open a listening TCP socket, non-blocking and close-on-exec, on an MB_ADDRESS text. Port 0 is
 * allowed. */
MAILBUS_MUST_USE mailbus_code_t mb_tcp_listen(const char *address, int backlog, int *ret_fd,
                                              mailbus_error_t *error);
/* The local address of a socket as "host:port". */
void mb_tcp_address(int fd, char *text, size_t size);
/* True where the text of an MB_ADDRESS or a tcp:// endpoint names a loopback host; ipc:// counts as
 * one. */
bool mb_is_loopback(const char *address);

#endif
