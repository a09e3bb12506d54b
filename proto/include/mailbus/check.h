/* The check protocol (proto/CHECK.md): one JSON object each way, REQ or DEALER on one side, ROUTER
 * or REP on the other. "May I send to this address?" Whoever gets no answer does not send: silence
 * is never yes. Codec without sockets. */
#ifndef MAILBUS_CHECK_H
#define MAILBUS_CHECK_H

#include "mailbus/buf.h"

#define MAILBUS_CHECK_MAX      4096 /* bytes of a request and of an answer */
#define MAILBUS_CHECK_NAME_MAX 64   /* bytes of what is asked */
#define MAILBUS_CHECK_ADDRESS_MAX                                                                  \
    320 /* bytes of an address: 64, the @ and 255, RFC 5321 §4.5.3.1 */
#define MAILBUS_CHECK_REASON_MAX 512 /* bytes of a reason and of an error's text */
#define MAILBUS_CHECK_MAY_SEND   "may-send"

/* A request. */
typedef struct {
    char *check;   /* what is asked: "may-send" */
    char *address; /* about whom, as it was written; "" where the check is not known here */
} mailbus_check_t;

typedef enum { MAILBUS_CHECK_YES, MAILBUS_CHECK_NO } mailbus_check_verdict_t;

typedef struct {
    mailbus_check_verdict_t verdict;
    char *reason;     /* for people, without control characters; "" where none was given */
    int64_t until_ms; /* a "no" that ends by itself, ms since 1970; 0: it does not */
} mailbus_check_answer_t;

/* Append a request. EINVAL where the address is empty, too long, no UTF-8, or holds a control
 * character: nothing is appended then. ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t mailbus_check_write(const char *address, mailbus_buf_t *out,
                                                    mailbus_error_t *error);
/* Strict: EINVAL names the field that is missing, of the wrong type or too long; unknown fields are
 * ignored. ENOTFOUND: a check that is not known here (ret_check is filled all the same, and is to
 * be freed). ETOOBIG beyond MAILBUS_CHECK_MAX, ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t mailbus_check_read(const void *data, size_t size,
                                                   mailbus_check_t *ret_check,
                                                   mailbus_error_t *error);
void mailbus_check_free(mailbus_check_t *check); /* takes a zeroed one */

/* Append an answer; reason may be NULL, until_ms 0 (with YES it is left out). Whatever `reason`
 * holds, the answer is one that can be read: what is not UTF-8 becomes "?", a control character a
 * blank, and a text beyond MAILBUS_CHECK_REASON_MAX is cut between two characters. */
void mailbus_check_answer_write(mailbus_check_verdict_t verdict, const char *reason,
                                int64_t until_ms, mailbus_buf_t *out);
/* {"error":"…"}: the request can't be understood, or not answered. The asking side treats it as no
 * answer. `text` as a reason above; an empty one becomes "error". */
void mailbus_check_error_write(const char *text, mailbus_buf_t *out);
/* EINVAL: no answer that this protocol knows, or an "error" answer, with its text. ETOOBIG, ENOMEM.
 */
MAILBUS_MUST_USE mailbus_code_t mailbus_check_answer_read(const void *data, size_t size,
                                                          mailbus_check_answer_t *ret_answer,
                                                          mailbus_error_t *error);
void mailbus_check_answer_free(mailbus_check_answer_t *answer); /* takes a zeroed one */

#endif
