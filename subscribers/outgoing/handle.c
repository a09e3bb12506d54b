/* The way of one mail: look at the records, ask the guards, fetch what is missing, then plan.c,
 * send.c, end.c. */
#include <stdio.h>
#include <string.h>

#include "outgoing/job.h"

void job_init(job_t *job, const outgoing_context_t *context, agentmail_message_t *message,
              const char *part, outgoing_result_t *result)
{
    *result = (outgoing_result_t){.verdict = MAILBUS_RETRY, .action = "later"};
    *job = (job_t){
        .context = context,
        .policy = context->policy,
        .task = context->task,
        .event = mailbus_task_event(context->task),
        .now_ms = context->now_ms,
        .message = message,
        .part = part,
        .look = {.record = {.state = RECORD_NONE}},
        .result = result,
    };
}

records_key_t job_key(const job_t *job)
{
    return (records_key_t){.event_id = job->event->id, .part = job->part};
}

outgoing_kind_t job_kind(const job_t *job)
{
    return job->mail == NULL || job->look.record.state == RECORD_PLANNED ? job->look.record.kind
                                                                         : job->mail->kind;
}

/* Before anything is written down: a mail that can't be sent is not even planned. */
static bool can_send(job_t *job)
{
    if (job->policy->dry_run || job->context->self->pool != NULL) {
        return true;
    }
    static const char text[] = "api.key is not set: put the key into AGENTMAIL_API_KEY or "
                               "MAILBUS_API_KEY_FILE";
    mailbus_runtime_log(job->context->self->runtime, "error",
                        "no mail can be sent until this is mended: %s", text);
    return job_later(job, text);
}

static bool look(job_t *job)
{
    mailbus_error_t error = {.text = "it can't be written"};
    records_look_t found = {.record = {.state = RECORD_NONE}};
    sqlite3 *db = mailbus_task_store(job->task);
    if (db == NULL ||
        records_look(db, job_key(job), job->message, job->to, &found, &error) != MAILBUS_OK ||
        mailbus_task_commit(job->task) != MAILBUS_OK) {
        record_free(&found.record);
        return job_store_failed(job, &error);
    }
    record_free(&job->look.record);
    job->look = found;
    return true;
}

/* With several parts that is normal where another one is tried again, and nothing to note. */
static void sent_before(job_t *job)
{
    static const char reason[] = "answered-already";
    if (job->part[0] == '\0') {
        job_silent(job, reason, NULL);
        return;
    }
    *job->result = (outgoing_result_t){.verdict = MAILBUS_DONE, .action = "silent"};
    snprintf(job->result->reason, sizeof job->result->reason, "%s", reason);
}

/* True: an earlier try wrote it down, and it was taken up. */
static bool resume(job_t *job)
{
    switch (job->look.record.state) {
    case RECORD_SENT:
        sent_before(job);
        return true;
    case RECORD_PLANNED:
        job->to = job->look.record.recipient;
        if (can_send(job)) {
            job_send(job, false);
        }
        return true;
    case RECORD_NONE:
    case RECORD_REFUSED: /* a dead letter tried again, by a person: from the beginning */
        break;
    }
    return false;
}

static guards_mail_t guards_view(const job_t *job, outgoing_kind_t kind)
{
    return (guards_mail_t){
        .kind = kind,
        .message = job->message,
        .headers = job->message->has_headers ? &job->message->headers : NULL,
        .to = job->to,
        .own = &job->policy->own,
        .from_is_inbox = job->look.from_is_inbox,
        .to_is_inbox = job->look.to_is_inbox,
        .answers_ours = job->look.answers_ours,
        .age_ms = quota_age_ms(job->event->recorded_time, job->now_ms),
        .max_age_ms = job->policy->max_age_ms,
    };
}

static bool message_passes(job_t *job, outgoing_kind_t kind)
{
    const char *detail = NULL;
    const guards_mail_t view = guards_view(job, kind);
    const char *guard = guards_of_message(&view, &detail);
    return guard == NULL || job_silent(job, guard, detail);
}

/* The cheap questions first: the header is fetched only for a mail that they let through. */
static bool decide(job_t *job)
{
    const char *detail = NULL;
    if (!message_passes(job, job->mail->kind) ||
        (!job->message->has_headers && !job_fetch_headers(job, true))) {
        return false;
    }
    const guards_mail_t view = guards_view(job, job->mail->kind);
    const char *guard = guards_of_headers(&view, &detail);
    return guard == NULL || job_silent(job, guard, detail);
}

/* Whom an answer goes to; NULL: nobody. */
static const char *partner(const agentmail_message_t *message)
{
    const agentmail_address_t *recipient = guards_recipient(message);
    return recipient == NULL ? NULL : recipient->address;
}

static void work(job_t *job)
{
    job->to = job->mail->kind == OUTGOING_FORWARD ? job->mail->to : partner(job->message);
    if (look(job) && !resume(job) && decide(job) && can_send(job) && job_plan(job)) {
        job_send(job, true);
    }
}

mailbus_verdict_t outgoing_handle(const outgoing_context_t *context, agentmail_message_t *message,
                                  const outgoing_mail_t *mail, outgoing_result_t *ret_result)
{
    job_t job;
    job_init(&job, context, message, mail->part, ret_result);
    job.mail = mail;
    work(&job);
    record_free(&job.look.record);
    return ret_result->verdict;
}

bool outgoing_resume(const outgoing_context_t *context, agentmail_message_t *message,
                     const char *part, outgoing_result_t *ret_result)
{
    job_t job;
    job_init(&job, context, message, part, ret_result);
    bool taken = !look(&job) || resume(&job);
    record_free(&job.look.record);
    return taken;
}

bool outgoing_may_answer(const outgoing_context_t *context, agentmail_message_t *message,
                         const char *part, outgoing_result_t *ret_result)
{
    job_t job;
    job_init(&job, context, message, part, ret_result);
    job.to = partner(message);
    bool good = look(&job) && !resume(&job) && message_passes(&job, OUTGOING_REPLY);
    record_free(&job.look.record);
    return good;
}

mailbus_verdict_t outgoing_silent(const outgoing_context_t *context, agentmail_message_t *message,
                                  const char *reason, outgoing_result_t *ret_result)
{
    job_t job;
    job_init(&job, context, message, "", ret_result);
    job_silent(&job, reason, NULL);
    return ret_result->verdict;
}

bool outgoing_read(const outgoing_context_t *context, agentmail_message_t **ret_message,
                   outgoing_result_t *ret_result)
{
    job_t job;
    mailbus_error_t error = {0};
    job_init(&job, context, NULL, "", ret_result);
    mailbus_code_t code =
        agentmail_message_read(job.event->body, job.event->body_size, ret_message, &error);
    if (code == MAILBUS_ENOMEM) {
        job_later(&job, error.text);
    } else if (code != MAILBUS_OK) {
        job_finish(&job, MAILBUS_REJECT, "rejected", "unreadable: %s", error.text);
    }
    return code == MAILBUS_OK;
}
