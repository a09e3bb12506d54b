/* One effect: what all kinds share. Before anything is sent it is on disk that it may be; how it
 * ended is on disk before anything else is done. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "clock.h"
#include "route/mail_priv.h"

static const mailbus_error_t unwritable = {.text = "it can't be written"};

/* --- writing ------------------------------------------------------------------------------------
 */

MAILBUS_PRINTF(2, 0) static void say(step_t *step, const char *format, va_list arguments)
{
    char text[sizeof step->reason];
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    vsnprintf(text, sizeof text, format, arguments);
    mailbus_buf_text(&line, "");
    agentmail_text_line(text, strlen(text), sizeof step->reason - 1, &line);
    snprintf(step->reason, sizeof step->reason, "%s", line.data == NULL ? "" : line.data);
    mailbus_buf_free(&line);
}

static void count(const step_t *step, const char *action)
{
    char labels[96];
    snprintf(labels, sizeof labels, "kind=\"%s\",action=\"%s\"",
             step->target == NULL ? "none" : target_kind_name(step->target->kind), action);
    mailbus_count(mailbus_task_runtime(step->mail->task), "effects", labels,
                  "Tries of what rules ask for, by how they ended", 1);
}

/* What the target's pace learns from how a try ended. */
static mailbus_code_t note_pace(step_t *step, sqlite3 *db, int64_t closed_ms,
                                mailbus_error_t *error)
{
    pace_t pace;
    const char *name = step->target == NULL ? "" : step->target->pace;
    bool fine = step->effect->state == EFFECT_DONE;
    if (name[0] == '\0' || (closed_ms == 0 && !step->strike && !fine)) {
        return MAILBUS_OK;
    }
    mailbus_code_t code = effects_pace(db, name, &pace, error);
    if (code != MAILBUS_OK || (fine && pace.strikes == 0)) {
        return code;
    }
    if (fine) {
        pace_fine(&pace);
    } else if (step->strike) {
        step->effect->due_ms = pace_strike(&pace, step->now_ms);
    } else {
        pace_close(&pace, closed_ms);
    }
    return effects_save_pace(db, name, &pace, error);
}

/* Everything about the end of a try, in one transaction. `action` NULL: no history yet. */
static bool save(step_t *step, const char *action, const char *reason, const char *reference,
                 int64_t closed_ms, mailbus_error_t *error)
{
    mail_t *mail = step->mail;
    sqlite3 *db = mailbus_task_store(mail->task);
    *error = unwritable;
    if (db == NULL || note_pace(step, db, closed_ms, error) != MAILBUS_OK ||
        effects_save(db, mail->event->id, step->effect, error) != MAILBUS_OK) {
        return false;
    }
    if (action != NULL && mail_note(mail, db, step->effect, action, reason, reference, step->now_ms,
                                    error) != MAILBUS_OK) {
        return false;
    }
    *error = unwritable;
    return mailbus_task_commit(mail->task) == MAILBUS_OK;
}

/* --- how it ends --------------------------------------------------------------------------------
 */

step_end_t step_store_failed(step_t *step, const mailbus_error_t *error)
{
    step->mail->store_failed = true;
    snprintf(step->reason, sizeof step->reason, "state file: %s", error->text);
    return STEP_LATER;
}

step_end_t step_done(step_t *step, const char *action, const char *reference)
{
    mailbus_error_t error;
    step->effect->state = EFFECT_DONE;
    step->effect->due_ms = 0;
    if (step->reason[0] == '\0') {
        snprintf(step->reason, sizeof step->reason, "to %s", target_kind_name(step->target->kind));
    }
    if (!save(step, action, step->reason, reference, 0, &error)) {
        step->effect->state = EFFECT_PLANNED;
        return step_store_failed(step, &error);
    }
    count(step, action);
    mailbus_task_log(step->mail->task, "info", "%s: rule %s, target %s, %s", action,
                     step->effect->rule, step->effect->target,
                     reference == NULL ? step->reason : reference);
    return STEP_DONE;
}

step_end_t step_rejected(step_t *step, const char *format, ...)
{
    mailbus_error_t error;
    va_list arguments;
    va_start(arguments, format);
    say(step, format, arguments);
    va_end(arguments);
    step->effect->state = EFFECT_REJECTED;
    step->effect->due_ms = 0;
    free(step->effect->reason);
    step->effect->reason = strdup(step->reason);
    if (!save(step, "rejected", step->reason, NULL, 0, &error)) {
        step->effect->state = EFFECT_PLANNED;
        return step_store_failed(step, &error);
    }
    count(step, "rejected");
    return STEP_REJECTED;
}

static step_end_t later(step_t *step, int64_t due_ms, int64_t closed_ms)
{
    mailbus_error_t error;
    step->effect->due_ms = due_ms;
    if (!save(step, NULL, NULL, NULL, closed_ms, &error)) {
        return step_store_failed(step, &error);
    }
    count(step, "later");
    return STEP_LATER;
}

step_end_t step_later(step_t *step, int64_t due_ms, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(step, format, arguments);
    va_end(arguments);
    return later(step, due_ms, 0);
}

step_end_t step_failed(step_t *step, const agentmail_result_t *result)
{
    effect_t *effect = step->effect;
    step->now_ms = mb_clock_wall_ms(); /* "in 30 seconds" counts from the answer */
    if (step->was_sure && !result->maybe_done) {
        effect->first_unsure_ms = effect->last_unsure_ms = 0;
    }
    if (result->verdict == AGENTMAIL_REJECT) {
        return step_rejected(step, "%s", result->text);
    }
    if (result->operator_error) {
        mailbus_runtime_log(mailbus_task_runtime(step->mail->task), "error",
                            "target %s: nothing can be sent there until this is mended: %s",
                            effect->target, result->text);
    }
    snprintf(step->reason, sizeof step->reason, "%s", result->text);
    int64_t wait_ms = (int64_t)(result->retry_after * 1000);
    int64_t due_ms = wait_ms > 0 ? step->now_ms + wait_ms : 0;
    return later(step, due_ms, due_ms);
}

/* --- how it begins ------------------------------------------------------------------------------
 */

bool step_settled(step_t *step, step_end_t *ret_end)
{
    int64_t due_ms = step->effect->last_unsure_ms + step->mail->config->settle_ms;
    if (due_ms <= step->now_ms) {
        return true;
    }
    *ret_end = step_later(step, due_ms,
                          "the last try may have been carried out: it is looked for in a while");
    return false;
}

/* True: now. False: come back at effect->due_ms. */
static mailbus_code_t ask_pace(step_t *step, sqlite3 *db, bool *ret_now, mailbus_error_t *error)
{
    pace_t pace;
    const config_t *config = step->mail->config;
    int64_t interval_ms = step->target->kind == TARGET_GITHUB ? config->github.interval_ms
                                                              : config->slack.interval_ms;
    mailbus_code_t code = effects_pace(db, step->target->pace, &pace, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    int64_t slot_ms = step->effect->has_slot ? step->effect->due_ms : 0;
    *ret_now = pace_take(&pace, interval_ms, slot_ms, step->now_ms, &step->effect->due_ms);
    step->effect->has_slot = !*ret_now;
    return effects_save_pace(db, step->target->pace, &pace, error);
}

bool step_begin(step_t *step, bool take_pace, step_end_t *ret_end)
{
    mail_t *mail = step->mail;
    effect_t *effect = step->effect;
    mailbus_error_t error = unwritable;
    bool now = true;
    step->now_ms = mb_clock_wall_ms(); /* looking for an earlier try may have taken a while */
    sqlite3 *db = mailbus_task_store(mail->task);
    if (db == NULL || (take_pace && ask_pace(step, db, &now, &error) != MAILBUS_OK)) {
        *ret_end = step_store_failed(step, &error);
        return false;
    }
    if (now) {
        step->was_sure = effect->first_unsure_ms == 0;
        effect->due_ms = 0;
        effect->last_unsure_ms = step->now_ms;
        effect->first_unsure_ms = step->was_sure ? step->now_ms : effect->first_unsure_ms;
    }
    if (effects_save(db, mail->event->id, effect, &error) != MAILBUS_OK ||
        mailbus_task_commit(mail->task) != MAILBUS_OK) {
        *ret_end = step_store_failed(step, &error);
        return false;
    }
    if (!now) {
        snprintf(step->reason, sizeof step->reason, "its turn comes in %.1f s",
                 (double)(effect->due_ms - step->now_ms) / 1000);
        *ret_end = STEP_LATER;
    }
    return now;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static step_end_t run(step_t *step)
{
    static step_end_t (*const kinds[])(step_t * step) = {
        [TARGET_SLACK_API] = slack_deliver, [TARGET_SLACK_WEBHOOK] = slack_webhook_deliver,
        [TARGET_GITHUB] = github_deliver,   [TARGET_FILE] = file_deliver,
        [TARGET_URL] = url_deliver,         [TARGET_FORWARD] = forward_deliver,
    };
    mail_t *mail = step->mail;
    mailbus_error_t error = {0};
    if (step->target == NULL) {
        return step_rejected(step, "the rules file has no target \"%s\" any more",
                             step->effect->target);
    }
    if (mail->config->policy.dry_run) {
        return step_done(step, "would-send", NULL);
    }
    const char *note = step->rule == NULL ? NULL : rule_text(step->rule, "note");
    if (card_new(mail->message, step->effect->rule, note, step->effect->mark, &step->card,
                 &error) != MAILBUS_OK) {
        return step_later(step, 0, "%s", error.text);
    }
    step_end_t end = kinds[step->target->kind](step);
    card_free(&step->card);
    return end;
}

step_end_t step_run(mail_t *mail, effect_t *effect, int64_t now_ms, char *reason, size_t size)
{
    step_t step = {
        .mail = mail,
        .effect = effect,
        .target = targets_find(&mail->config->targets, effect->target),
        .rule = config_rule(mail->config, effect->rule),
        .now_ms = now_ms,
    };
    step_end_t end = effect->due_ms > now_ms ? STEP_LATER : run(&step);
    snprintf(reason, size, "%s", step.reason[0] != '\0' ? step.reason : "it waits for its time");
    return end;
}
