/* Writing an answer down, sending it, noting that it was sent. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "guards.h"
#include "mail_priv.h"
#include "mailbus/json.h"
#include "request.h"
#include "test_point.h"

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
        return mail_store_failed(mail, &error);
    }
    if (have) {
        return mail_silent(mail, "answered-already", "another event brought the same mail");
    }
    switch (quota_decide(&mail->config->limits, &counts, mail->now_ms, &limit, &wait_ms)) {
    case QUOTA_SILENT:
        return mail_silent(mail, limit, rule_name(mail->rule));
    case QUOTA_LATER:
        mailbus_task_retry_after(mail->task, (double)wait_ms / 1000);
        mail_finish(mail, MAILBUS_RETRY, "later", "%s: more than %" PRId64 " answers a minute",
                    limit, mail->config->limits.per_minute);
        return false;
    case QUOTA_GO:
        break;
    }
    if (answers_plan(db, plan, &error) != MAILBUS_OK ||
        mailbus_task_commit(mail->task) != MAILBUS_OK) {
        return mail_store_failed(mail, &error);
    }
    return true;
}

bool mail_plan(mail_t *mail)
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
        mail_finish(mail, MAILBUS_RETRY, "later", "out of memory");
        goto out;
    }
    const answers_plan_t note = {
        .event_id = mail->event->id,
        .inbox = mail->message->inbox_id,
        .message_id = mail->message->message_id,
        .rule = rule_name(mail->rule),
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
        mail_finish(mail, MAILBUS_RETRY, "later", "out of memory");
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
        mail_store_failed(mail, &error); /* the next try gets the same answer under the same key */
        return;
    }
    mail_finish(mail, MAILBUS_DONE, action, "rule %s to %s", mail->answer.rule,
                mail->answer.recipient);
}

/* `was_sure`: no earlier try may have got through; else the note stays as it is. */
static void refused(mail_t *mail, const agentmail_result_t *result, bool was_sure)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(mail->task);
    if (was_sure && !result->maybe_done &&
        (db == NULL || answers_refused(db, mail->event->id, &error) != MAILBUS_OK)) {
        mail_store_failed(mail, &error);
        return;
    }
    mail_api_failed(mail, result);
}

/* It waited too long, and certainly nothing was sent: it is not answered any more. */
static bool too_old(mail_t *mail)
{
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(mail->task);
    if (db == NULL || answers_refused(db, mail->event->id, &error) != MAILBUS_OK) {
        return mail_store_failed(mail, &error);
    }
    return mail_silent(mail, "too-old", "no try got through in time");
}

/* A later try. Nothing is sent that the service could take for a new mail. */
static bool may_send_again(mail_t *mail)
{
    int64_t unsure_ms = mail->answer.unsure_ms;
    if (unsure_ms != 0 && mail->now_ms - unsure_ms > MAIL_KEY_MEMORY_MS) {
        mail_finish(mail, MAILBUS_REJECT, "rejected",
                    "a try %" PRId64 " hours ago may have answered %s, and the service remembers "
                    "idempotency keys for 24 hours only: look in the thread before answering by "
                    "hand",
                    (mail->now_ms - unsure_ms) / 3600000, mail->answer.recipient);
        return false;
    }
    if (unsure_ms == 0 &&
        quota_age_ms(mail->event->recorded_time, mail->now_ms) > mail->config->max_age_ms) {
        return too_old(mail);
    }
    if (unsure_ms == 0 && !note_unsure(mail, mail->now_ms)) {
        return mail_store_failed(mail, &(mailbus_error_t){.text = "it can't be written"});
    }
    return true;
}

void mail_send(mail_t *mail, bool first)
{
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    if (mail->config->dry_run) {
        answered(mail, NULL, "would-answer");
        return;
    }
    if (!first && !may_send_again(mail)) {
        return;
    }
    bool was_sure = first || mail->answer.unsure_ms == 0;
    agentmail_client_t *client = agentmail_pool_take(mail->pool);
    if (client == NULL) {
        mail_finish(mail, MAILBUS_RETRY, "later", "out of memory");
        return;
    }
    mb_test_point("autoreply-noted");
    agentmail_reply(client, mail->message->inbox_id, mail->message->message_id,
                    mailbus_task_key(mail->task, NULL), mail->answer.request,
                    strlen(mail->answer.request), &result);
    agentmail_pool_give(mail->pool, client);
    if (result.verdict == AGENTMAIL_DONE) {
        mb_test_point("autoreply-sent");
        answered(mail, mailbus_json_string(result.json, "message_id"), "answered");
    } else if (result.verdict == AGENTMAIL_REJECT) {
        refused(mail, &result, was_sure);
    } else {
        if (was_sure && !result.maybe_done) {
            (void)note_unsure(mail, 0); /* where it fails the note says unsure: the safe side */
        }
        mail_api_failed(mail, &result);
    }
    agentmail_result_free(&result);
}
