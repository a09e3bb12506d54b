/* Sending what is written down, and noting that it was sent. */
#include <inttypes.h>
#include <string.h>

#include "mailbus/json.h"
#include "outgoing/job.h"
#include "test_point.h"

/* Note from when on the service may have the request; 0: it has it not. */
static bool note_unsure(job_t *job, int64_t unsure_ms)
{
    mailbus_error_t error = {0};
    sqlite3 *db = mailbus_task_store(job->task);
    return db != NULL && records_unsure(db, job_key(job), unsure_ms, &error) == MAILBUS_OK &&
           mailbus_task_commit(job->task) == MAILBUS_OK;
}

static const char *done_word(const job_t *job)
{
    bool forward = job->look.record.kind == OUTGOING_FORWARD;
    if (job->policy->dry_run) {
        return forward ? "would-forward" : "would-answer";
    }
    return forward ? "forwarded" : "answered";
}

static void sent(job_t *job, const char *sent_id)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(job->task);
    if (db == NULL || records_sent(db, job_key(job), sent_id, job->now_ms, &error) != MAILBUS_OK) {
        job_store_failed(job, &error); /* the next try gets the same answer under the same key */
        return;
    }
    job_finish(job, MAILBUS_DONE, done_word(job), "rule %s to %s", job->look.record.rule,
               job->look.record.recipient);
}

/* `was_sure`: no earlier try may have got through; else the note stays as it is. */
static void refused(job_t *job, const agentmail_result_t *result, bool was_sure)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(job->task);
    if (was_sure && !result->maybe_done &&
        (db == NULL || records_refused(db, job_key(job), &error) != MAILBUS_OK)) {
        job_store_failed(job, &error);
        return;
    }
    job_api_failed(job, result);
}

/* It waited too long, and certainly nothing was sent: it is not answered any more. */
static bool too_old(job_t *job)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(job->task);
    if (db == NULL || records_refused(db, job_key(job), &error) != MAILBUS_OK) {
        return job_store_failed(job, &error);
    }
    return job_silent(job, "too-old", "no try got through in time");
}

/* A later try. Nothing is sent that the service could take for a new mail, and nothing new without
 * asking the checks. */
static bool may_send_again(job_t *job)
{
    const record_t *record = &job->look.record;
    int64_t unsure_ms = record->unsure_ms;
    if (unsure_ms != 0 && job->now_ms - unsure_ms > JOB_KEY_MEMORY_MS) {
        job_finish(job, MAILBUS_REJECT, "rejected",
                   "a try %" PRId64 " hours ago may have reached %s, and the service remembers "
                   "idempotency keys for 24 hours only: look in the thread before sending by hand",
                   (job->now_ms - unsure_ms) / 3600000, record->recipient);
        return false;
    }
    if (unsure_ms != 0) {
        return true;
    }
    if (record->kind == OUTGOING_REPLY &&
        quota_age_ms(job->event->recorded_time, job->now_ms) > job->policy->max_age_ms) {
        return too_old(job);
    }
    if (!job_check(job)) {
        return false;
    }
    return note_unsure(job, job->now_ms) ||
           job_store_failed(job, &(mailbus_error_t){.text = "it can't be written"});
}

static void call_api(job_t *job, agentmail_client_t *client, agentmail_result_t *result)
{
    const record_t *record = &job->look.record;
    const char *key = mailbus_task_key(job->task, job->part[0] == '\0' ? NULL : job->part);
    void (*call)(agentmail_client_t *, const char *, const char *, const char *, const char *,
                 size_t, agentmail_result_t *) =
        record->kind == OUTGOING_FORWARD ? agentmail_forward : agentmail_reply;
    call(client, job->message->inbox_id, job->message->message_id, key, record->request,
         strlen(record->request), result);
}

static void judge(job_t *job, const agentmail_result_t *result, bool was_sure)
{
    switch (result->verdict) {
    case AGENTMAIL_DONE:
        sent(job, mailbus_json_string(result->json, "message_id"));
        break;
    case AGENTMAIL_REJECT:
        refused(job, result, was_sure);
        break;
    case AGENTMAIL_RETRY:
        if (was_sure && !result->maybe_done) {
            (void)note_unsure(job, 0); /* where it fails the note says unsure: the safe side */
        }
        job_api_failed(job, result);
        break;
    }
}

void job_send(job_t *job, bool first)
{
    agentmail_pool_t *pool = job->context->self->pool;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    if (job->policy->dry_run) {
        sent(job, NULL);
        return;
    }
    if (!first && !may_send_again(job)) {
        return;
    }
    bool was_sure = first || job->look.record.unsure_ms == 0;
    agentmail_client_t *client = agentmail_pool_take(pool);
    if (client == NULL) {
        job_later(job, "out of memory");
        return;
    }
    mb_test_point("outgoing-noted");
    call_api(job, client, &result);
    agentmail_pool_give(pool, client);
    if (result.verdict == AGENTMAIL_DONE) {
        mb_test_point("outgoing-sent");
    }
    judge(job, &result, was_sure);
    agentmail_result_free(&result);
}
