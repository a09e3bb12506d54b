/* A subscriber's commands (mailbus_command_t): found by name, run in a transaction of the caller's,
 * and offered on the admin listener of a running program:
 *
 *   POST /command/NAME     the body is the request, a JSON object; so is the answer
 *
 * With ?subscriber=NAME only the program of that name answers: a port may belong to another one.
 * Errors: {"error":"…","code":"…"}, code as in mailbus_code_name: 400 invalid, 404 not-found
 * ("unknown-command" and "other-program" where that is meant), 409 exists, 413 too-big, 503 again
 * and full, 500 the rest. Nothing of a command that failed is kept.
 *
 * The store is the command's alone while it runs: workers and intake wait for it, and so do the
 * other pages of the listener, which has one thread. */
#ifndef RUNTIME_COMMANDS_H
#define RUNTIME_COMMANDS_H

#include "httpd.h"
#include "inbox.h"
#include "mailbus/subscriber.h"

#define COMMANDS_PATH "/command/"
/* Bytes of a request: a client that has much to say says it in pieces, because everybody else waits
 * while one is worked on. */
#define COMMANDS_REQUEST_MAX (4 * 1024 * 1024)
/* Bytes of an answer: as much as the client takes. */
#define COMMANDS_ANSWER_MAX (32 * 1024 * 1024)

/* The command of that name, or NULL; `commands` may be NULL. */
const mailbus_command_t *commands_find(const mailbus_command_t *commands, const char *name);

/* One call. */
typedef struct {
    const mailbus_command_t *command;
    const char *request;
    size_t size;
    int64_t now_ms;
    mailbus_buf_t *answer; /* gets the object where `code` is OK, and is empty otherwise */
    mailbus_code_t code;   /* how the command itself ended */
    mailbus_error_t why;
} commands_call_t;

/* Run it in the open transaction of `store`; arg is a commands_call_t. For inbox_with_store. Not
 * OK: roll back. EIO only where the disk failed, whatever the command called it. */
MAILBUS_MUST_USE mailbus_code_t commands_run(store_t *store, void *arg, mailbus_error_t *error);

typedef struct {
    const mailbus_subscriber_t *subscriber;
    inbox_t *inbox;
} commands_http_t;

/* A mb_http_handler_fn for the paths below /command/; arg is a commands_http_t. */
void commands_http_handle(void *arg, const mb_http_request_t *request,
                          mb_http_response_t *response);

#endif
