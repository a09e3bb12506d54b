/* What an event leaves out of a mail: the header (the guide's events have none), and the text where
 * the mail was too long for an event. */
#include <stdio.h>

#include "outgoing/job.h"

/* It can't be had this time: false, the result holds. True: there is an end, go on without it. An
 * operator's mistake will be mended, and is waited for. */
static bool give_up(job_t *job, const agentmail_result_t *result)
{
    if (!result->operator_error &&
        (int64_t)mailbus_task_attempts(job->task) + 1 >= job->policy->header_tries) {
        return true;
    }
    agentmail_result_t again = *result;
    again.verdict = AGENTMAIL_RETRY; /* 404 too: the event can be ahead of the message */
    job_api_failed(job, &again);
    return false;
}

static bool get_headers(job_t *job, agentmail_client_t *client, agentmail_result_t *result)
{
    mailbus_buf_t raw = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    agentmail_headers_t headers = AGENTMAIL_HEADERS_INIT;
    bool good = false;
    agentmail_get_raw(client, job->message->inbox_id, job->message->message_id,
                      AGENTMAIL_HEADERS_BYTES, &raw, result);
    if (result->verdict == AGENTMAIL_DONE) {
        good = agentmail_headers_parse(raw.data == NULL ? "" : raw.data, raw.size, &headers,
                                       &error) == MAILBUS_OK;
    }
    if (good) {
        agentmail_headers_free(&job->message->headers);
        job->message->headers = headers;
        job->message->has_headers = true;
    } else {
        agentmail_headers_free(&headers);
    }
    if (error.text[0] != '\0') {
        snprintf(result->text, sizeof result->text, "get raw message: %s", error.text);
    }
    mailbus_buf_free(&raw);
    return good;
}

/* A mail that can't be judged is not answered. One that can't be passed on for that reason is
 * somebody's work: a person has to see it. */
static bool unknown(job_t *job, const char *why)
{
    if (job_kind(job) == OUTGOING_FORWARD) {
        job_finish(job, MAILBUS_REJECT, "rejected", "header-unknown: %s", why);
        return false;
    }
    return job_silent(job, "header-unknown", why);
}

bool job_fetch_headers(job_t *job, bool must)
{
    agentmail_pool_t *pool = job->context->self->pool;
    if (pool == NULL) {
        return !must || unknown(job, "no api.key to fetch the mail with");
    }
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    agentmail_client_t *client = agentmail_pool_take(pool);
    if (client == NULL) {
        return job_later(job, "out of memory");
    }
    bool good = get_headers(job, client, &result);
    agentmail_pool_give(pool, client);
    if (!good && give_up(job, &result)) {
        good = !must || unknown(job, result.text);
    }
    agentmail_result_free(&result);
    return good;
}

static bool fetch_body(job_t *job)
{
    agentmail_pool_t *pool = job->context->self->pool;
    if (pool == NULL) {
        return true;
    }
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    agentmail_client_t *client = agentmail_pool_take(pool);
    if (client == NULL) {
        return job_later(job, "out of memory");
    }
    agentmail_get_message(client, job->message->inbox_id, job->message->message_id, &result);
    agentmail_pool_give(pool, client);
    bool good = result.verdict == AGENTMAIL_DONE;
    if (good) {
        agentmail_message_take_body(job->message, result.json);
    } else {
        good = give_up(job, &result);
    }
    agentmail_result_free(&result);
    return good;
}

bool outgoing_fetch(const outgoing_context_t *context, agentmail_message_t *message, bool headers,
                    bool body, outgoing_result_t *ret_result)
{
    job_t job;
    job_init(&job, context, message, "", ret_result);
    return (!headers || message->has_headers || job_fetch_headers(&job, false)) &&
           (!body || !message->body_absent || fetch_body(&job));
}
