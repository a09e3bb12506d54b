/* Mail that a program sends by itself: one guard for all of them (autoreply, extract's reply,
 * route's forward). It says whether a mail may be answered at all, asks the check protocol, keeps
 * the limits, writes the request down before it is sent, sends it under an idempotency key, and
 * notes it: exactly one per event and part, over crashes.
 *
 * The tables are in the subscriber's own store (outgoing_schema). */
#ifndef OUTGOING_H
#define OUTGOING_H

#include "agentmail/message.h"
#include "mailbus/subscriber.h"

extern const char outgoing_schema[]; /* to be joined to the subscriber's own schema */

/* Settings rows api.*, send.* (checks, limits, own inboxes, dry run): a macro for the subscriber's
 * settings table, OUTGOING_SETTINGS. */

typedef struct outgoing outgoing_t;

typedef enum {
    OUTGOING_REPLY,   /* an automatic answer: all guards, all limits */
    OUTGOING_FORWARD, /* passing a mail on to a fixed address of the operator's: never to a machine
                       * loop, checks and limits, but lists and the like may be passed on */
} outgoing_kind_t;

/* What is to be sent for one mail. Everything is lent for the call. */
typedef struct {
    outgoing_kind_t kind;
    const char
        *part; /* a name for this effect of the event, "" for the only one: goes into the key */
    const char *rule; /* whose limits: the rule's name, or the program's */
    const char *to;   /* FORWARD: the address; REPLY: NULL, the answer goes to Reply-To or From */
    const char *text; /* UTF-8, never NULL */
    const char *html; /* NULL: none */
} outgoing_mail_t;

/* From the settings. `curl_global_init` has been called. */
MAILBUS_MUST_USE mailbus_code_t outgoing_new(mailbus_runtime_t *runtime, outgoing_t **ret_self,
                                             mailbus_error_t *error);
void outgoing_destroy(outgoing_t **self_p);
/* After SIGHUP. */
MAILBUS_MUST_USE mailbus_code_t outgoing_reload(outgoing_t *self, mailbus_runtime_t *runtime,
                                                mailbus_error_t *error);

/* How it went, beside the verdict: "answered", "forwarded", "silent", "would-answer", "later",
 * "rejected"; the guard, limit or check that decided, or the rule; one line. */
typedef struct {
    mailbus_verdict_t verdict;
    const char *action;
    char reason[512];
} outgoing_result_t;

/* Take one mail all the way; the reason is set on the task too. Call it outside
 * mailbus_task_store's transaction; when it returns an open one may hold the final note, to commit
 * with the event. */
mailbus_verdict_t outgoing_handle(outgoing_t *self, mailbus_task_t *task,
                                  const agentmail_message_t *message, const outgoing_mail_t *mail,
                                  int64_t now_ms, outgoing_result_t *ret_result);

#endif
