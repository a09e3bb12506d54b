#include "pages.h"

#include <string.h>

pages_t pages_make(const mailbus_subscriber_t *subscriber, inbox_t *inbox, const char *listen,
                   const char *access)
{
    bool local = mb_is_loopback(listen);
    return (pages_t){
        .dead = {.inbox = inbox},
        .commands = {.subscriber = subscriber, .inbox = inbox},
        .offered = strcmp(access, "all") == 0 || (local && strcmp(access, "local") == 0),
        .local = local,
    };
}

size_t pages_max_body(const pages_t *self)
{
    return self->offered && self->commands.subscriber->commands != NULL ? COMMANDS_REQUEST_MAX : 0;
}

/* A page in somebody's browser can reach a loopback port, also under a name of its own that
 * resolves to 127.0.0.1. Both leave marks that a command line does not. */
static bool from_a_web_page(const pages_t *self, const mb_http_request_t *request)
{
    const char *host = mb_http_header(request, "Host");
    return mb_http_header(request, "Origin") != NULL ||
           mb_http_header(request, "Sec-Fetch-Site") != NULL ||
           (self->local && (host == NULL || !mb_is_loopback(host)));
}

static bool starts(const char *path, const char *prefix)
{
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

void pages_handle(void *arg, const mb_http_request_t *request, mb_http_response_t *response)
{
    pages_t *self = arg;
    const char *path = mb_http_path(request);
    bool dead = strcmp(path, "/dead") == 0 || starts(path, "/dead/");
    bool command = starts(path, COMMANDS_PATH);
    if (!dead && !command) {
        mb_http_error(response, 404,
                      "no such page: /healthz, /readyz, /metrics, /dead, /command/NAME");
    } else if (!self->offered || from_a_web_page(self, request)) {
        mb_http_error(response, 403,
                      "the program's state is offered on a loopback address, and not to web pages: "
                      "see admin.access");
    } else if (dead) {
        dead_http_handle(&self->dead, request, response);
    } else {
        commands_http_handle(&self->commands, request, response);
    }
}
