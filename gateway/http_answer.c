#include "http_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"

/* How long a sender is asked to wait, in seconds. Svix takes these words to heart, so they are
 * short: long enough for a bucket to hold something again, or for a commit to get through. */
#define WAIT_RATE      "1"
#define WAIT_FAILURES  "60"
#define WAIT_BUDGET    "2"
#define WAIT_JOURNAL   "5"
#define METHOD_ALLOWED "POST"
/* RFC 9110 §15.5.2 wants a challenge; no registered scheme describes a signed webhook. */
#define CHALLENGE "Webhook-Signature"

typedef struct {
    unsigned status;
    const char *reason;
    const char *words;
    const char *field, *value; /* one more header field; NULL: none */
} row_t;

static const row_t table[HTTP_ANSWERS] = {
    [HTTP_STORED] = {200, "stored", NULL, NULL, NULL},
    [HTTP_DUPLICATE] = {200, "duplicate", NULL, NULL, NULL},
    [HTTP_BAD_VERSION] = {400, "version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.", NULL,
                          NULL},
    [HTTP_TOO_MANY_FIELDS] = {400, "too_many_fields", "The request has too many header fields.",
                              NULL, NULL},
    [HTTP_BAD_FIELD_NAME] = {400, "field_name",
                             "The name of a header field has a character that no name may have.",
                             NULL, NULL},
    [HTTP_BAD_FIELD_VALUE] = {400, "field_value",
                              "The value of a header field has a control character in it.", NULL,
                              NULL},
    [HTTP_LOOKALIKE_FIELD] = {400, "lookalike_field",
                              "A header field's name looks like Content-Length or "
                              "Transfer-Encoding, but is neither.",
                              NULL, NULL},
    [HTTP_DOUBLED_FIELD] = {400, "doubled_field",
                            "A header field that may come once came more than once: "
                            "Content-Length, Host, Content-Type, Content-Encoding, or one of the "
                            "signature's.",
                            NULL, NULL},
    [HTTP_TRANSFER_ENCODING] = {400, "transfer_encoding",
                                "Transfer-Encoding is not taken: send the body with a "
                                "Content-Length.",
                                NULL, NULL},
    [HTTP_BAD_LENGTH] = {400, "length", "Content-Length is not a decimal number.", NULL, NULL},
    [HTTP_NO_LENGTH] = {411, "no_length", "The request has no Content-Length.", NULL, NULL},
    [HTTP_TOO_LARGE] = {413, "too_large",
                        "The body is larger than this gateway takes "
                        "(http.max_body).",
                        NULL, NULL},
    [HTTP_BAD_TYPE] = {415, "type",
                       "The body must be JSON (Content-Type: application/json), and not "
                       "compressed.",
                       NULL, NULL},
    [HTTP_UNKNOWN_PATH] = {404, "path", "There is nothing here: webhooks go to another path.", NULL,
                           NULL},
    [HTTP_BAD_METHOD] = {405, "method", "Webhooks come by POST.", MHD_HTTP_HEADER_ALLOW,
                         METHOD_ALLOWED},
    [HTTP_RATE] = {429, "rate", "Too many requests from this address.", MHD_HTTP_HEADER_RETRY_AFTER,
                   WAIT_RATE},
    [HTTP_BUDGET] = {503, "budget", "Too many bodies are on their way at once; try again.",
                     MHD_HTTP_HEADER_RETRY_AFTER, WAIT_BUDGET},
    [HTTP_NO_MEMORY] = {503, "memory", "The gateway is out of memory; try again.",
                        MHD_HTTP_HEADER_RETRY_AFTER, WAIT_JOURNAL},
    [HTTP_SIGNATURE] = {401, "signature",
                        "The signature is not valid: check the secret, the clock, and that the "
                        "body is sent as it was signed.",
                        MHD_HTTP_HEADER_WWW_AUTHENTICATE, CHALLENGE},
    [HTTP_SIGNATURE_RATE] = {429, "signature_rate",
                             "Too many requests without a valid signature from this address.",
                             MHD_HTTP_HEADER_RETRY_AFTER, WAIT_FAILURES},
    [HTTP_UNREADABLE] = {400, "unreadable", "The body is no webhook event.", NULL, NULL},
    [HTTP_JOURNAL_FULL] = {503, "journal_full",
                           "The event can't be stored now, queue or disk are full; try again.",
                           MHD_HTTP_HEADER_RETRY_AFTER, WAIT_JOURNAL},
    [HTTP_JOURNAL_FAILED] = {503, "journal_failed", "The event could not be stored; try again.",
                             MHD_HTTP_HEADER_RETRY_AFTER, WAIT_JOURNAL},
    [HTTP_JOURNAL_LATE] = {503, "journal_late", "Storing the event takes too long; try again.",
                           MHD_HTTP_HEADER_RETRY_AFTER, WAIT_JOURNAL},
    [HTTP_TIMEOUT] = {408, "timeout", "The request came too slowly.", NULL, NULL},
    [HTTP_CLOSED_EARLY] = {0, "closed_early", NULL, NULL, NULL},
    [HTTP_MALFORMED] = {0, "malformed", NULL, NULL, NULL},
};

#define STATUS_MAX 600

struct http_answers {
    struct MHD_Response *responses[HTTP_ANSWERS]; /* of the rows with words */
    char *bodies[HTTP_ANSWERS];
    mailbus_buf_t timeout;
    mb_metric_t *by_status[STATUS_MAX]; /* by status; NULL where the table has none */
    mb_metric_t *refused[HTTP_ANSWERS];
};

static void register_metrics(http_answers_t *self, mb_metrics_t *metrics)
{
    for (size_t i = 0; i < HTTP_ANSWERS; i++) {
        const unsigned status = table[i].status;
        char label[64];
        if (status != 0 && self->by_status[status] == NULL) {
            snprintf(label, sizeof label, "code=\"%u\"", status);
            self->by_status[status] = mb_counter(metrics, "mailbus_http_requests_total", label,
                                                 "Requests answered on the ingest listener");
        }
        if (status != 200) {
            snprintf(label, sizeof label, "reason=\"%s\"", table[i].reason);
            self->refused[i] = mb_counter(metrics, "mailbus_http_refused_total", label,
                                          "Requests refused on the ingest listener, by reason");
        }
    }
}

static void write_body(mailbus_buf_t *body, const char *words)
{
    mailbus_buf_text(body, "{\"error\":");
    mailbus_json_write_string(body, words, strlen(words));
    mailbus_buf_text(body, "}\n");
}

/* The header fields of a refusal. False without memory. */
static bool add_fields(struct MHD_Response *response, const row_t *row)
{
    return MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") ==
               MHD_YES &&
           MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
           (row->field == NULL ||
            MHD_add_response_header(response, row->field, row->value) == MHD_YES);
}

static bool make_response(http_answers_t *self, http_answer_t answer)
{
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    write_body(&body, table[answer].words);
    size_t size = 0;
    self->bodies[answer] = mailbus_buf_take(&body, &size);
    mailbus_buf_free(&body);
    if (self->bodies[answer] == NULL) {
        return false;
    }
    self->responses[answer] =
        MHD_create_response_from_buffer(size, self->bodies[answer], MHD_RESPMEM_PERSISTENT);
    return self->responses[answer] != NULL && add_fields(self->responses[answer], &table[answer]);
}

static bool make_timeout(http_answers_t *self)
{
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    write_body(&body, table[HTTP_TIMEOUT].words);
    mailbus_buf_printf(&self->timeout,
                       "HTTP/1.1 408 Request Timeout\r\n"
                       "Content-Type: application/json\r\n"
                       "Content-Length: %zu\r\n"
                       "Connection: close\r\n\r\n",
                       body.size);
    mailbus_buf_append(&self->timeout, body.data, body.size);
    const bool good = !body.failed && !self->timeout.failed;
    mailbus_buf_free(&body);
    return good;
}

mailbus_code_t http_answers_new(mb_metrics_t *metrics, http_answers_t **ret_self,
                                mailbus_error_t *error)
{
    http_answers_t *self = calloc(1, sizeof *self);
    bool good = self != NULL;
    for (size_t i = 0; good && i < HTTP_ANSWERS; i++) {
        good = table[i].words == NULL || make_response(self, (http_answer_t)i);
    }
    if (!good || !make_timeout(self)) {
        http_answers_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    register_metrics(self, metrics);
    *ret_self = self;
    return MAILBUS_OK;
}

void http_answers_destroy(http_answers_t **self_p)
{
    http_answers_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < HTTP_ANSWERS; i++) {
        if (self->responses[i] != NULL) {
            MHD_destroy_response(self->responses[i]);
        }
        free(self->bodies[i]);
    }
    mailbus_buf_free(&self->timeout);
    free(self);
}

http_answer_t http_answer_of_guard(guard_result_t result)
{
    static const http_answer_t answers[] = {
        [GUARD_OK] = HTTP_MALFORMED,
        [GUARD_TOO_MANY_FIELDS] = HTTP_TOO_MANY_FIELDS,
        [GUARD_BAD_NAME] = HTTP_BAD_FIELD_NAME,
        [GUARD_BAD_VALUE] = HTTP_BAD_FIELD_VALUE,
        [GUARD_LOOKALIKE] = HTTP_LOOKALIKE_FIELD,
        [GUARD_DOUBLED] = HTTP_DOUBLED_FIELD,
        [GUARD_TRANSFER_ENCODING] = HTTP_TRANSFER_ENCODING,
        [GUARD_BAD_LENGTH] = HTTP_BAD_LENGTH,
        [GUARD_BAD_VERSION] = HTTP_BAD_VERSION,
        [GUARD_NO_LENGTH] = HTTP_NO_LENGTH,
        [GUARD_TOO_LARGE] = HTTP_TOO_LARGE,
        [GUARD_BAD_TYPE] = HTTP_BAD_TYPE,
    };
    return answers[result];
}

unsigned http_answer_status(http_answer_t answer)
{
    return table[answer].status;
}

const char *http_answer_reason(http_answer_t answer)
{
    return table[answer].reason;
}

void http_answers_count(http_answers_t *self, http_answer_t answer)
{
    mb_metric_add(self->refused[answer], 1);
    if (table[answer].status != 0) {
        mb_metric_add(self->by_status[table[answer].status], 1);
    }
}

enum MHD_Result http_answers_refuse(http_answers_t *self, struct MHD_Connection *connection,
                                    http_answer_t answer)
{
    http_answers_count(self, answer);
    return MHD_queue_response(connection, table[answer].status, self->responses[answer]);
}

enum MHD_Result http_answers_refuse_with(http_answers_t *self, struct MHD_Connection *connection,
                                         http_answer_t answer, const char *words)
{
    if (!mailbus_utf8_valid(words, strlen(words))) { /* a quotation may have been cut within */
        return http_answers_refuse(self, connection, answer);
    }
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    write_body(&body, words);
    struct MHD_Response *response =
        body.failed ? NULL
                    : MHD_create_response_from_buffer(body.size, body.data, MHD_RESPMEM_MUST_COPY);
    mailbus_buf_free(&body);
    enum MHD_Result result;
    if (response != NULL && add_fields(response, &table[answer])) {
        http_answers_count(self, answer);
        result = MHD_queue_response(connection, table[answer].status, response);
    } else {
        result = http_answers_refuse(self, connection, answer);
    }
    if (response != NULL) {
        MHD_destroy_response(response);
    }
    return result;
}

enum MHD_Result http_answers_accept(http_answers_t *self, struct MHD_Connection *connection,
                                    bool duplicate, uint64_t sequence, bool close)
{
    char body[80];
    const int size =
        snprintf(body, sizeof body, "{\"sequence\":\"%" PRIu64 "\",\"duplicate\":%s}\n", sequence,
                 duplicate ? "true" : "false");
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)size, body, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO; /* closed: the sender tries again and gets a duplicate */
    }
    enum MHD_Result result =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    if (result == MHD_YES && close) {
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    if (result == MHD_YES) {
        mb_metric_add(self->by_status[200], 1);
        result = MHD_queue_response(connection, 200, response);
    }
    MHD_destroy_response(response);
    return result;
}

const char *http_answers_timeout(const http_answers_t *self, size_t *ret_size)
{
    *ret_size = self->timeout.size;
    return self->timeout.data;
}
