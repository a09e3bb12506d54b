/* One mail between mail.c, mail_send.c and mail_end.c. */
#ifndef AUTOREPLY_MAIL_PRIV_H
#define AUTOREPLY_MAIL_PRIV_H

#include "answers.h"
#include "mail.h"

/* One mail in one worker's hands. Functions that return bool say whether to go on; where they
 * don't, `verdict` holds. */
typedef struct {
    mailbus_task_t *task;
    const mailbus_event_t *event;
    const config_t *config;
    agentmail_pool_t *pool;
    int64_t now_ms;
    agentmail_message_t *message;
    agentmail_headers_t raw; /* fetched, where the event has none */
    bool sender_is_inbox, answers_ours;
    answer_t answer;
    const rule_t *rule;
    mailbus_verdict_t verdict;
} mail_t;

/* --- mail_end.c ---------------------------------------------------------------------------------
 */

/* The one log line, the count, the history and the verdict. `action` is "answered", "silent", … */
void mail_finish(mail_t *mail, mailbus_verdict_t verdict, const char *action, const char *format,
                 ...) MAILBUS_PRINTF(4, 5);
/* Never answered, by this guard; false. */
bool mail_silent(mail_t *mail, const char *guard, const char *detail);
/* The state file can't be read or written, nothing was decided: again later; false. */
bool mail_store_failed(mail_t *mail, const mailbus_error_t *error);
/* A call that did not work, as a verdict. */
void mail_api_failed(mail_t *mail, const agentmail_result_t *result);

/* --- mail_send.c --------------------------------------------------------------------------------
 */

/* Check the limits and write the answer down, on disk; into mail->answer. */
bool mail_plan(mail_t *mail);
/* Send what is written down and note it. `first`: this try wrote it down, so no request can be
 * under way from another one. */
void mail_send(mail_t *mail, bool first);

#endif
