/* All that the stand-in knows, and one request to it. One thread, the HTTP listener's, owns both.
 */
#ifndef ROUTE_SIM_STAND_H
#define ROUTE_SIM_STAND_H

#include <cjson/cJSON.h>

#include "httpd.h"

/* What POST /sim/fail can make fail. */
typedef enum {
    STAND_POST,    /* Slack: chat.postMessage */
    STAND_WEBHOOK, /* Slack: an incoming webhook */
    STAND_HISTORY, /* Slack: conversations.history */
    STAND_LIST,    /* Slack: conversations.list */
    STAND_ISSUE,   /* GitHub: create an issue */
    STAND_ISSUES,  /* GitHub: list issues */
    STAND_HOOK,    /* any receiver */
    STAND_CALLS,
} stand_call_t;

typedef enum {
    STAND_STATUS, /* answered with `status`; nothing is carried out */
    STAND_RESET,  /* the connection ends without an answer; nothing is carried out */
    STAND_AFTER,  /* carried out; then the answer is `status`, or none where that is 0 */
    STAND_SLOW,   /* carried out; the answer comes after `delay_ms` (everything waits for it) */
} stand_mode_t;

typedef struct {
    int64_t count; /* still to fail */
    stand_mode_t mode;
    unsigned status;
    int64_t delay_ms;
    cJSON *headers; /* object name → value, or NULL */
    char *body;     /* NULL: as the service says such a thing */
} stand_rule_t;

/* Limits, as POST /sim/limits sets them. */
typedef struct {
    int64_t slack_interval_ms;  /* between two messages in one channel */
    int64_t github_per_minute;  /* issues; beyond it a secondary limit answers */
    int64_t github_retry_after; /* seconds that it asks for */
    int64_t lag_ms;             /* lists show what is older than this */
    int64_t page_max;           /* entries of a page, whatever is asked for */
} stand_limits_t;

typedef struct {
    mb_log_t *log;
    cJSON *channels; /* array of {id, name, last_ms} */
    cJSON *messages; /* array, oldest first: {ts, channel, channel_name, via, …as posted} */
    cJSON *repos;    /* array of "owner/name": the index is the repository's number */
    cJSON *issues;   /* array, oldest first */
    cJSON *hooks;    /* array, oldest first */
    int64_t last_us; /* of the last message: every ts is one of its own */
    int64_t limited; /* how often a limit answered */
    stand_limits_t limits;
    stand_rule_t rules[STAND_CALLS];
} stand_t;

void stand_init(stand_t *stand, mb_log_t *log);
void stand_reset(stand_t *stand);
void stand_clear(stand_t *stand);

#define REQUEST_PARTS_MAX 8 /* segments of a path */

typedef struct {
    stand_t *stand;
    const mb_http_request_t *http;
    mb_http_response_t *response;
    int64_t now_ms;
    char *parts[REQUEST_PARTS_MAX]; /* the path's segments, decoded */
    size_t part_count;
} request_t;

/* The entry for mb_httpd; arg is the stand_t. */
mb_http_handler_fn request_route;

/* --- reply.c ------------------------------------------------------------------------------------
 */

void reply_json(request_t *request, unsigned status, cJSON *tree); /* takes the tree */
void reply_text(request_t *request, unsigned status, const char *content_type, const char *text);
void reply_header(request_t *request, const char *name, const char *value);
void reply_header_number(request_t *request, const char *name, int64_t value);
/* {"ok":false,"error":…}, as Slack's Web API says everything but limits: with status 200. */
void reply_slack_error(request_t *request, const char *error);
/* {"message":…,"documentation_url":…,"status":…}, as GitHub does. */
void reply_github_error(request_t *request, unsigned status, const char *message);
/* The body as a JSON object (the caller deletes); NULL: it is none. */
cJSON *request_json(const request_t *request);
/* What follows "Bearer " or "token "; NULL: nothing. Lent. */
const char *request_token(const request_t *request);
/* A whole number from the query, or `usual`. */
int64_t request_number(const request_t *request, const char *name, int64_t usual);
size_t text_characters(const char *text); /* of UTF-8 */
/* GET /sim/…: `list` as it is, or ?format=count. Text is the caller's. */
void reply_list(request_t *request, const char *name, const cJSON *list);

/* --- the handlers -------------------------------------------------------------------------------
 */

typedef void(request_handler_fn)(request_t *request);
request_handler_fn slack_post, slack_webhook, slack_history, slack_list;
request_handler_fn github_create, github_list, github_list_by_number;
request_handler_fn hook_take;
request_handler_fn control_messages, control_issues, control_hooks, control_state, control_fail,
    control_limits, control_reset;

/* --- slack --------------------------------------------------------------------------------------
 */

/* NULL: fine; else Slack's word for what is wrong with a message. */
const char *slack_check(const cJSON *message);
/* True where the token may do this; else the error is answered. */
bool slack_authorised(request_t *request, const char *scope);
cJSON *slack_channel(stand_t *stand, const char *name, bool make); /* by id, name or #name; lent */

/* --- github -------------------------------------------------------------------------------------
 */

bool github_authorised(request_t *request);
int github_repo_index(stand_t *stand, const char *name, bool make); /* -1: none */
/* Counts from 5000 down, as the primary limit's header fields tell. */
void github_limit_headers(request_t *request, int64_t remaining);

#endif
