/* What an event says, as facts about addresses. */
#ifndef SUPPRESSION_REPORTS_H
#define SUPPRESSION_REPORTS_H

#include <stddef.h>

#include "agentmail/address.h"
#include "agentmail/outcome.h"
#include "mailbus/event.h"
#include "suppress.h"

#define REPORTS_NAMED_MAX                                                                          \
    50 /* addresses in one reject's reason: the service sends to 50 at once                        \
        */

typedef struct {
    fact_t *facts; /* one for each mailbox that the event is about */
    char **keys;   /* theirs */
    size_t count;
    /* What the facts' strings lie in. */
    agentmail_outcome_t *outcome;
    agentmail_addresses_t named;
    char *texts, *statuses;
} reports_t;

/* Read an event: complaints and bounces of all their recipients, rejects that name a suppressed
 * address. None: *ret_reports has no facts, and why is in *ret_why ("", lent: it has some). EINVAL
 * where it is not what its topic says: such an event is set aside. */
MAILBUS_MUST_USE mailbus_code_t reports_read(const mailbus_event_t *event, reports_t *ret_reports,
                                             const char **ret_why, mailbus_error_t *error);
void reports_free(reports_t *reports); /* takes a zeroed one */

/* When it happened: what the event says, never later than the gateway took it, so that a clock that
 * goes wrong somewhere can't date an event into the future. */
int64_t reports_time(const mailbus_event_t *event);
/* Append the addresses that a reject's reason names as suppressed: those in its text, where it
 * speaks of suppression; at most REPORTS_NAMED_MAX. ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t reports_named(const char *reason, agentmail_addresses_t *list,
                                              mailbus_error_t *error);
/* True where a reject's reason speaks of suppression at all. */
bool reports_speak_of_suppression(const char *reason);

#endif
