/* One event as the ledger takes it: who, what, when. Hostile text is made one line here. */
#ifndef BOUNCES_REPORT_H
#define BOUNCES_REPORT_H

#include "agentmail/outcome.h"
#include "classify.h"
#include "mailbus/event.h"

/* Bytes that are kept of what strangers wrote. */
#define REPORT_WORD_MAX   64  /* type, sub_type: names of the service */
#define REPORT_STATUS_MAX 200 /* a status code, perhaps with a server's words */
#define REPORT_REASON_MAX 300
#define REPORT_INBOX_MAX  320 /* an address: 64 + @ + 255 */

typedef struct {
    char *key;    /* agentmail_address_key: what the tables go by */
    char *shown;  /* as it came */
    char *status; /* NULL: not said */
    fact_kind_t kind;
} report_entry_t;

/* Strings are the report's own; NULL where they are not known. */
typedef struct {
    char *event_id;
    char *inbox; /* as a key; "" where the event names none */
    char *message_id, *type, *sub_type, *reason;
    int64_t time_ms; /* when it happened, never later than when the journal took it; at least 1 */
    agentmail_outcome_kind_t what;
    report_entry_t *entries; /* each address once */
    size_t count;
} report_t;

/* EINVAL, ETOOBIG: the event will never be understood. */
MAILBUS_MUST_USE mailbus_code_t report_read(const mailbus_event_t *event,
                                            const classify_rules_t *rules, report_t **ret_report,
                                            mailbus_error_t *error);
void report_free(report_t **report_p);

#endif
