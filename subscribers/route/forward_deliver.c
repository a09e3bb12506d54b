/* By mail, through AgentMail's forward and its guard (subscribers/outgoing). */
#include <stdio.h>
#include <string.h>

#include "route/mail_priv.h"

step_end_t forward_deliver(step_t *step)
{
    mail_t *mail = step->mail;
    char text[200];
    outgoing_result_t result;
    snprintf(text, sizeof text, "Forwarded by mailbus-route, rule %.100s.", step->effect->rule);
    const outgoing_context_t context = {.self = mail->outgoing,
                                        .policy = &mail->config->policy,
                                        .task = mail->task,
                                        .now_ms = step->now_ms};
    const outgoing_mail_t forward = {
        .kind = OUTGOING_FORWARD,
        .part = step->effect->rule,
        .rule = step->effect->rule,
        .to = step->target->to,
        .text = step->card.note != NULL ? step->card.note : text,
    };
    if (!outgoing_resume(&context, mail->message, step->effect->rule, &result)) {
        (void)outgoing_handle(&context, mail->message, &forward, &result);
    }
    switch (result.verdict) {
    case MAILBUS_DONE:
        if (strcmp(result.action, "silent") == 0) { /* a guard says no */
            snprintf(step->reason, sizeof step->reason, "%s", result.reason);
            return step_done(step, "silent", NULL);
        }
        return step_done(step, "sent", step->target->to);
    case MAILBUS_REJECT:
        return step_rejected(step, "%s", result.reason);
    case MAILBUS_RETRY:
        break;
    }
    return step_later(step, 0, "%s", result.reason);
}
