/* The way of one mail from the event to the decision, and all of it in work(). */
#include "mail.h"

#include <stdio.h>
#include <string.h>

#include "guards.h"
#include "mail_priv.h"

static bool read_message(mail_t *mail)
{
    mailbus_error_t error = {0};
    mailbus_code_t code =
        agentmail_message_read(mail->event->body, mail->event->body_size, &mail->message, &error);
    if (code == MAILBUS_ENOMEM) {
        mail_finish(mail, MAILBUS_RETRY, "later", "%s", error.text);
    } else if (code != MAILBUS_OK) {
        mail_finish(mail, MAILBUS_REJECT, "rejected", "unreadable: %s", error.text);
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
        return mail_store_failed(mail, &error);
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
        return mail_silent(mail, "header-unknown", result->text);
    }
    agentmail_result_t again = *result;
    again.verdict = AGENTMAIL_RETRY; /* 404 too: the event can be ahead of the message */
    mail_api_failed(mail, &again);
    return false;
}

/* The event carries no header: the raw message does. */
static bool fetch_header(mail_t *mail)
{
    mailbus_buf_t raw = MAILBUS_BUF_INIT;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    mailbus_error_t error = {0};
    agentmail_client_t *client = mail->pool == NULL ? NULL : agentmail_pool_take(mail->pool);
    bool good = false;
    if (mail->pool == NULL) {
        return mail_silent(mail, "header-unknown", "no api.key to fetch the mail with");
    }
    if (client == NULL) {
        mail_finish(mail, MAILBUS_RETRY, "later", "out of memory");
        return false;
    }
    agentmail_get_raw(client, mail->message->inbox_id, mail->message->message_id,
                      AGENTMAIL_HEADERS_BYTES, &raw, &result);
    agentmail_pool_give(mail->pool, client);
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
        return mail_silent(mail, guard, detail);
    }
    size_t at = 0;
    mail->rule = rules_next(mail->config->rules, mail->message, &mail->config->own, &at, NULL);
    if (mail->rule == NULL) {
        return mail_silent(mail, "no-rule", NULL);
    }
    if (!mail->message->has_headers && !fetch_header(mail)) {
        return false;
    }
    guard = guards_of_headers(&view, &detail);
    return guard == NULL || mail_silent(mail, guard, detail);
}

static void work(mail_t *mail)
{
    if (strcmp(mail->event->topic, "message.received") != 0) {
        mail_silent(mail, "topic", mail->event->topic);
        return;
    }
    if (!read_message(mail) || !look(mail)) {
        return;
    }
    if (mail->answer.state == ANSWER_SENT) {
        mail_silent(mail, "answered-already", NULL);
        return;
    }
    bool first = mail->answer.state != ANSWER_PLANNED;
    if (first && (!decide(mail) || !mail_plan(mail))) {
        return;
    }
    mail_send(mail, first);
}

mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, agentmail_pool_t *pool,
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
