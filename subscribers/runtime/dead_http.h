/* The dead letters of a running program, on its admin listener:
 *
 *   GET  /dead             {"dead":[{…}],"next":"12"}; ?after=12&limit=100. next: ask with
 *                          after=<next> for more; null: that is all
 *   GET  /dead/ID          one of them, with its header and body
 *   POST /dead/ID/retry    back into the inbox, due now       {"id":"7","done":"retry"}
 *   POST /dead/ID/drop     thrown away                        {"id":"7","done":"drop"}
 *
 * A letter: {"id","event","topic","sequence","reason","attempts","crashes","first","set_aside"};
 * with "header" (object) and "body" (text) or "body_base64" where it is asked for alone. Errors:
 * {"error":"…"} with 400, 403, 404, 405, 500. Who may ask: pages.h. */
#ifndef RUNTIME_DEAD_HTTP_H
#define RUNTIME_DEAD_HTTP_H

#include "httpd.h"
#include "inbox.h"

typedef struct {
    inbox_t *inbox;
} dead_http_t;

/* A mb_http_handler_fn for /dead and what is below it; arg is a dead_http_t. */
void dead_http_handle(void *arg, const mb_http_request_t *request, mb_http_response_t *response);

#endif
