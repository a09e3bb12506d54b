#include "mail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "answers.h"
#include "guards.h"
#include "mailbus/json.h"
#include "request.h"
#include "test_point.h"

enum {
    SHOWN_MAX = 200, /* bytes of a subject or address in the history and the log */
    REASON_MAX = 600,
};

/* One mail in one worker's hands. Functions that return bool say whether to go on; where they
 * don't, `verdict` holds. */
typedef struct {
    mailbus_task_t *task;
    const mailbus_event_t *event;
    const config_t *config;
    pool_t *pool;
    int64_t now_ms;
    agentmail_message_t *message;
    agentmail_headers_t raw; /* fetched, where the event has none */
    bool sender_is_inbox, answers_ours;
    answer_t answer;
    const rule_t *rule;
    mailbus_verdict_t verdict;
} mail_t;

/* --- how it ends --------------------------------------------------------------------------------
 */

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

/* The one log line, the count, the history and the verdict. */
static void finish(mail_t *mail, mailbus_verdict_t verdict, const char *action, const char *format,
                   ...) MAILBUS_PRINTF(4, 5);

static void finish(mail_t *mail, mailbus_verdict_t verdict, const char *action, const char *format,
                   ...)
{
    char raw[REASON_MAX];
    char labels[64];
    mailbus_buf_t reason = MAILBUS_BUF_INIT;
    mailbus_buf_t sender = MAILBUS_BUF_INIT;
    mailbus_error_t error = {0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    mailbus_buf_text(&reason, "");
    agentmail_text_line(raw, strlen(raw), 0, &reason);
    bool has_sender = mail->message != NULL && mail->message->from.count > 0;
    shown(has_sender ? mail->message->from.items[0].address : NULL, &sender);
    const char *why = reason.data == NULL ? "out of memory" : reason.data;
    mail->verdict = verdict;
    if (verdict != MAILBUS_RETRY &&
        note_end(mail, action, why, sender.data, &error) != MAILBUS_OK) {
        mail->verdict = MAILBUS_RETRY;
        action = "later";
        why = error.text;
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

/* The state file can't be read or written: nothing was decided. */
static bool store_failed(mail_t *mail, const mailbus_error_t *error)
{
    finish(mail, MAILBUS_RETRY, "later", "state file: %s", error->text);
    return false;
}

static bool silent(mail_t *mail, const char *guard, const char *detail)
{
    finish(mail, MAILBUS_DONE, "silent", "%s%s%s", guard, detail == NULL ? "" : ": ",
           detail == NULL ? "" : detail);
    return false;
}

/* A call that did not work, as a verdict. */
static void api_failed(mail_t *mail, const agentmail_result_t *result)
{
    if (result->verdict == AGENTMAIL_REJECT) {
        finish(mail, MAILBUS_REJECT, "rejected", "%s", result->text);
        return;
    }
    if (result->retry_after > 0) {
        mailbus_task_retry_after(mail->task, result->retry_after);
    }
    if (result->operator_error) {
        mailbus_runtime_log(mailbus_task_runtime(mail->task), "error",
                            "no mail can be answered until this is mended: %s", result->text);
    }
    finish(mail, MAILBUS_RETRY, "later", "%s", result->text);
}

/* --- deciding -----------------------------------------------------------------------------------
 */

static bool read_message(mail_t *mail)
{
    mailbus_error_t error = {0};
    mailbus_code_t code =
        agentmail_message_read(mail->event->body, mail->event->body_size, &mail->message, &error);
    if (code == MAILBUS_ENOMEM) {
        finish(mail, MAILBUS_RETRY, "later", "%s", error.text);
    } else if (code != MAILBUS_OK) {
        finish(mail, MAILBUS_REJECT, "rejected", "unreadable: %s", error.text);
    }
    return code == MAILBUS_OK;
}

static bool look(mail_t *mail)
{
    mailbus_error_t error = {.text = "it can't be written"};
    answers_look_t found = {.answer.state = ANSWER_NONE};
    sqlite3 *db = mailbus_task_store(mail->task);
    if (db == NULL ||
        answers_look(db, mail->event->id, mail->message, &found, &error) != MAILBUS_OK ||
        mailbus_task_commit(mail->task) != MAILBUS_OK) {
        answer_free(&found.answer);
        return store_failed(mail, &error);
    }
    mail->answer = found.answer;
    mail->sender_is_inbox = found.sender_is_inbox;
    mail->answers_ours = found.answers_ours;
    return true;
}

static guards_mail_t guards_view(const mail_t *mail)
{
    return (guards_mail_t){
        .message = mail->message,
        .headers = mail->message->has_headers ? &mail->message->headers : &mail->raw,
        .own = &mail->config->own,
        .sender_is_inbox = mail->sender_is_inbox,
        .answers_ours = mail->answers_ours,
        .age_ms = quota_age_ms(mail->event->recorded_time, mail->now_ms),
        .max_age_ms = mail->config->max_age_ms,
    };
}

/* The header can't be had this time. An operator's mistake will be mended; else there is an end. */
static bool header_missing(mail_t *mail, const agentmail_result_t *result)
{
    if (!result->operator_error &&
        (int64_t)mailbus_task_attempts(mail->task) + 1 >= mail->config->header_tries) {
        return silent(mail, "header-unknown", result->text);
    }
    agentmail_result_t again = *result;
    again.verdict = AGENTMAIL_RETRY; /* 404 too: the event can be ahead of the message */
    api_failed(mail, &again);
    return false;
}

/* The event carries no header: the raw message does. */
static bool fetch_header(mail_t *mail)
{
    mailbus_buf_t raw = MAILBUS_BUF_INIT;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    mailbus_error_t error = {0};
    agentmail_client_t *client = mail->pool == NULL ? NULL : pool_take(mail->pool);
    bool good = false;
    if (mail->pool == NULL) {
        return silent(mail, "header-unknown", "no api.key to fetch the mail with");
    }
    if (client == NULL) {
        finish(mail, MAILBUS_RETRY, "later", "out of memory");
        return false;
    }
    agentmail_get_raw(client, mail->message->inbox_id, mail->message->message_id,
                      AGENTMAIL_HEADERS_BYTES, &raw, &result);
    pool_give(mail->pool, client);
    if (result.verdict == AGENTMAIL_DONE) {
        good = agentmail_headers_parse(raw.data == NULL ? "" : raw.data, raw.size, &mail->raw,
                                       &error) == MAILBUS_OK;
    }
    if (!good) {
        if (error.text[0] != '\0') {
            snprintf(result.text, sizeof result.text, "get raw message: %s", error.text);
        }
        agentmail_headers_free(&mail->raw);
        header_missing(mail, &result);
    }
    agentmail_result_free(&result);
    mailbus_buf_free(&raw);
    return good;
}

/* The cheap questions first: the header is fetched only for a mail that a rule would answer. */
static bool decide(mail_t *mail)
{
    const char *detail = NULL;
    guards_mail_t view = guards_view(mail);
    const char *guard = guards_of_message(&view, &detail);
    if (guard != NULL) {
        return silent(mail, guard, detail);
    }
    mail->rule = rules_match(mail->config->rules, mail->message, &mail->config->own);
    if (mail->rule == NULL) {
        return silent(mail, "no-rule", NULL);
    }
    if (!mail->message->has_headers && !fetch_header(mail)) {
        return false;
    }
    guard = guards_of_headers(&view, &detail);
    return guard == NULL || silent(mail, guard, detail);
}

/* --- writing down -------------------------------------------------------------------------------
 */

/* Limits and note in one transaction: two mails of one sender in two workers count each other. */
static bool plan_in(mail_t *mail, sqlite3 *db, const answers_plan_t *plan)
{
    mailbus_error_t error = {.text = "it can't be written"};
    quota_counts_t counts = {0};
    const char *limit = NULL;
    int64_t wait_ms = 0;
    bool have = false;
    if (db == NULL || answers_have_mail(db, plan, &have, &error) != MAILBUS_OK ||
        answers_count(db, plan, &mail->config->limits, &counts, &error) != MAILBUS_OK) {
        return store_failed(mail, &error);
    }
    if (have) {
        return silent(mail, "answered-already", "another event brought the same mail");
    }
    switch (quota_decide(&mail->config->limits, &counts, mail->now_ms, &limit, &wait_ms)) {
    case QUOTA_SILENT:
        return silent(mail, limit, mail->rule->name);
    case QUOTA_LATER:
        mailbus_task_retry_after(mail->task, (double)wait_ms / 1000);
        finish(mail, MAILBUS_RETRY, "later", "%s: more than %" PRId64 " answers a minute", limit,
               mail->config->limits.per_minute);
        return false;
    case QUOTA_GO:
        break;
    }
    if (answers_plan(db, plan, &error) != MAILBUS_OK ||
        mailbus_task_commit(mail->task) != MAILBUS_OK) {
        return store_failed(mail, &error);
    }
    return true;
}

static bool plan(mail_t *mail)
{
    mailbus_error_t error = {0};
    mailbus_buf_t request = MAILBUS_BUF_INIT;
    mailbus_buf_t sender = MAILBUS_BUF_INIT;
    mailbus_buf_t recipient = MAILBUS_BUF_INIT;
    const char *to = guards_recipient(mail->message)->address;
    bool good = false;
    agentmail_address_fold(mail->message->from.items[0].address, &sender);
    agentmail_address_fold(to, &recipient);
    if (request_render(mail->message, mail->rule, &request, &error) != MAILBUS_OK ||
        sender.failed || recipient.failed) {
        finish(mail, MAILBUS_RETRY, "later", "out of memory");
        goto out;
    }
    const answers_plan_t note = {
        .event_id = mail->event->id,
        .inbox = mail->message->inbox_id,
        .message_id = mail->message->message_id,
        .rule = mail->rule->name,
        .sender = sender.data,
        .recipient = recipient.data,
        .request = request.data,
        .now_ms = mail->now_ms,
    };
    if (!plan_in(mail, mailbus_task_store(mail->task), &note)) {
        goto out;
    }
    answer_free(&mail->answer);
    mail->answer = (answer_t){
        .state = ANSWER_PLANNED,
        .rule = strdup(note.rule),
        .recipient = strdup(to),
        .request = mailbus_buf_take(&request, NULL),
    };
    good =
        mail->answer.rule != NULL && mail->answer.recipient != NULL && mail->answer.request != NULL;
    if (!good) {
        finish(mail, MAILBUS_RETRY, "later", "out of memory");
    }
out:
    mailbus_buf_free(&request);
    mailbus_buf_free(&sender);
    mailbus_buf_free(&recipient);
    return good;
}

/* --- sending ------------------------------------------------------------------------------------
 */

/* Note from when on the service may have the request; 0: it has it not. */
static bool note_unsure(mail_t *mail, int64_t unsure_ms)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(mail->task);
    return db != NULL && answers_unsure(db, mail->event->id, unsure_ms, &error) == MAILBUS_OK &&
           mailbus_task_commit(mail->task) == MAILBUS_OK;
}

static void answered(mail_t *mail, const char *reply_id, const char *action)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(mail->task);
    if (db == NULL ||
        answers_sent(db, mail->event->id, reply_id, mail->now_ms, &error) != MAILBUS_OK) {
        store_failed(mail, &error); /* the next try gets the same answer under the same key */
        return;
    }
    finish(mail, MAILBUS_DONE, action, "rule %s to %s", mail->answer.rule, mail->answer.recipient);
}

static void refused(mail_t *mail, const agentmail_result_t *result)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(mail->task);
    if (!result->maybe_done &&
        (db == NULL || answers_refused(db, mail->event->id, &error) != MAILBUS_OK)) {
        store_failed(mail, &error);
        return;
    }
    api_failed(mail, result);
}

/* Nothing is sent that the service could take for a new mail. */
static bool may_send(mail_t *mail, bool first)
{
    if (!first && mail->answer.unsure_ms != 0 &&
        mail->now_ms - mail->answer.unsure_ms > MAIL_KEY_MEMORY_MS) {
        finish(mail, MAILBUS_REJECT, "rejected",
               "a try %" PRId64 " hours ago may have answered %s, and the service remembers "
               "idempotency keys for 24 hours only: look in the thread before answering by hand",
               (mail->now_ms - mail->answer.unsure_ms) / 3600000, mail->answer.recipient);
        return false;
    }
    if (!first && mail->answer.unsure_ms == 0 && !note_unsure(mail, mail->now_ms)) {
        return store_failed(mail, &(mailbus_error_t){.text = "it can't be written"});
    }
    return true;
}

/* `first`: the note was written by this try, so no request can be under way from another one. */
static void send_answer(mail_t *mail, bool first)
{
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    if (mail->config->dry_run) {
        answered(mail, NULL, "would-answer");
        return;
    }
    if (!may_send(mail, first)) {
        return;
    }
    bool was_sure = first || mail->answer.unsure_ms == 0;
    agentmail_client_t *client = pool_take(mail->pool);
    if (client == NULL) {
        finish(mail, MAILBUS_RETRY, "later", "out of memory");
        return;
    }
    mb_test_point("autoreply-noted");
    agentmail_reply(client, mail->message->inbox_id, mail->message->message_id,
                    mailbus_task_key(mail->task, NULL), mail->answer.request,
                    strlen(mail->answer.request), &result);
    pool_give(mail->pool, client);
    if (result.verdict == AGENTMAIL_DONE) {
        mb_test_point("autoreply-sent");
        answered(mail, mailbus_json_string(result.json, "message_id"), "answered");
    } else if (result.verdict == AGENTMAIL_REJECT) {
        refused(mail, &result);
    } else {
        if (was_sure && !result.maybe_done) {
            (void)note_unsure(mail, 0); /* where it fails the note says unsure: the safe side */
        }
        api_failed(mail, &result);
    }
    agentmail_result_free(&result);
}

/* ------------------------------------------------------------------------------------------------
 */

static void work(mail_t *mail)
{
    if (strcmp(mail->event->topic, "message.received") != 0) {
        silent(mail, "topic", mail->event->topic);
        return;
    }
    if (!read_message(mail) || !look(mail)) {
        return;
    }
    if (mail->answer.state == ANSWER_SENT) {
        silent(mail, "answered-already", NULL);
        return;
    }
    bool first = mail->answer.state != ANSWER_PLANNED;
    if (first && (!decide(mail) || !plan(mail))) {
        return;
    }
    send_answer(mail, first);
}

mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, pool_t *pool,
                              int64_t now_ms)
{
    mail_t mail = {
        .task = task,
        .event = mailbus_task_event(task),
        .config = config,
        .pool = pool,
        .now_ms = now_ms,
        .raw = AGENTMAIL_HEADERS_INIT,
        .verdict = MAILBUS_RETRY,
    };
    work(&mail);
    agentmail_message_free(&mail.message);
    agentmail_headers_free(&mail.raw);
    answer_free(&mail.answer);
    return mail.verdict;
}
