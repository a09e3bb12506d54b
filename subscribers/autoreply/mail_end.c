/* How the way of a mail ends. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agentmail/text.h"
#include "mail_priv.h"

enum {
    SHOWN_MAX = 200, /* bytes of a subject or address in the history and the log */
    REASON_MAX = 600,
};

static void shown(const char *text, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "");
    agentmail_text_line(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), SHOWN_MAX, out);
}

static mailbus_code_t note_history(mail_t *mail, sqlite3 *db, const char *action,
                                   const char *reason, const char *sender, mailbus_error_t *error)
{
    mailbus_buf_t subject = MAILBUS_BUF_INIT;
    shown(mail->message == NULL ? NULL : mail->message->subject, &subject);
    const answers_history_t line = {
        .event_id = mail->event->id,
        .inbox = mail->message == NULL ? NULL : mail->message->inbox_id,
        .message_id = mail->message == NULL ? NULL : mail->message->message_id,
        .sender = sender,
        .subject = subject.data,
        .action = action,
        .reason = reason,
        .now_ms = mail->now_ms,
    };
    mailbus_code_t code = answers_note(db, &line, error);
    mailbus_buf_free(&subject);
    return code;
}

/* Write the history's line: with DONE it commits together with the event's removal, with REJECT the
 * runtime would roll it back, so it commits now. */
static mailbus_code_t note_end(mail_t *mail, const char *action, const char *reason,
                               const char *sender, mailbus_error_t *error)
{
    sqlite3 *db = mailbus_task_store(mail->task);
    if (db == NULL) {
        return mailbus_fail(error, MAILBUS_EIO, "the state file can't be written");
    }
    mailbus_code_t code = note_history(mail, db, action, reason, sender, error);
    if (code == MAILBUS_OK && mail->verdict == MAILBUS_REJECT) {
        code = mailbus_task_commit(mail->task);
    }
    return code;
}

/* The runtime tells what it tries again; a second line at each try would hide the others. */
static const char *level_of(mailbus_verdict_t verdict)
{
    return verdict == MAILBUS_DONE ? "info" : verdict == MAILBUS_RETRY ? "debug" : "error";
}

static void end(mail_t *mail, mailbus_verdict_t verdict, const char *action, const char *text)
{
    char labels[64];
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    mailbus_buf_t sender = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    mailbus_buf_text(&reason, "");
    agentmail_text_line(text, strlen(text), 0, &reason);
    bool has_sender = mail->message != NULL && mail->message->from.count > 0;
    shown(has_sender ? mail->message->from.items[0].address : NULL, &sender);
    const char *why = reason.data == NULL ? "out of memory" : reason.data;
    mail->verdict = verdict;
    if (verdict != MAILBUS_RETRY &&
        note_end(mail, action, why, sender.data, &error) != MAILBUS_OK) {
        mail->verdict = MAILBUS_RETRY;
        action = "later";
        why = error.text[0] == '\0' ? "the state file can't be written" : error.text;
    }
    mailbus_task_log(mail->task, level_of(mail->verdict), "%s: %s; from %s to %s", action, why,
                     sender.data == NULL || sender.size == 0 ? "nobody" : sender.data,
                     mail->message == NULL ? "nobody" : mail->message->inbox_id);
    mailbus_task_reason(mail->task, "%s", why);
    snprintf(labels, sizeof labels, "action=\"%s\"", action);
    mailbus_count(mailbus_task_runtime(mail->task), "mails", labels, "Mails by what was done", 1);
    mailbus_buf_free(&reason);
    mailbus_buf_free(&sender);
}

void mail_finish(mail_t *mail, mailbus_verdict_t verdict, const char *action, const char *format,
                 ...)
{
    char text[REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end(mail, verdict, action, text);
}

bool mail_store_failed(mail_t *mail, const mailbus_error_t *error)
{
    mail_finish(mail, MAILBUS_RETRY, "later", "state file: %s", error->text);
    return false;
}

bool mail_silent(mail_t *mail, const char *guard, const char *detail)
{
    mail_finish(mail, MAILBUS_DONE, "silent", "%s%s%s", guard, detail == NULL ? "" : ": ",
                detail == NULL ? "" : detail);
    return false;
}

void mail_api_failed(mail_t *mail, const agentmail_result_t *result)
{
    if (result->verdict == AGENTMAIL_REJECT) {
        mail_finish(mail, MAILBUS_REJECT, "rejected", "%s", result->text);
        return;
    }
    if (result->retry_after > 0) {
        mailbus_task_retry_after(mail->task, result->retry_after);
    }
    if (result->operator_error) {
        mailbus_runtime_log(mailbus_task_runtime(mail->task), "error",
                            "no mail can be answered until this is mended: %s", result->text);
    }
    mail_finish(mail, MAILBUS_RETRY, "later", "%s", result->text);
}
