/* The asking side of the check protocol: all who are configured in send.checks are asked, just
 * before a mail is sent. One "no" is no; no answer from one of them means not now, never yes. */
#ifndef CHECK_CLIENT_H
#define CHECK_CLIENT_H

#include "check/peers.h"
#include "mailbus/subscriber.h"

/* Rows for the subscriber's settings table. An entry of send.checks is an endpoint, with CURVE
 * NAME@endpoint: NAME is the answering program's certificate in clients/NAME.key. */
#define CHECK_CLIENT_SETTINGS                                                                      \
    {"send.checks",                                                                                \
     "text",                                                                                       \
     "",                                                                                           \
     "Whom to ask before a mail is sent, blank-separated: tcp://127.0.0.1:5558 (bounces), "        \
     "tcp://127.0.0.1:5559 (suppression); NAME@tcp://… with keys",                                 \
     false,                                                                                        \
     NULL},                                                                                        \
    {                                                                                              \
        "send.check_timeout", "duration", "2s", "No answer in this time: try again later", false,  \
            NULL                                                                                   \
    }

typedef enum { CHECK_ALLOWED, CHECK_REFUSED, CHECK_NOT_NOW } check_verdict_t;

typedef struct {
    check_verdict_t verdict;
    char reason[MAILBUS_CHECK_REASON_MAX + 256]; /* who said what; one line; ALLOWED: "" */
    int64_t until_ms;                            /* REFUSED: until then; 0: for good */
} check_result_t;

typedef struct check_client check_client_t;

/* EINVAL with the entry that is wrong. Without entries every question is ALLOWED. Counts as
 * mailbus_<name>_asked_total{answer="yes|no|none"}. */
MAILBUS_MUST_USE mailbus_code_t check_client_new(mailbus_runtime_t *runtime,
                                                 check_client_t **ret_self, mailbus_error_t *error);
void check_client_destroy(check_client_t **self_p); /* takes NULL */
/* Ask all of them at once; blocks for send.check_timeout at most. Any worker thread, several at a
 * time. */
void check_client_ask(check_client_t *self, const char *address, check_result_t *ret_result);
size_t check_client_count(const check_client_t *self);

/* The verdict of some replies: a pure function. A no is final whoever else is silent; everything
 * that is not a yes from all is NOT_NOW. */
void check_client_decide(const check_peers_t *peers, const check_reply_t *replies,
                         check_result_t *ret_result);

#endif
