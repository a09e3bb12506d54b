/* What an entry is about: one mailbox, a domain, or the domains below one.
 *
 *   jane@example.com      that mailbox; case does not matter, tags (jane+x) are other mailboxes
 *   *@example.com         every mailbox of example.com, none of its subdomains
 *   *@*.example.com       every mailbox of every domain below example.com, not of example.com
 *
 * A mailbox that is really called * is written "*"@example.com. Events only ever name mailboxes. */
#ifndef SUPPRESSION_ENTRY_KEY_H
#define SUPPRESSION_ENTRY_KEY_H

#include <stddef.h>

#include "mailbus/buf.h"

#define KEYS_MAX 130 /* of one address: itself, its domain, and at most 127 labels above */

/* "a:jane@example.com", "d:example.com", "s:example.com": the table's key. */
char *key_of_mailbox(const char *address); /* checked and unquoted; NULL: no memory */
/* From a person or a file: any of the forms above. *ret_shown is how it is shown (agentmail's
 * spelling of the address). Both are to be freed. EINVAL with what is wrong. */
MAILBUS_MUST_USE mailbus_code_t key_parse(const char *text, char **ret_key, char **ret_shown,
                                          mailbus_error_t *error);
/* The keys of all entries that would suppress this mailbox, its own first; to be freed with
 * keys_free. ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t keys_covering(const char *address, char **ret_keys,
                                              size_t *ret_count, mailbus_error_t *error);
void keys_free(char **keys, size_t count);
/* How AgentMail's block list writes it: the address, or the bare domain; NULL where it has no such
 * thing (domains below one, a mailbox called *). `shown` as key_parse gives it; lent from it. */
const char *key_block_entry(const char *key, const char *shown);
/* As key_parse takes it back: a mailbox that looks like a domain's entry gets its quotes. Appended.
 */
void key_print(const char *key, const char *shown, mailbus_buf_t *out);

#endif
