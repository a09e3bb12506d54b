/* When a mail is never answered or passed on: a table of small pure functions, one per rule.
 *
 * Sources are named in the table: RFC 3834 (automatic responses), RFC 5230 (vacation), RFC 2919 and
 * 2369 (lists), RFC 6522 (reports), and what mail systems do beyond them. README.md lists every row
 * with its test. */
#ifndef OUTGOING_GUARDS_H
#define OUTGOING_GUARDS_H

#include "outgoing/outgoing.h"

#define GUARDS_HOPS_MAX 5 /* programs that passed a mail on, before it is taken for a loop */

/* What the guards look at. */
typedef struct {
    outgoing_kind_t kind;
    const agentmail_message_t *message;
    const agentmail_headers_t *headers; /* the event's or the raw message's; NULL: not known yet */
    const char *to; /* whom the mail would go to: guards_recipient, or the fixed address; NULL:
                     * nobody */
    const own_t *own;
    bool from_is_inbox; /* a sender is an inbox of ours that mail came through before */
    bool to_is_inbox;   /* `to` is */
    bool answers_ours;  /* In-Reply-To or References names a mail of ours */
    int64_t age_ms;     /* since the gateway took it */
    int64_t max_age_ms;
} guards_mail_t;

/* The first guard that says no, by name ("list", "auto-submitted", …), or NULL. `ret_detail` (may
 * be NULL) gets what it saw: a header's value, an address; lent by the mail, hostile, may be NULL.
 */
const char *guards_of_message(const guards_mail_t *mail, const char **ret_detail);
/* The same for the rules that look at the mail's header, which must be known. */
const char *guards_of_headers(const guards_mail_t *mail, const char **ret_detail);

/* Whom an answer goes to: the first Reply-To address, else the first sender; NULL where there is
 * none. Only one: fifty Reply-To addresses are no reason for fifty mails. */
const agentmail_address_t *guards_recipient(const agentmail_message_t *message);

/* Append the X-Loop of a mail that is passed on: the inbox, and who passed it on before. */
void guards_loop_mark(const char *inbox, const agentmail_headers_t *headers, mailbus_buf_t *out);

#endif
