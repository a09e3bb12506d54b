/* Which kind of bounce it is: from the service's type and sub-type and the receiving server's
 * enhanced status code (RFC 3463). Pure. README.md has the rules with their sources. */
#ifndef BOUNCES_CLASSIFY_H
#define BOUNCES_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "fact.h"
#include "mailbus/error.h"

#define CLASSIFY_CODES_MAX 64 /* codes of one list; RFC 3463 and its registry have about 70 */

/* class.subject.detail; -1 where a pattern has *. */
typedef struct {
    int part[3];
} classify_code_t;

typedef struct {
    classify_code_t items[CLASSIFY_CODES_MAX];
    size_t count;
} classify_codes_t;

/* Texts are lent. */
typedef struct {
    classify_codes_t dead;   /* the address does not exist, or not any more */
    classify_codes_t soft;   /* it does, and can't take mail now */
    classify_codes_t sender; /* the receiving server does not want it from us */
    const char *known;       /* sub-types, blank-separated */
    const char *notices;     /* types and sub-types, blank-separated */
} classify_rules_t;

#define CLASSIFY_DEAD   "5.1.1 5.1.2 5.1.10 5.2.1 5.4.4"
#define CLASSIFY_SOFT   "4.* 5.2.2"
#define CLASSIFY_SENDER "5.7.*"
#define CLASSIFY_KNOWN  "Suppressed OnAccountSuppressionList"
#define CLASSIFY_NOTICES                                                                           \
    "AutoReply AutoReplied AutoResponder AutoResponse OutOfOffice Vacation Delay Delayed "         \
    "DeliveryDelay"

/* Codes and patterns, blank-separated: "5.1.1", "5.7.*", "4.*". EINVAL with the one that is wrong.
 */
MAILBUS_MUST_USE mailbus_code_t classify_codes_parse(const char *text, classify_codes_t *ret_codes,
                                                     mailbus_error_t *error);
/* The first enhanced status code in a text ("5.1.1", "smtp; 550 5.1.1 no such user"); false where
 * it has none ("bounced"). */
bool classify_status(const char *text, classify_code_t *ret_code);

/* One of FACT_NOTICE … FACT_HARD. Each text may be NULL. */
fact_kind_t classify_bounce(const classify_rules_t *rules, const char *type, const char *sub_type,
                            const char *status);

#endif
