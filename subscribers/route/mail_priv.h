/* One mail, and one effect of it, between the files that do parts of it. */
#ifndef ROUTE_MAIL_PRIV_H
#define ROUTE_MAIL_PRIV_H

#include "route/card.h"
#include "route/effects.h"
#include "route/mail.h"

typedef struct {
    mailbus_task_t *task;
    const mailbus_event_t *event;
    const config_t *config;
    outgoing_t *outgoing;
    int64_t now_ms;
    agentmail_message_t *message;
    effects_t effects;
    bool
        store_failed; /* what is open can't be trusted: no further effect, the runtime rolls back */
} mail_t;

/* How a try of one effect ended. */
typedef enum {
    STEP_DONE,     /* done, or nothing to do; noted */
    STEP_LATER,    /* not now */
    STEP_REJECTED, /* given up; noted */
} step_end_t;

/* One effect in hand. */
typedef struct {
    mail_t *mail;
    effect_t *effect;
    const target_t *target;
    const rule_t *rule; /* NULL: the file has it no more */
    card_t card;
    int64_t now_ms;
    bool was_sure;    /* before this try it certainly had not happened */
    bool strike;      /* GitHub asks to wait without saying for how long */
    char reason[512]; /* one line; STEP_DONE: "to slack" where nothing else is said */
} step_t;

/* --- step.c: what all kinds share ---------------------------------------------------------------
 */

/* Do one effect as far as it goes now. `reason` gets why, where it is not done. */
step_end_t step_run(mail_t *mail, effect_t *effect, int64_t now_ms, char *reason, size_t size);

/* How a step ends. Each writes what it must, and the log line. */
step_end_t step_done(step_t *step, const char *action, const char *reference);
step_end_t step_rejected(step_t *step, const char *format, ...) MAILBUS_PRINTF(2, 3);
/* Not before `due_ms` (0: by the runtime's own pauses). What is in the effect is saved. */
step_end_t step_later(step_t *step, int64_t due_ms, const char *format, ...) MAILBUS_PRINTF(3, 4);
step_end_t step_store_failed(step_t *step, const mailbus_error_t *error);
/* A call that was made, as an end. */
step_end_t step_failed(step_t *step, const agentmail_result_t *result);
/* Write down "about to happen", on disk; false: it can't be, *ret_end holds. `take_pace`: ask the
 * target's pace in the same transaction. */
bool step_begin(step_t *step, bool take_pace, step_end_t *ret_end);

/* --- the kinds ----------------------------------------------------------------------------------
 */

step_end_t slack_deliver(step_t *step);
step_end_t slack_webhook_deliver(step_t *step);
step_end_t github_deliver(step_t *step);
step_end_t url_deliver(step_t *step);
step_end_t file_deliver(step_t *step);
step_end_t forward_deliver(step_t *step);

/* True: enough time went by since the last unsure try to look for it; false: *ret_end holds. */
bool step_settled(step_t *step, step_end_t *ret_end);

/* --- remote.c -----------------------------------------------------------------------------------
 */

/* One call of Slack's or GitHub's API. */
typedef struct {
    const char *method, *url;
    agentmail_reach_t reach;
    const char *token; /* NULL: none */
    const char *const *headers;
    const char *const *wanted;
    const char *json;
    size_t size;
} remote_t;

/* Fills `body` and `answer`; false: no answer came, and *result says what that means. */
bool remote_call(const char *doing, const remote_t *remote, mailbus_buf_t *body,
                 agentmail_answer_t *answer, agentmail_result_t *result);

/* --- history ------------------------------------------------------------------------------------
 */

/* Into the open transaction. `effect` NULL: about the whole mail. */
mailbus_code_t mail_note(mail_t *mail, sqlite3 *db, const effect_t *effect, const char *action,
                         const char *reason, const char *reference, int64_t now_ms,
                         mailbus_error_t *error);

#endif
