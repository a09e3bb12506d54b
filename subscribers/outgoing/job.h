/* One mail in one worker's hands, between handle.c, fetch.c, plan.c, send.c and end.c. */
#ifndef OUTGOING_JOB_H
#define OUTGOING_JOB_H

#include "outgoing/guards.h"
#include "outgoing/records.h"

/* How long an unsure mail may be sent again under its key: the service remembers keys for 24 hours;
 * an hour less for clocks that differ and a call that takes its time. */
#define JOB_KEY_MEMORY_MS (23 * 3600000LL)

struct outgoing {
    mailbus_runtime_t *runtime;
    agentmail_pool_t *pool; /* NULL without api.key */
    check_client_t *checks;
};

/* Functions that return bool say whether to go on; where they don't, *result holds. */
typedef struct {
    const outgoing_context_t *context;
    const outgoing_policy_t *policy;
    mailbus_task_t *task;
    const mailbus_event_t *event;
    int64_t now_ms;
    agentmail_message_t *message; /* NULL: could not be read */
    const outgoing_mail_t *mail;  /* what is to be sent; NULL while there is nothing yet */
    const char *part;
    const char *to; /* whom the mail goes to; NULL: not decided */
    records_look_t look;
    outgoing_result_t *result;
} job_t;

void job_init(job_t *job, const outgoing_context_t *context, agentmail_message_t *message,
              const char *part, outgoing_result_t *result);
records_key_t job_key(const job_t *job);
/* Of what is written down, else of what is to be sent; the former must be there where there is no
 * mail. */
outgoing_kind_t job_kind(const job_t *job);

/* --- end.c --------------------------------------------------------------------------------------
 */

/* The one log line, the count, the history and the verdict. `action` is "answered", "silent", … */
void job_finish(job_t *job, mailbus_verdict_t verdict, const char *action, const char *format, ...)
    MAILBUS_PRINTF(4, 5);
/* Never sent, by this guard; false. */
bool job_silent(job_t *job, const char *guard, const char *detail);
/* The state file can't be read or written, nothing was decided: again later; false. */
bool job_store_failed(job_t *job, const mailbus_error_t *error);
/* Again later, with these words; false. */
bool job_later(job_t *job, const char *text);
/* A call that did not work, as a verdict. */
void job_api_failed(job_t *job, const agentmail_result_t *result);

/* --- fetch.c ------------------------------------------------------------------------------------
 */

/* The header from the raw message, into the message. Where it can't be had in send.header_tries
 * tries: `must`: the mail is at an end ("header-unknown"); else go on without it. */
bool job_fetch_headers(job_t *job, bool must);

/* --- plan.c -------------------------------------------------------------------------------------
 */

/* Ask the checks whether job->to may be written to. */
bool job_check(job_t *job);
/* The limits, the checks, and the mail written down, on disk; into job->look.record. */
bool job_plan(job_t *job);

/* --- send.c -------------------------------------------------------------------------------------
 */

/* Send what is written down and note it. `first`: this try wrote it down, so no request can be
 * under way from another one. */
void job_send(job_t *job, bool first);

#endif
