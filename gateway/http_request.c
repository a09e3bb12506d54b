/* One request on its way through stages 1 to 4. The polling thread of its loop owns it; only while
 * it waits for the journal do two others touch it, the journal's thread and the reaper: whichever
 * moves `wait` away from PENDING first resumes the connection, the other lets it be. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "envelope.h"
#include "http_priv.h"

typedef enum {
    WAIT_NOT,     /* nothing was submitted */
    WAIT_PENDING, /* suspended */
    WAIT_TOLD,    /* the journal has spoken: `result` is set */
    WAIT_FULL,    /* the journal did not take it */
    WAIT_LATE,    /* given up; the journal may still speak, to nobody */
} wait_t;

#define UNDECIDED HTTP_ANSWERS /* no answer is chosen yet */

struct http_request {
    atomic_int references; /* the polling thread's and the journal's */
    atomic_int wait;
    http_t *http;
    http_connection_t *connection;
    struct MHD_Connection *mhd;
    http_policy_t *policy;
    int64_t began_ms;
    proxy_address_t client;
    verify_headers_t headers; /* lent from libmicrohttpd, which keeps them until the end */
    size_t declared;          /* bytes of the body */
    budget_body_t body;
    http_answer_t answer; /* decided before the end of the body */
    event_t *event;       /* once submitted */
    journal_result_t result;
    http_request_t *next; /* in a list of those to resume */
};

typedef struct {
    guard_field_t fields[GUARD_FIELDS_MAX + 1]; /* one more than allowed, to see that it is */
    size_t count;
} field_list_t;

static http_request_t *request_new(http_connection_t *connection, struct MHD_Connection *mhd,
                                   int64_t now_ms)
{
    http_request_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    atomic_init(&self->references, 1);
    atomic_init(&self->wait, WAIT_NOT);
    self->http = connection->loop->http;
    self->connection = connection;
    self->mhd = mhd;
    self->policy = http_policy_hold(self->http);
    self->began_ms = now_ms;
    self->client = connection->peer;
    self->answer = UNDECIDED;
    return self;
}

/* The last reference may be the journal's, after the listener is gone: what belongs to the listener
 * is given back in http_on_completed. */
static void request_release(http_request_t *self)
{
    if (atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) == 1) {
        event_release(&self->event);
        free(self);
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

#define UNLOGGED_TEXT 24

/* `ret_unlogged` gets how many lines were left out before this one, "" for none. */
static bool may_log(http_t *http, char ret_unlogged[UNLOGGED_TEXT])
{
    static const limit_rate_t rate = {.tokens = 20, .period_ms = 1000, .burst = 50};
    if (!limit_take(http->log_lines, &rate, 0, mb_clock_monotonic_ms())) {
        atomic_fetch_add(&http->unlogged, 1);
        return false;
    }
    const uint64_t count = atomic_exchange(&http->unlogged, 0);
    ret_unlogged[0] = '\0';
    if (count > 0) {
        snprintf(ret_unlogged, UNLOGGED_TEXT, "%" PRIu64, count);
    }
    return true;
}

static const char *unless_empty(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* detail: what the counters don't say; NULL: nothing. */
static void log_refusal(http_request_t *self, http_answer_t answer, const char *detail)
{
    char unlogged[UNLOGGED_TEXT];
    if (!may_log(self->http, unlogged)) {
        return;
    }
    char peer[PROXY_ADDRESS_TEXT];
    char client[PROXY_ADDRESS_TEXT];
    proxy_format(&self->connection->peer, peer);
    proxy_format(&self->client, client);
    const char *id = self->headers.svix_id.value != NULL ? self->headers.svix_id.value
                                                         : self->headers.webhook_id.value;
    mb_log(self->http->log, MB_INFO, "http", "refused", MB_U("status", http_answer_status(answer)),
           MB_S("reason", http_answer_reason(answer)), MB_S("detail", detail), MB_S("peer", peer),
           MB_S("client", strcmp(peer, client) != 0 ? client : NULL), MB_S("webhook_id", id),
           MB_S("not_logged_before", unless_empty(unlogged)));
}

static enum MHD_Result refuse(http_request_t *self, http_answer_t answer, const char *detail)
{
    if (!http_connection_enter(self->connection, REAPER_ANSWERING, NULL, mb_clock_monotonic_ms())) {
        return MHD_NO;
    }
    budget_body_free(&self->http->budget, &self->body);
    log_refusal(self, answer, detail);
    return http_answers_refuse(self->http->answers, self->mhd, answer);
}

/* ---- the header ------------------------------------------------------------------------------ */

static enum MHD_Result collect_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                     size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    field_list_t *list = cls;
    if (list->count > GUARD_FIELDS_MAX) {
        return MHD_NO;
    }
    list->fields[list->count++] = (guard_field_t){
        .name = name,
        .name_size = name_size,
        .value = value != NULL ? value : "",
        .value_size = value != NULL ? value_size : 0,
    };
    return MHD_YES;
}

/* All that can be decided by the header alone; UNDECIDED: the body may come. */
static http_answer_t judge_header(http_request_t *self, const char *url, const char *method,
                                  const char *version, int64_t now_ms)
{
    http_t *http = self->http;
    field_list_t list = {.count = 0};
    MHD_get_connection_values_n(self->mhd, MHD_HEADER_KIND, collect_field, &list);
    bool has_length = false;
    uint64_t length = 0;
    guard_result_t guard =
        guard_check_framing(version, list.fields, list.count, &has_length, &length);
    if (guard != GUARD_OK) {
        return http_answer_of_guard(guard);
    }
    verify_headers_collect(list.fields, list.count, &self->headers);
    self->client =
        proxy_client(&self->policy->proxies, &self->connection->peer, list.fields, list.count);
    if (strcmp(url, http->path) != 0) {
        return HTTP_UNKNOWN_PATH;
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0) {
        return HTTP_BAD_METHOD;
    }
    guard = guard_check_post(list.fields, list.count, has_length, length, self->policy->max_body);
    if (guard != GUARD_OK) {
        return http_answer_of_guard(guard);
    }
    if (!limit_take(http->rates, &self->policy->rate, proxy_limit_key(&self->client), now_ms)) {
        return HTTP_RATE;
    }
    if (budget_is_full(&http->budget)) {
        return HTTP_BUDGET;
    }
    self->declared = (size_t)length;
    return UNDECIDED;
}

static enum MHD_Result begin(struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, void **context)
{
    const int64_t now_ms = mb_clock_monotonic_ms();
    http_connection_t *connection = http_connection_of(mhd);
    if (connection == NULL || !http_connection_enter(connection, REAPER_BODY, NULL, now_ms)) {
        return MHD_NO;
    }
    http_request_t *self = request_new(connection, mhd, now_ms);
    if (self == NULL) {
        return MHD_NO;
    }
    *context = self;
    const http_answer_t answer = judge_header(self, url, method, version, now_ms);
    return answer == UNDECIDED ? MHD_YES : refuse(self, answer, NULL);
}

/* ---- the body -------------------------------------------------------------------------------- */

/* After a failure the rest of the body is taken and thrown away, because libmicrohttpd takes an
 * answer only before or after it; the reaper bounds how long that lasts. */
static void receive(http_request_t *self, const char *data, size_t size)
{
    http_connection_received(self->connection, size);
    if (self->answer != UNDECIDED) {
        return;
    }
    switch (budget_body_append(&self->http->budget, &self->body, data, size, self->declared)) {
    case MAILBUS_OK:
        break;
    case MAILBUS_EFULL:
        self->answer = HTTP_BUDGET;
        break;
    case MAILBUS_ETOOBIG:
        self->answer = HTTP_BAD_LENGTH;
        break;
    default:
        self->answer = HTTP_NO_MEMORY;
    }
}

/* ---- stages 2 to 4 --------------------------------------------------------------------------- */

/* Called on the journal's thread. */
static void on_journalled(void *arg, const journal_result_t *result)
{
    http_request_t *self = arg;
    int expected = WAIT_PENDING;
    self->result = *result; /* nobody reads it unless `wait` says TOLD */
    if (atomic_compare_exchange_strong(&self->wait, &expected, WAIT_TOLD)) {
        http_request_resume(self);
    }
    request_release(self);
}

bool http_request_give_up(http_request_t *self)
{
    int expected = WAIT_PENDING;
    return atomic_compare_exchange_strong(&self->wait, &expected, WAIT_LATE);
}

void http_request_resume(http_request_t *self)
{
    http_loop_resume(self->connection->loop, self->mhd);
}

http_request_t **http_request_link(http_request_t *self)
{
    return &self->next;
}

/* Suspended before the journal knows of it, because its answer may come before submit returns. */
static enum MHD_Result submit(http_request_t *self)
{
    if (!http_connection_enter(self->connection, REAPER_WAITING, self, mb_clock_monotonic_ms())) {
        return MHD_NO;
    }
    atomic_store(&self->wait, WAIT_PENDING);
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
    MHD_suspend_connection(self->mhd);
    if (journal_submit(self->http->journal, self->event, on_journalled, self) != MAILBUS_OK) {
        int expected = WAIT_PENDING;
        if (atomic_compare_exchange_strong(&self->wait, &expected, WAIT_FULL)) {
            http_request_resume(self);
        }
        request_release(self);
    }
    return MHD_YES;
}

static enum MHD_Result refuse_unreadable(http_request_t *self, const char *webhook_id,
                                         const char *why)
{
    if (!http_connection_enter(self->connection, REAPER_ANSWERING, NULL, mb_clock_monotonic_ms())) {
        return MHD_NO;
    }
    journal_quarantine(self->http->journal, why, webhook_id, self->body.data, self->body.size);
    log_refusal(self, HTTP_UNREADABLE, why);
    return http_answers_refuse_with(self->http->answers, self->mhd, HTTP_UNREADABLE, why);
}

static enum MHD_Result refuse_signature(http_request_t *self, verify_result_t result)
{
    http_t *http = self->http;
    mb_metric_add(http->metric_verify[result], 1);
    if (result == VERIFY_UNABLE) {
        return refuse(self, HTTP_NO_MEMORY, verify_result_name(result));
    }
    const bool often = !limit_take(http->failures, &self->policy->failures,
                                   proxy_limit_key(&self->client), mb_clock_monotonic_ms());
    return refuse(self, often ? HTTP_SIGNATURE_RATE : HTTP_SIGNATURE, verify_result_name(result));
}

/* The whole body is here. */
static enum MHD_Result finish(http_request_t *self)
{
    if (self->answer != UNDECIDED) {
        return refuse(self, self->answer, NULL);
    }
    const char *webhook_id = NULL;
    const verify_result_t verified = verify_request(
        self->policy->keys, &self->headers, self->body.data != NULL ? self->body.data : "",
        self->body.size, mb_clock_wall_ms() / 1000, self->policy->tolerance_s, &webhook_id);
    if (verified != VERIFY_OK) {
        return refuse_signature(self, verified);
    }
    mailbus_error_t error;
    switch (envelope_read(&self->body.data, self->body.size, webhook_id, &self->event, &error)) {
    case MAILBUS_OK:
        return submit(self);
    case MAILBUS_ENOMEM:
        return refuse(self, HTTP_NO_MEMORY, NULL);
    default:
        return refuse_unreadable(self, webhook_id, error.text);
    }
}

/* ---- the answer ------------------------------------------------------------------------------ */

static enum MHD_Result answer_journalled(http_request_t *self)
{
    http_t *http = self->http;
    if (self->result.outcome == JOURNAL_FAILED) {
        return refuse(self, HTTP_JOURNAL_FAILED, NULL);
    }
    if (!http_connection_enter(self->connection, REAPER_ANSWERING, NULL, mb_clock_monotonic_ms())) {
        return MHD_NO;
    }
    const bool duplicate = self->result.outcome == JOURNAL_DUPLICATE;
    if (duplicate && self->result.body_differs) { /* the journal logs it */
        mb_metric_add(http->metric_differing, 1);
    }
    mb_log(http->log, MB_DEBUG, "http", duplicate ? "duplicate" : "accepted",
           MB_S("id", self->event->id), MB_S("topic", self->event->topic),
           MB_U("sequence", self->result.sequence));
    return http_answers_accept(http->answers, self->mhd, duplicate, self->result.sequence,
                               atomic_load(&http->stopping));
}

/* The connection was resumed. */
static enum MHD_Result answer_wait(http_request_t *self, wait_t wait)
{
    switch (wait) {
    case WAIT_TOLD:
        return answer_journalled(self);
    case WAIT_FULL:
        return refuse(self, HTTP_JOURNAL_FULL, NULL);
    case WAIT_LATE:
        return refuse(self, HTTP_JOURNAL_LATE, NULL);
    case WAIT_PENDING: /* libmicrohttpd calls nobody who is suspended */
    case WAIT_NOT:
        break;
    }
    assert(false);
    return MHD_NO;
}

enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_data_size, void **context)
{
    (void)cls;
    http_request_t *self = *context;
    if (self == NULL) {
        return begin(mhd, url, method, version, context);
    }
    if (*upload_data_size > 0) {
        receive(self, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return MHD_YES;
    }
    const wait_t wait = (wait_t)atomic_load(&self->wait);
    return wait == WAIT_NOT ? finish(self) : answer_wait(self, wait);
}

void http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)mhd;
    (void)code;
    http_request_t *self = *context;
    *context = NULL;
    if (self == NULL) {
        return;
    }
    http_t *http = self->http;
    const int64_t now_ms = mb_clock_monotonic_ms();
    if (http_connection_phase(self->connection) == REAPER_BODY) {
        http_answers_count(http->answers, HTTP_CLOSED_EARLY);
    }
    (void)http_connection_enter(self->connection, REAPER_IDLE, NULL, now_ms);
    mb_metric_observe(http->metric_duration, (double)(now_ms - self->began_ms) / 1000);
    budget_body_free(&http->budget, &self->body);
    http_policy_release(&self->policy);
    request_release(self);
}
