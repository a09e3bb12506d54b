/* The way of one mail from the event to its verdict. */
#include "route/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "clock.h"
#include "encoding.h"
#include "route/mail_priv.h"

enum {
    SHOWN_MAX = 200,   /* bytes of a subject or address in the history and the log */
    REASONS_MAX = 900, /* of all effects together */
};

/* --- history and ends ---------------------------------------------------------------------------
 */

static void shown(const char *text, mailbus_buf_t *out)
{
    mailbus_buf_text(out, "");
    agentmail_text_line(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), SHOWN_MAX, out);
}

mailbus_code_t mail_note(mail_t *mail, sqlite3 *db, const effect_t *effect, const char *action,
                         const char *reason, const char *reference, int64_t now_ms,
                         mailbus_error_t *error)
{
    const agentmail_message_t *message = mail->message;
    mailbus_buf_t subject = MAILBUS_BUF_INIT;
    mailbus_buf_t sender = MAILBUS_BUF_INIT;
    shown(message == NULL ? NULL : message->subject, &subject);
    shown(message == NULL || message->from.count == 0 ? NULL : message->from.items[0].address,
          &sender);
    const effects_history_t line = {
        .event_id = mail->event->id,
        .inbox = message == NULL ? NULL : message->inbox_id,
        .message_id = message == NULL ? NULL : message->message_id,
        .sender = sender.data,
        .subject = subject.data,
        .rule = effect == NULL ? NULL : effect->rule,
        .target = effect == NULL ? NULL : effect->target,
        .action = action,
        .reason = reason,
        .reference = reference,
        .now_ms = now_ms,
    };
    mailbus_code_t code = effects_note(db, &line, error);
    mailbus_buf_free(&subject);
    mailbus_buf_free(&sender);
    return code;
}

static mailbus_verdict_t again(mail_t *mail, const char *reason)
{
    mailbus_task_reason(mail->task, "%s", reason);
    return MAILBUS_RETRY;
}

static mailbus_verdict_t store_failed(mail_t *mail, const mailbus_error_t *error)
{
    mailbus_task_reason(mail->task, "state file: %s",
                        error->text[0] == '\0' ? "it can't be written" : error->text);
    return MAILBUS_RETRY;
}

/* About the whole mail: nothing is done with it, now or ever. */
static mailbus_verdict_t end(mail_t *mail, mailbus_verdict_t verdict, const char *action,
                             const char *reason)
{
    char labels[64];
    mailbus_error_t error = {0};
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    mailbus_buf_text(&line, "");
    agentmail_text_line(reason, strlen(reason), 0, &line);
    const char *why = line.data == NULL ? "" : line.data;
    sqlite3 *db = mailbus_task_store(mail->task);
    if (db == NULL ||
        mail_note(mail, db, NULL, action, why, NULL, mail->now_ms, &error) != MAILBUS_OK ||
        (verdict == MAILBUS_REJECT && mailbus_task_commit(mail->task) != MAILBUS_OK)) {
        mailbus_buf_free(&line);
        return store_failed(mail, &error);
    }
    mailbus_task_log(mail->task, verdict == MAILBUS_DONE ? "info" : "error", "%s: %s", action, why);
    mailbus_task_reason(mail->task, "%s", why);
    snprintf(labels, sizeof labels, "action=\"%s\"", action);
    mailbus_count(mailbus_task_runtime(mail->task), "mails_without_rule", labels,
                  "Mails for which no rule asks anything", 1);
    mailbus_buf_free(&line);
    return verdict;
}

/* --- deciding -----------------------------------------------------------------------------------
 */

typedef struct {
    const rule_t *rules[RULES_MAX];
    size_t count;
} matches_t;

/* What the event leaves out and the rules, or the people who read it, want. */
static bool fetch(mail_t *mail, bool headers, bool body, mailbus_verdict_t *ret_verdict)
{
    outgoing_result_t result;
    const outgoing_context_t context = {.self = mail->outgoing,
                                        .policy = &mail->config->policy,
                                        .task = mail->task,
                                        .now_ms = mail->now_ms};
    if (!outgoing_has_key(mail->outgoing) ||
        outgoing_fetch(&context, mail->message, headers, body, &result)) {
        return true;
    }
    *ret_verdict = result.verdict;
    return false;
}

static void find_matches(mail_t *mail, matches_t *matches)
{
    size_t at = 0;
    unsigned exhausted = 0;
    const config_t *config = mail->config;
    const rule_t *rule;
    matches->count = 0;
    while ((rule = rules_next(config->rules, mail->message, &config->policy.own, &at,
                              &exhausted)) != NULL) {
        matches->rules[matches->count++] = rule;
        if (!config->match_all) {
            break;
        }
    }
    if (exhausted > 0) {
        mailbus_task_log(mail->task, "warn",
                         "%u regular expressions went beyond their bounds and did not match",
                         exhausted);
        mailbus_count(mailbus_task_runtime(mail->task), "regex_exhausted", "",
                      "Regular expressions that went beyond their bounds", exhausted);
    }
}

static mailbus_code_t plan_rule(mail_t *mail, sqlite3 *db, const rule_t *rule, bool *ret_planned,
                                mailbus_error_t *error)
{
    char uuid[37];
    char mark[400];
    bool have = false;
    const char *name = rule_name(rule);
    mailbus_code_t code = effects_have_mail(db, mail->event->id, mail->message, name, &have, error);
    if (code == MAILBUS_OK && have) {
        const effect_t same = {.rule = (char *)name, .target = (char *)rule_text(rule, "target")};
        return mail_note(mail, db, &same, "silent", "another event brought the same mail", NULL,
                         mail->now_ms, error);
    }
    if (code == MAILBUS_OK) {
        code = mb_uuid(uuid);
    }
    if (code == MAILBUS_OK) {
        snprintf(mark, sizeof mark, "%s:%s", mailbus_task_key(mail->task, name), uuid);
        code = effects_plan(db, mail->event->id, mail->message, name, rule_text(rule, "target"),
                            mark, mail->now_ms, error);
        *ret_planned = *ret_planned || code == MAILBUS_OK;
    }
    return code;
}

/* Write down what is to be done, unless an earlier try did: the rules of the first one hold. */
static bool plan(mail_t *mail, const matches_t *matches, mailbus_verdict_t *ret_verdict)
{
    mailbus_error_t error = {0};
    bool planned = false;
    bool forgotten = false;
    const char *id = mail->event->id;
    sqlite3 *db = mailbus_task_store(mail->task);
    mailbus_code_t code = db == NULL ? MAILBUS_EIO : MAILBUS_OK;
    if (code == MAILBUS_OK && mailbus_task_attempts(mail->task) == 0) {
        code = effects_forget_rejected(db, id, &forgotten, &error);
    }
    if (code == MAILBUS_OK) {
        code = effects_load(db, id, &mail->effects, &error);
    }
    bool known = mail->effects.count > 0;
    for (size_t i = 0; i < matches->count && code == MAILBUS_OK && (!known || forgotten); i++) {
        code = plan_rule(mail, db, matches->rules[i], &planned, &error);
    }
    if (code == MAILBUS_OK && planned) {
        effects_free(&mail->effects);
        code = effects_load(db, id, &mail->effects, &error);
    }
    if (code != MAILBUS_OK || mailbus_task_commit(mail->task) != MAILBUS_OK) {
        *ret_verdict = store_failed(mail, &error);
        return false;
    }
    if (mail->effects.count == 0) {
        *ret_verdict =
            end(mail, MAILBUS_DONE, "silent", matches->count == 0 ? "no-rule" : "routed-already");
    }
    return mail->effects.count > 0;
}

/* --- doing --------------------------------------------------------------------------------------
 */

typedef struct {
    char reasons[REASONS_MAX];
    bool later, rejected;
    int64_t due_ms; /* of the first that waits; 0: one of them by the runtime's own pauses */
} sum_t;

static void add_reason(sum_t *sum, const effect_t *effect, const char *reason)
{
    size_t used = strlen(sum->reasons);
    snprintf(sum->reasons + used, sizeof sum->reasons - used, "%srule %s to %s: %s",
             used == 0 ? "" : "; ", effect->rule, effect->target, reason);
}

static void add_later(sum_t *sum, const effect_t *effect, const char *reason)
{
    bool first = !sum->later;
    add_reason(sum, effect, reason);
    sum->due_ms = first || effect->due_ms < sum->due_ms ? effect->due_ms : sum->due_ms;
    sum->later = true;
}

static mailbus_verdict_t sum_up(mail_t *mail, const sum_t *sum)
{
    if (!sum->later && !sum->rejected) {
        return MAILBUS_DONE;
    }
    mailbus_task_reason(mail->task, "%s", sum->reasons);
    if (!sum->later) {
        return MAILBUS_REJECT;
    }
    int64_t wait_ms = sum->due_ms - mb_clock_wall_ms();
    if (sum->due_ms > 0 && wait_ms > 0) {
        mailbus_task_retry_after(mail->task, (double)wait_ms / 1000);
    }
    return MAILBUS_RETRY;
}

static mailbus_verdict_t work(mail_t *mail)
{
    sum_t sum = {.reasons = ""};
    for (size_t i = 0; i < mail->effects.count && !mail->store_failed; i++) {
        effect_t *effect = &mail->effects.items[i];
        char reason[512] = "";
        step_end_t done = STEP_DONE;
        if (effect->state == EFFECT_PLANNED) {
            done = step_run(mail, effect, mb_clock_wall_ms(), reason, sizeof reason);
        } else if (effect->state == EFFECT_REJECTED) {
            done = STEP_REJECTED;
            snprintf(reason, sizeof reason, "%s", effect->reason == NULL ? "" : effect->reason);
        }
        if (done == STEP_LATER) {
            add_later(&sum, effect, reason);
        } else if (done == STEP_REJECTED) {
            add_reason(&sum, effect, reason);
            sum.rejected = true;
        }
    }
    return mail->store_failed ? again(mail, sum.reasons) : sum_up(mail, &sum);
}

static mailbus_verdict_t handle(mail_t *mail, matches_t *matches)
{
    mailbus_error_t error = {0};
    mailbus_verdict_t verdict = MAILBUS_RETRY;
    const config_t *config = mail->config;
    mailbus_code_t code =
        agentmail_message_read(mail->event->body, mail->event->body_size, &mail->message, &error);
    if (code == MAILBUS_ENOMEM) {
        return again(mail, error.text);
    }
    if (code != MAILBUS_OK) {
        char text[300];
        snprintf(text, sizeof text, "unreadable: %s", error.text);
        return end(mail, MAILBUS_REJECT, "rejected", text);
    }
    if (!fetch(mail, rules_need_headers(config->rules), rules_need_body(config->rules), &verdict)) {
        return verdict;
    }
    find_matches(mail, matches);
    if (matches->count > 0 && mail->message->body_absent && !fetch(mail, false, true, &verdict)) {
        return verdict;
    }
    return plan(mail, matches, &verdict) ? work(mail) : verdict;
}

mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, outgoing_t *outgoing,
                              int64_t now_ms)
{
    mail_t mail = {
        .task = task,
        .event = mailbus_task_event(task),
        .config = config,
        .outgoing = outgoing,
        .now_ms = now_ms,
    };
    matches_t *matches = calloc(1, sizeof *matches); /* eight kilobytes: not on the stack */
    mailbus_verdict_t verdict = MAILBUS_RETRY;
    if (matches != NULL) {
        verdict = handle(&mail, matches);
    } else {
        mailbus_task_reason(task, "out of memory");
    }
    free(matches);
    effects_free(&mail.effects);
    agentmail_message_free(&mail.message);
    return verdict;
}
