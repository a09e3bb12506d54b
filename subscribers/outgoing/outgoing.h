/* Mail that a program sends by itself: one guard for all of them (autoreply, extract's reply,
 * route's forward). It says whether a mail may be answered at all, keeps the limits, asks the check
 * protocol, writes the request down before it is sent, sends it under an idempotency key, and notes
 * it: exactly one per event and part, over crashes. README.md has every rule with its source.
 *
 * The tables are in the subscriber's own store (outgoing_schema). */
#ifndef OUTGOING_H
#define OUTGOING_H

#include "agentmail/client.h"
#include "agentmail/message.h"
#include "agentmail/own.h"
#include "agentmail/pool.h"
#include "check/client.h"
#include "mailbus/subscriber.h"
#include "outgoing/quota.h"

extern const char outgoing_schema[]; /* to be joined to the subscriber's own schema; history.h has
                           the command that shows it */

/* --- settings -----------------------------------------------------------------------------------
 */

/* Rows for the subscriber's settings table: the API, the limits, the checks. */
#define OUTGOING_SETTINGS                                                                          \
    {"api.base_url",                                                                               \
     "text",                                                                                       \
     AGENTMAIL_BASE_URL,                                                                           \
     "Where the API is; http only on a loopback address",                                          \
     false,                                                                                        \
     NULL},                                                                                        \
        {"api.key", "secret", "", "The API key", false, "AGENTMAIL_API_KEY"},                      \
        {"send.own_inboxes",                                                                       \
         "text",                                                                                   \
         "",                                                                                       \
         "Our other addresses, blank-separated, or *@domain: never answered, and a mail to them "  \
         "is to us",                                                                               \
         true,                                                                                     \
         NULL},                                                                                    \
        {"send.again_after",                                                                       \
         "duration",                                                                               \
         "7d",                                                                                     \
         "One answer per sender and rule in this time; at least 1d",                               \
         true,                                                                                     \
         NULL},                                                                                    \
        {"send.per_sender_day",                                                                    \
         "integer",                                                                                \
         "20",                                                                                     \
         "Answers to one sender in 24 hours, over all rules",                                      \
         true,                                                                                     \
         NULL},                                                                                    \
        {"send.per_minute",                                                                        \
         "integer",                                                                                \
         "60",                                                                                     \
         "Mails of the whole program in a minute; what is beyond waits",                           \
         true,                                                                                     \
         NULL},                                                                                    \
        {"send.max_age", "duration",                                                               \
         "2d",           "No answer to a mail that the gateway took longer ago than this",         \
         true,           NULL},                                                                    \
        {"send.header_tries",                                                                      \
         "integer",                                                                                \
         "6",                                                                                      \
         "Tries to get what an event leaves out of a mail (header, text), then on without it",     \
         true,                                                                                     \
         NULL},                                                                                    \
        {"send.dry_run",                                                                           \
         "boolean",                                                                                \
         "no",                                                                                     \
         "Send nothing, log what would be done and why; --dry-run sets it with a state file of "   \
         "its own",                                                                                \
         false,                                                                                    \
         NULL},                                                                                    \
        CHECK_CLIENT_SETTINGS

/* What of it may change under a running program. A part of the program's own configuration, so that
 * a mail is handled under one configuration from its beginning to its end, whatever SIGHUP brings
 * meanwhile. */
typedef struct {
    own_t own;
    quota_t limits;
    int64_t max_age_ms;
    int64_t header_tries;
    bool dry_run;
} outgoing_policy_t;

/* EINVAL names the setting that is wrong. */
MAILBUS_MUST_USE mailbus_code_t outgoing_policy_read(const mailbus_runtime_t *runtime,
                                                     outgoing_policy_t *ret_policy,
                                                     mailbus_error_t *error);
void outgoing_policy_free(outgoing_policy_t *policy); /* takes a zeroed one */
/* The bounds of the limits, for outgoing_policy_read and the tests. */
MAILBUS_MUST_USE mailbus_code_t outgoing_policy_check(const outgoing_policy_t *policy,
                                                      mailbus_error_t *error);

/* The command line with "--dry-run" as settings: send.dry_run=yes, and `state`
 * ("state.path=mailbus-data/autoreply-dry-run.db"), because what a dry run takes from the bus must
 * still be there for the real program. They come first, so that a state.path given by --set wins.
 * NULL: no memory. Free the array; its strings are lent. */
char **outgoing_arguments(int argc, char **argv, char *state, int *ret_argc);

/* --- the guard ----------------------------------------------------------------------------------
 */

typedef struct outgoing outgoing_t;

/* From the settings; `user_agent` is "mailbus-autoreply/0.1". `curl_global_init` has been called.
 * Without api.key it can decide but not send: see outgoing_has_key. */
MAILBUS_MUST_USE mailbus_code_t outgoing_new(mailbus_runtime_t *runtime, const char *user_agent,
                                             outgoing_t **ret_self, mailbus_error_t *error);
void outgoing_destroy(outgoing_t **self_p); /* takes NULL */
bool outgoing_has_key(const outgoing_t *self);
/* API clients for other calls (attachments); NULL without a key. Lent. */
agentmail_pool_t *outgoing_pool(outgoing_t *self);

typedef enum {
    OUTGOING_REPLY,   /* an automatic answer: all guards, all limits */
    OUTGOING_FORWARD, /* passing a mail on to a fixed address of the operator's: never to a machine
                       * loop, checks and the ceiling, but lists and the like may be passed on */
} outgoing_kind_t;

/* What is to be sent for one mail. Everything is lent for the call. */
typedef struct {
    outgoing_kind_t kind;
    const char *part; /* a name for this effect of the event, "" for the only one: in the key */
    const char *rule; /* whose limits: the rule's name, or the program's */
    const char *to;   /* FORWARD: the address; REPLY: NULL, the answer goes to Reply-To or From */
    const char *text; /* UTF-8, never NULL */
    const char *html; /* NULL: none */
} outgoing_mail_t;

/* How it went, beside the verdict: "answered", "forwarded", "silent", "would-answer",
 * "would-forward", "later", "rejected"; the guard, limit or check that decided, or the rule; one
 * line. */
typedef struct {
    mailbus_verdict_t verdict;
    const char *action;
    char reason[512];
} outgoing_result_t;

/* One task on its way through. */
typedef struct {
    outgoing_t *self;
    const outgoing_policy_t *policy; /* lent for the call, of the program's configuration */
    mailbus_task_t *task;
    int64_t now_ms;
} outgoing_context_t;

/* Each of these sets the task's reason, logs one line, counts
 * mailbus_<name>_mails_total{action="…"}, and writes the history once the mail is at an end. Call
 * them outside mailbus_task_store's transaction; when one returns, an open transaction may hold the
 * last note, to commit with the event (with a `part` it is committed: other parts may follow). What
 * they return is for the handler to return, unless other parts have something to say. */

/* Take one mail all the way. An event without a header gets it from the raw message, into
 * `message`. */
mailbus_verdict_t outgoing_handle(const outgoing_context_t *context, agentmail_message_t *message,
                                  const outgoing_mail_t *mail, outgoing_result_t *ret_result);
/* Before any rule is asked: an earlier try of this event and part may have written a mail down.
 * True: it was taken up again as it was written, whatever the rules say by now, and *ret_result
 * holds (as it does where the records can't be read). False: there is none. */
bool outgoing_resume(const outgoing_context_t *context, agentmail_message_t *message,
                     const char *part, outgoing_result_t *ret_result);
/* The same for programs that answer, with the guards that look at the message alone: true, and
 * nothing was written down and none of them stops it, so its rules are worth asking; false, and
 * *ret_result holds. */
bool outgoing_may_answer(const outgoing_context_t *context, agentmail_message_t *message,
                         const char *part, outgoing_result_t *ret_result);
/* The program itself decided that nothing is sent for this mail ("no-rule"): DONE, "silent". */
mailbus_verdict_t outgoing_silent(const outgoing_context_t *context, agentmail_message_t *message,
                                  const char *reason, outgoing_result_t *ret_result);
/* The event's message; a mail that can't be read is at an end here: false, and *ret_result holds.
 */
bool outgoing_read(const outgoing_context_t *context, agentmail_message_t **ret_message,
                   outgoing_result_t *ret_result);
/* Fetch what the event left out and the program's rules look at: the header where `headers` and
 * !message->has_headers, the text where `body` and message->body_absent (an oversize mail). True:
 * go on; after send.header_tries tries also without it. False: not now, *ret_result holds. */
bool outgoing_fetch(const outgoing_context_t *context, agentmail_message_t *message, bool headers,
                    bool body, outgoing_result_t *ret_result);

#endif
