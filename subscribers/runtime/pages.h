/* What a running program shows and lets others change on its admin listener, beyond the pages that
 * every program has: its dead letters (dead_http.h) and its subscriber's commands (commands.h).
 *
 * Who reaches the port may do all this, so it is offered on loopback only, unless admin.access says
 * otherwise; and not to web pages: whatever comes with an Origin or a foreign Host is refused. */
#ifndef RUNTIME_PAGES_H
#define RUNTIME_PAGES_H

#include "commands.h"
#include "dead_http.h"

typedef struct {
    dead_http_t dead;
    commands_http_t commands;
    bool offered; /* else everything answers 403 */
    bool local;   /* the listener is on loopback: only hosts that name loopback are asked for */
} pages_t;

/* listen: admin.listen. access: admin.access, "local", "all" or "none". Everything is lent. */
pages_t pages_make(const mailbus_subscriber_t *subscriber, inbox_t *inbox, const char *listen,
                   const char *access);
/* The largest body that a page takes, in bytes; 0: none takes one. */
size_t pages_max_body(const pages_t *self);
/* A mb_http_handler_fn; arg is a pages_t. */
void pages_handle(void *arg, const mb_http_request_t *request, mb_http_response_t *response);

#endif
