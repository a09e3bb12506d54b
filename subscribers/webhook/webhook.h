/* Telling an address of the operator's about something: a POST with a JSON body, signed as Standard
 * Webhooks says (webhook-id, webhook-timestamp, webhook-signature), so that its receiver can check
 * it with any of that specification's libraries. The id stays the same at every try: a receiver
 * that remembers ids takes each once.
 *
 * Every call ends in time, reads little of the answer, and follows no redirect. */
#ifndef WEBHOOK_H
#define WEBHOOK_H

#include "agentmail/client.h"
#include "webhook_signature.h"

#define WEBHOOK_ID_MAX 256 /* bytes of an id */
#define WEBHOOK_KEYS_MAX                                                                           \
    4 /* secrets at a time: the old one and the new one while they are changed, and some */

typedef struct {
    const char *url; /* https, or http to a loopback address; may have a query; copied */
    /* "whsec_…", blank-separated where several sign (a rotation); "" sends without a signature. */
    const char *secrets;
    const char *user_agent; /* copied */
    long timeout_ms;        /* of one call; 0: 15 s, what Svix gives a receiver */
} webhook_options_t;

typedef struct webhook webhook_t;

/* Call curl_global_init once in the program before. EINVAL with what is wrong about the address or
 * a secret; no text quotes a secret. */
MAILBUS_MUST_USE mailbus_code_t webhook_new(const webhook_options_t *options, webhook_t **ret_self,
                                            mailbus_error_t *error);
void webhook_destroy(webhook_t **self_p); /* no call may be under way */

/* One try. `id`: 1 to WEBHOOK_ID_MAX bytes of printable ASCII without blank (mailbus_task_key gives
 * one). `now_s`: unix seconds of this try; receivers refuse one that is minutes old. `json`: the
 * body. Fills *result anew; free it with agentmail_result_free. Any thread, several at a time.
 *
 * Verdicts: 2xx DONE. REJECT for what no further try changes: 410 (the receiver wants no more) and
 * 413. Everything else RETRY, other 4xx too: a receiver that is being deployed answers 404. 401,
 * 403 and redirects are told loudly (operator_error). */
void webhook_post(webhook_t *self, const char *id, const char *json, size_t size, int64_t now_s,
                  agentmail_result_t *result);

/* --- the pure parts, for the tests --------------------------------------------------------------
 */

/* Append "v1,… v1,…": one signature a key. */
MAILBUS_MUST_USE mailbus_code_t webhook_sign(const mb_webhook_key_t *keys, size_t count,
                                             const char *id, const char *timestamp,
                                             const void *body, size_t size, mailbus_buf_t *out);
/* Fill a result from a status and the beginning of an answer's body. */
void webhook_judge(long status, const char *body, size_t size, agentmail_result_t *result);

#endif
