/* AgentMail's REST API over libcurl.
 *
 * A client belongs to one thread at a time: it holds the connections, which are reused. Every call
 * ends within the options' timeout, reads no more than its limit, follows no redirect and sends the
 * key to no other host. The caller decides when to try again; the result says whether it should.
 *
 * How answers map to verdicts (README.md has the table with the tests): 2xx DONE; 400, 404, 405,
 * 409, 413, 422 and other 4xx REJECT; 408, 425, 429, 5xx and everything that breaks on the way
 * RETRY; 401, 402, 403 and redirects RETRY too, because the operator will mend the key or the
 * address, but with `operator_error` set so that it is said loudly; 403 `message_rejected`
 * REJECT. */
#ifndef AGENTMAIL_CLIENT_H
#define AGENTMAIL_CLIENT_H

#include <cjson/cJSON.h>
#include <stdatomic.h>

#include "mailbus/buf.h"

#define AGENTMAIL_BASE_URL "https://api.agentmail.to/v0"
#define AGENTMAIL_KEY_MAX  256 /* bytes of an Idempotency-Key */
#define AGENTMAIL_ANSWER_MAX                                                                       \
    ((size_t)8 * 1024 * 1024)             /* bytes of a JSON answer: a mail's text and html */
#define AGENTMAIL_RETRY_AFTER_MAX 86400.0 /* seconds: a server can't park us for longer */

typedef enum {
    AGENTMAIL_DONE,   /* it was carried out */
    AGENTMAIL_RETRY,  /* try the same again later */
    AGENTMAIL_REJECT, /* it will never work like this */
} agentmail_verdict_t;

typedef struct {
    agentmail_verdict_t verdict;
    long status;         /* HTTP status; 0 where no answer came */
    double retry_after;  /* seconds the server asked for; 0: it did not say */
    bool maybe_done;     /* not DONE, but the request may have been carried out all the same */
    bool operator_error; /* key, address or plan: a person has to mend it */
    bool too_long;       /* a download beyond its limit: REJECT */
    bool refused;        /* a download from where nothing may be asked for: REJECT */
    char code[64];       /* the API's error code, or "" */
    char text[512];      /* for people: what happened and what to do, one line */
    cJSON *json;         /* the parsed answer of a DONE call that has one, else NULL */
} agentmail_result_t;

void agentmail_result_free(agentmail_result_t *result); /* takes a zeroed one */

typedef struct {
    const char *base_url;       /* https, or http to a loopback address; copied */
    const char *api_key;        /* copied */
    const char *user_agent;     /* "mailbus-autoreply/0.1"; copied */
    long connect_timeout_ms;    /* 0: 10 s */
    long timeout_ms;            /* of one call; 0: 30 s. Downloads: ten times as long */
    long stall_s;               /* give up when nothing moves for so long; 0: 15 s */
    const atomic_bool *stopped; /* once it is true a call ends within about a second, as one that
                                   got no answer; lent, may be NULL */
} agentmail_options_t;

typedef struct agentmail_client agentmail_client_t;

/* Call curl_global_init once in the program before. EINVAL with what is wrong about the address or
 * the key: plain http is taken for loopback only, the key would go in clear. */
MAILBUS_MUST_USE mailbus_code_t agentmail_client_new(const agentmail_options_t *options,
                                                     agentmail_client_t **ret_self,
                                                     mailbus_error_t *error);
void agentmail_client_destroy(agentmail_client_t **self_p);

/* Every call fills *result anew (free it with agentmail_result_free before it is used again).
 * `key` is the Idempotency-Key, 1 to 256 of A-Za-z0-9-._~; `json` the request's body. The service
 * remembers a key for 24 hours: the same key and body give the first answer again. */
void agentmail_send(agentmail_client_t *self, const char *inbox, const char *key, const char *json,
                    size_t size, agentmail_result_t *result);
void agentmail_reply(agentmail_client_t *self, const char *inbox, const char *message_id,
                     const char *key, const char *json, size_t size, agentmail_result_t *result);
/* As agentmail_reply; the original's text and attachments go along. */
void agentmail_forward(agentmail_client_t *self, const char *inbox, const char *message_id,
                       const char *key, const char *json, size_t size, agentmail_result_t *result);
void agentmail_get_message(agentmail_client_t *self, const char *inbox, const char *message_id,
                           agentmail_result_t *result);
/* Append the first `limit` bytes of the raw message (.eml) to `out`; more is left where it is, that
 * is no failure (the header is what people want of it). */
void agentmail_get_raw(agentmail_client_t *self, const char *inbox, const char *message_id,
                       size_t limit, mailbus_buf_t *out, agentmail_result_t *result);
/* The bounds of a download. */
typedef struct {
    size_t limit; /* bytes: neither a size that the API tells, nor Content-Length, nor what really
                   * comes may be more */
    long timeout_ms; /* of the whole; 0: ten times the client's */
    long least_rate; /* bytes a second; what is slower for stall_s is given up; 0: 1 */
} agentmail_bounds_t;
/* Append the bytes of an attachment to `out`. More than the limit is a REJECT. */
void agentmail_get_attachment(agentmail_client_t *self, const char *inbox, const char *message_id,
                              const char *attachment_id, const agentmail_bounds_t *bounds,
                              mailbus_buf_t *out, agentmail_result_t *result);
/* `event_types` ends with NULL and has at least one; client_id (may be NULL) makes the same call
 * twice give the same webhook. The answer's `secret` is in result->json. */
void agentmail_webhook_create(agentmail_client_t *self, const char *url,
                              const char *const *event_types, const char *client_id,
                              agentmail_result_t *result);
void agentmail_webhook_list(agentmail_client_t *self, agentmail_result_t *result);
void agentmail_webhook_delete(agentmail_client_t *self, const char *webhook_id,
                              agentmail_result_t *result);
/* The organisation's block list for sending: `entry` is an address or a bare domain. One that is
 * there already gets the new reason, or is a 409; one that is not there is a 404. */
void agentmail_block_create(agentmail_client_t *self, const char *entry, const char *reason,
                            agentmail_result_t *result);
void agentmail_block_delete(agentmail_client_t *self, const char *entry,
                            agentmail_result_t *result);

/* --- the pure parts, for the tests --------------------------------------------------------------
 */

/* Seconds to wait by a Retry-After value (RFC 9110 §10.2.3: digits, or a date) at `now` (unix
 * seconds); 0 where it says nothing usable; at most AGENTMAIL_RETRY_AFTER_MAX. */
double agentmail_retry_after(const char *value, long long now);
/* Fill a result from a status and the body of an answer: verdict, code, text, json. A 2xx that does
 * not hold what the call gives back is a RETRY that may have been carried out: a proxy can answer
 * 200 too. `expected`: NULL no body, "" a JSON object, else the name of a string in it. `doing`
 * begins the text ("reply"). */
void agentmail_result_judge(const char *doing, long status, const char *body, size_t size,
                            const char *expected, agentmail_result_t *result);

#endif
