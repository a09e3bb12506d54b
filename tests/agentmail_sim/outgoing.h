/* Stage: a mail goes out: whom it goes to, what it answers, and what becomes of it. */
#ifndef SIM_OUTGOING_H
#define SIM_OUTGOING_H

#include "sim.h"

#define OUTGOING_RECIPIENTS_MAX 50 /* the service's */

typedef enum { CALL_SEND, CALL_REPLY, CALL_REPLY_ALL, CALL_FORWARD } outgoing_kind_t;

const char *outgoing_kind_name(outgoing_kind_t kind);
/* Make the mail an answer to `original`, or a copy of it to somebody else. */
void outgoing_answer(mail_t *mail, const message_t *original, const char *inbox_id, bool all);
void outgoing_forward(mail_t *mail, const message_t *original);
/* The bare addresses of to, cc and bcc, each once. The caller deletes. */
cJSON *outgoing_recipients(const mail_t *mail);
/* The entry of a block list that forbids it, or NULL. */
const cJSON *outgoing_blocked(const sim_t *sim, const cJSON *recipients, outgoing_kind_t kind);
/* Send it (moved from): a message in the inbox, its events, a mail in each inbox of ours that it is
 * addressed to. */
message_t *outgoing_send(sim_t *sim, const char *inbox_id, mail_t *mail, outgoing_kind_t kind,
                         const char *idempotency_key, int64_t now_ms);

#endif
