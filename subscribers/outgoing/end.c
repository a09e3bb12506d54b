/* How the way of a mail ends. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agentmail/text.h"
#include "outgoing/job.h"

enum {
    SHOWN_MAX = 200, /* bytes of a subject or address in the history and the log */
    REASON_MAX = 600,
};

static void shown(const char *text, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "");
    agentmail_text_line(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), SHOWN_MAX, out);
}

static mailbus_code_t note_history(job_t *job, sqlite3 *db, const char *action, const char *reason,
                                   const char *sender, mailbus_error_t *error)
{
    mailbus_buf_t subject = MAILBUS_BUF_INIT;
    shown(job->message == NULL ? NULL : job->message->subject, &subject);
    const records_history_t line = {
        .key = job_key(job),
        .inbox = job->message == NULL ? NULL : job->message->inbox_id,
        .message_id = job->message == NULL ? NULL : job->message->message_id,
        .sender = sender,
        .recipient = job->to,
        .subject = subject.data,
        .action = action,
        .reason = reason,
        .now_ms = job->now_ms,
    };
    mailbus_code_t code = records_note(db, &line, error);
    mailbus_buf_free(&subject);
    return code;
}

/* Write the history's line: with DONE it commits together with the event's removal. With REJECT the
 * runtime would roll it back, and with several parts another one's RETRY would: it commits now. */
static mailbus_code_t note_end(job_t *job, const char *action, const char *reason,
                               const char *sender, mailbus_error_t *error)
{
    sqlite3 *db = mailbus_task_store(job->task);
    if (db == NULL) {
        return mailbus_fail(error, MAILBUS_EIO, "the state file can't be written");
    }
    mailbus_code_t code = note_history(job, db, action, reason, sender, error);
    if (code == MAILBUS_OK && (job->result->verdict == MAILBUS_REJECT || job->part[0] != '\0')) {
        code = mailbus_task_commit(job->task);
    }
    return code;
}

/* The runtime tells what it tries again; a second line at each try would hide the others. */
static const char *level_of(mailbus_verdict_t verdict)
{
    return verdict == MAILBUS_DONE ? "info" : verdict == MAILBUS_RETRY ? "debug" : "error";
}

static void end(job_t *job, mailbus_verdict_t verdict, const char *action, const char *text)
{
    char labels[64];
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    mailbus_buf_t sender = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    mailbus_buf_text(&reason, "");
    agentmail_text_line(text, strlen(text), 0, &reason);
    bool has_sender = job->message != NULL && job->message->from.count > 0;
    shown(has_sender ? job->message->from.items[0].address : NULL, &sender);
    const char *why = reason.data == NULL ? "out of memory" : reason.data;
    job->result->verdict = verdict;
    if (verdict != MAILBUS_RETRY && note_end(job, action, why, sender.data, &error) != MAILBUS_OK) {
        job->result->verdict = MAILBUS_RETRY;
        action = "later";
        why = error.text[0] == '\0' ? "the state file can't be written" : error.text;
    }
    job->result->action = action;
    mailbus_task_log(job->task, level_of(job->result->verdict), "%s: %s; from %s to %s", action,
                     why, sender.data == NULL || sender.size == 0 ? "nobody" : sender.data,
                     job->message == NULL ? "nobody" : job->message->inbox_id);
    mailbus_task_reason(job->task, "%s", why);
    snprintf(job->result->reason, sizeof job->result->reason, "%s", why);
    snprintf(labels, sizeof labels, "action=\"%s\"", action);
    mailbus_count(mailbus_task_runtime(job->task), "mails", labels, "Mails by what was done", 1);
    mailbus_buf_free(&reason);
    mailbus_buf_free(&sender);
}

void job_finish(job_t *job, mailbus_verdict_t verdict, const char *action, const char *format, ...)
{
    char text[REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end(job, verdict, action, text);
}

bool job_store_failed(job_t *job, const mailbus_error_t *error)
{
    job_finish(job, MAILBUS_RETRY, "later", "state file: %s", error->text);
    return false;
}

bool job_later(job_t *job, const char *text)
{
    job_finish(job, MAILBUS_RETRY, "later", "%s", text);
    return false;
}

bool job_silent(job_t *job, const char *guard, const char *detail)
{
    job_finish(job, MAILBUS_DONE, "silent", "%s%s%s", guard, detail == NULL ? "" : ": ",
               detail == NULL ? "" : detail);
    return false;
}

void job_api_failed(job_t *job, const agentmail_result_t *result)
{
    if (result->verdict == AGENTMAIL_REJECT) {
        job_finish(job, MAILBUS_REJECT, "rejected", "%s", result->text);
        return;
    }
    if (result->retry_after > 0) {
        mailbus_task_retry_after(job->task, result->retry_after);
    }
    if (result->operator_error) {
        mailbus_runtime_log(mailbus_task_runtime(job->task), "error",
                            "no mail can be sent until this is mended: %s", result->text);
    }
    job_finish(job, MAILBUS_RETRY, "later", "%s", result->text);
}
