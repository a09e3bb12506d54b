/* One HTTP call: what its handlers read and how they answer. */
#ifndef SIM_CALL_H
#define SIM_CALL_H

#include "httpd.h"
#include "sim.h"

#define CALL_PARTS_MAX 8 /* segments of a path */

typedef struct {
    sim_t *sim;
    const mb_http_request_t *request;
    mb_http_response_t *response;
    int64_t now_ms;
    char *parts[CALL_PARTS_MAX]; /* the path's segments, decoded */
    size_t part_count;
} call_t;

typedef void(call_handler_fn)(call_t *call);

/* Answer with `tree` (taken). */
void call_answer(call_t *call, unsigned status, cJSON *tree);
void call_answer_text(call_t *call, unsigned status, const char *content_type, const char *text);
/* Answer as the service does: {"name","code","message"}; `code` NULL: the usual one of the status.
 */
void call_error(call_t *call, unsigned status, const char *code, const char *format, ...)
    MAILBUS_PRINTF(4, 5);
void call_header(call_t *call, const char *name, const char *value);
/* Answer as `rule` says: a status, or an end without an answer. */
void call_fail(call_t *call, const fail_rule_t *rule);
/* The body as a JSON object (the caller deletes), an empty body as an empty one. NULL: it is none,
 * and the error is answered. */
cJSON *call_json(call_t *call);
/* A number from 1 to `most` from the query; `usual` where it is not there. 0: it is no such number,
 * and the error is answered. */
size_t call_limit(call_t *call, const char *name, size_t usual, size_t most);
/* The inbox that the path names; NULL: there is none, and 404 is answered. Lent. */
const char *call_inbox(call_t *call);
message_t *call_message(call_t *call, const char *inbox_id);
/* "http://host:port" as the caller sees us. */
void call_base_url(const call_t *call, char *text, size_t size);

/* The entry for mb_httpd; arg is the sim_t. */
mb_http_handler_fn call_route;

/* The handlers, by file. */
call_handler_fn api_inboxes_list, api_inboxes_create, api_inboxes_get;
call_handler_fn api_messages_list, api_messages_get, api_messages_raw, api_messages_attachment,
    api_messages_update, api_files_raw, api_files_attachment;
call_handler_fn api_send, api_reply, api_reply_all, api_forward;
call_handler_fn api_webhooks_list, api_webhooks_create, api_webhooks_get, api_webhooks_update,
    api_webhooks_delete;
call_handler_fn api_lists_list, api_lists_create, api_lists_get, api_lists_delete;
call_handler_fn control_receive, control_events, control_fail, control_reset, control_deliveries;
call_handler_fn control_sent;

#endif
