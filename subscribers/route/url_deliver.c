/* A signed POST to any address. The same id at each try: its receiver takes each once. */
#include <string.h>

#include "mailbus/json.h"
#include "route/mail_priv.h"
#include "test_point.h"

/* The payload as Standard Webhooks recommends it: type, timestamp, data. The same bytes at each
 * try: the event's own body as it came, and when the gateway took it. */
static void render(const step_t *step, mailbus_buf_t *out)
{
    const mailbus_event_t *event = step->mail->event;
    mailbus_buf_text(out, "{\"type\":\"mail.routed\",\"timestamp\":");
    mailbus_json_write_string(out, event->recorded_time, strlen(event->recorded_time));
    mailbus_buf_text(out, ",\"data\":{\"rule\":");
    mailbus_json_write_string(out, step->effect->rule, strlen(step->effect->rule));
    mailbus_buf_text(out, ",\"note\":");
    if (step->card.note == NULL) {
        mailbus_buf_text(out, "null");
    } else {
        mailbus_json_write_string(out, step->card.note, strlen(step->card.note));
    }
    mailbus_buf_text(out, ",\"event\":");
    mailbus_buf_append(out, event->body, event->body_size);
    mailbus_buf_text(out, "}}");
}

step_end_t url_deliver(step_t *step)
{
    step_end_t end = STEP_LATER;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY, .text = "out of memory"};
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    if (!step_begin(step, false, &end)) {
        return end;
    }
    render(step, &json);
    mb_test_point("route-noted");
    if (!json.failed) {
        const char *id = mailbus_task_key(step->mail->task, step->effect->rule);
        webhook_post(step->target->webhook, id, json.data, json.size, step->now_ms / 1000, &result);
        mb_test_point("route-sent");
    }
    end = result.verdict == AGENTMAIL_DONE
              ? step_done(step, "sent", mailbus_task_key(step->mail->task, step->effect->rule))
              : step_failed(step, &result);
    agentmail_result_free(&result);
    mailbus_buf_free(&json);
    return end;
}
