/* Mail addresses as AgentMail writes them, and as mail headers do.
 *
 * A field of an event holds "a@b", "Name <a@b>", a list of these, or {name, email} objects; a raw
 * header holds RFC 5322 §3.4 with quotes, comments and groups. All come out as one list of
 * mailboxes. Whatever is in a list is safe to print: no control character, a valid addr-spec within
 * the limits of RFC 5321 §4.5.3.1. */
#ifndef AGENTMAIL_ADDRESS_H
#define AGENTMAIL_ADDRESS_H

#include <cjson/cJSON.h>

#include "mailbus/buf.h"

#define AGENTMAIL_LOCAL_MAX   64  /* bytes before the @, RFC 5321 §4.5.3.1.1 */
#define AGENTMAIL_DOMAIN_MAX  255 /* bytes behind it, RFC 5321 §4.5.3.1.2 */
#define AGENTMAIL_ADDRESS_MAX 254 /* bytes of the whole: a path is 256 with its <>, §4.5.3.1.3 */
#define AGENTMAIL_NAME_MAX    998 /* bytes of a display name: one line of RFC 5322 §2.1.1 */
#define AGENTMAIL_ADDRESSES_MAX                                                                    \
    1000 /* mailboxes of one list; a longer one is an attack or a list */
#define AGENTMAIL_ADDRESS_TEXT 65536 /* bytes of one header value that we are willing to parse */

/* One mailbox. Both strings belong to the list. */
typedef struct {
    char *name;    /* display name, unquoted, white space collapsed; "" where there is none */
    char *address; /* local@domain as it came; quotes around the local part only where needed */
} agentmail_address_t;

typedef struct {
    agentmail_address_t *items;
    size_t count;
} agentmail_addresses_t;

#define AGENTMAIL_ADDRESSES_INIT                                                                   \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* Append the mailboxes of an address list (RFC 5322 §3.4 without the obsolete routes; groups are
 * flattened, "undisclosed-recipients:;" gives none; RFC 6532 UTF-8 is taken). Text that is not in
 * the grammar but ends in one <a@b> is taken as that mailbox, because senders write
 * `Doe, Jane <jane@example.com>`. An empty text appends nothing. EINVAL with what is wrong for
 * anything else and for control characters, ETOOBIG beyond the limits; the list is then as it was.
 */
MAILBUS_MUST_USE mailbus_code_t agentmail_address_parse(const char *text, size_t size,
                                                        agentmail_addresses_t *list,
                                                        mailbus_error_t *error);
/* Append the mailboxes of a JSON value: string, {name, email} (also {name, address}), or an array
 * of them. NULL, null and empty ones append nothing. A broken entry of an array is left out and
 * makes the result EINVAL (the first one's text), with the good ones kept: one bad Cc does not make
 * a mail unreadable, and the caller decides whether it matters. */
MAILBUS_MUST_USE mailbus_code_t agentmail_address_read(const cJSON *item,
                                                       agentmail_addresses_t *list,
                                                       mailbus_error_t *error);
void agentmail_addresses_free(agentmail_addresses_t *list); /* as AGENTMAIL_ADDRESSES_INIT */

/* True where both name one mailbox: the whole is compared without regard to ASCII case. RFC 5321
 * §2.4 lets local parts differ by case, no provider does, and a loop is worse than a mix-up. Tags
 * (a+x@b) stay different. */
bool agentmail_address_equal(const char *a, const char *b);
bool agentmail_addresses_have(const agentmail_addresses_t *list, const char *address);
/* Append the address with its ASCII letters lower-cased: what agentmail_address_equal compares, as
 * a key for tables. */
void agentmail_address_fold(const char *address, mailbus_buf_t *out);
/* As agentmail_address_fold, for tables that others write to as well: an international domain is in
 * its ASCII form (RFC 5891), so that jane@müller.example and jane@xn--mller-kva.example have one
 * key. agentmail_domain_key: the same for a domain alone. */
void agentmail_address_key(const char *address, mailbus_buf_t *out);
void agentmail_domain_key(const char *domain, mailbus_buf_t *out);
/* Append a mailbox as RFC 5322 wants it in a header: the name quoted where it has to be, quotes and
 * backslashes escaped, nothing that breaks a line. */
void agentmail_address_print(const agentmail_address_t *mailbox, mailbus_buf_t *out);

#endif
