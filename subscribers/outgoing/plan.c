/* Checks, limits, and writing a mail down before it is sent. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "outgoing/job.h"
#include "outgoing/request.h"

/* --- checks -------------------------------------------------------------------------------------
 */

/* A person has to see a mail that was not passed on; an answer less is nothing to look at. Also
 * where the "no" ends by itself: days later an automatic answer helps nobody. */
static bool check_refused(job_t *job, const char *reason)
{
    if (job->look.record.state == RECORD_PLANNED) {
        mailbus_error_t error = {.text = "it can't be written"};
        sqlite3 *db = mailbus_task_store(job->task);
        if (db == NULL || records_refused(db, job_key(job), &error) != MAILBUS_OK) {
            return job_store_failed(job, &error);
        }
    }
    if (job_kind(job) == OUTGOING_FORWARD) {
        job_finish(job, MAILBUS_REJECT, "rejected", "check: %s", reason);
        return false;
    }
    return job_silent(job, "check", reason);
}

bool job_check(job_t *job)
{
    check_result_t asked = {.verdict = CHECK_ALLOWED};
    if (check_client_count(job->context->self->checks) > 0) {
        check_client_ask(job->context->self->checks, job->to, &asked);
    }
    switch (asked.verdict) {
    case CHECK_ALLOWED:
        break;
    case CHECK_REFUSED:
        return check_refused(job, asked.reason);
    case CHECK_NOT_NOW:
        job_finish(job, MAILBUS_RETRY, "later", "check: %s", asked.reason);
        return false;
    }
    return true;
}

/* --- limits and note ----------------------------------------------------------------------------
 */

static bool limits_allow(job_t *job, sqlite3 *db, const records_plan_t *plan)
{
    mailbus_error_t error = {.text = "it can't be written"};
    quota_counts_t counts = {0};
    const char *limit = NULL;
    int64_t wait_ms = 0;
    bool have = false;
    if (db == NULL || records_have_mail(db, plan, &have, &error) != MAILBUS_OK ||
        records_count(db, plan, &job->policy->limits, &counts, &error) != MAILBUS_OK) {
        return job_store_failed(job, &error);
    }
    if (have) {
        return job_silent(job, "answered-already", "another event brought the same mail");
    }
    switch (quota_decide(&job->policy->limits, &counts, job->now_ms, &limit, &wait_ms)) {
    case QUOTA_SILENT:
        return job_silent(job, limit, plan->rule);
    case QUOTA_LATER:
        mailbus_task_retry_after(job->task, (double)wait_ms / 1000);
        job_finish(job, MAILBUS_RETRY, "later", "%s: more than %" PRId64 " mails a minute", limit,
                   job->policy->limits.per_minute);
        return false;
    case QUOTA_GO:
        break;
    }
    return true;
}

/* Nobody is asked about a mail that the limits stop: a flood of mails is none of questions. */
static bool checks_allow(job_t *job, const records_plan_t *plan)
{
    if (check_client_count(job->context->self->checks) == 0) {
        return true;
    }
    if (!limits_allow(job, mailbus_task_store(job->task), plan)) {
        return false;
    }
    if (mailbus_task_commit(job->task) != MAILBUS_OK) {
        return job_store_failed(job, &(mailbus_error_t){.text = "it can't be written"});
    }
    return job_check(job);
}

/* Limits and note in one transaction: two mails of one sender in two workers count each other. */
static bool write_down(job_t *job, const records_plan_t *plan)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(job->task);
    if (!limits_allow(job, db, plan)) {
        return false;
    }
    if (records_plan(db, plan, &error) != MAILBUS_OK ||
        mailbus_task_commit(job->task) != MAILBUS_OK) {
        return job_store_failed(job, &error);
    }
    return true;
}

/* What was written down, as if it had been read from the records. */
static bool keep_record(job_t *job, const records_plan_t *plan)
{
    record_free(&job->look.record);
    job->look.record = (record_t){
        .state = RECORD_PLANNED,
        .kind = plan->kind,
        .rule = strdup(plan->rule),
        .recipient = strdup(job->to),
        .request = strdup(plan->request),
        .unsure_ms = plan->now_ms,
    };
    const record_t *record = &job->look.record;
    return (record->rule != NULL && record->recipient != NULL && record->request != NULL) ||
           job_later(job, "out of memory");
}

bool job_plan(job_t *job)
{
    mailbus_error_t error = {0};
    mailbus_buf_t request = MAILBUS_BUF_INIT;
    mailbus_buf_t loop = MAILBUS_BUF_INIT;
    mailbus_buf_t sender = MAILBUS_BUF_INIT;
    mailbus_buf_t recipient = MAILBUS_BUF_INIT;
    const agentmail_addresses_t *from = &job->message->from;
    bool good = false;
    mailbus_buf_text(&loop, "");
    mailbus_buf_text(&sender, "");
    agentmail_address_fold(from->count == 0 ? "" : from->items[0].address, &sender);
    agentmail_address_fold(job->to, &recipient);
    guards_loop_mark(job->message->inbox_id, &job->message->headers, &loop);
    mailbus_code_t code = loop.failed
                              ? MAILBUS_ENOMEM
                              : request_render(loop.data, job->to, job->mail, &request, &error);
    if (code == MAILBUS_EINVAL) {
        job_finish(job, MAILBUS_REJECT, "rejected", "%s", error.text);
        goto out;
    }
    if (code != MAILBUS_OK || sender.failed || recipient.failed) {
        job_later(job, "out of memory");
        goto out;
    }
    const records_plan_t plan = {
        .key = job_key(job),
        .kind = job->mail->kind,
        .inbox = job->message->inbox_id,
        .message_id = job->message->message_id,
        .rule = job->mail->rule,
        .sender = sender.data,
        .recipient = recipient.data,
        .request = request.data,
        .now_ms = job->now_ms,
    };
    good = checks_allow(job, &plan) && write_down(job, &plan) && keep_record(job, &plan);
out:
    mailbus_buf_free(&request);
    mailbus_buf_free(&loop);
    mailbus_buf_free(&sender);
    mailbus_buf_free(&recipient);
    return good;
}
