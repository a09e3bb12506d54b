/* Lists of mailboxes as they are built. Inside the library. */
#ifndef AGENTMAIL_ADDRESS_LIST_H
#define AGENTMAIL_ADDRESS_LIST_H

#include "agentmail/address.h"

/* Append a mailbox; the name is made one line. EINVAL without a text where the address holds
 * characters that must not reach a line. */
MAILBUS_MUST_USE mailbus_code_t agentmail_addresses_add(agentmail_addresses_t *list,
                                                        const mailbus_buf_t *name,
                                                        const mailbus_buf_t *address,
                                                        mailbus_error_t *error);
/* Take away all but the first `count`. */
void agentmail_addresses_cut(agentmail_addresses_t *list, size_t count);
/* atext of RFC 5322 §3.2.3, with RFC 6532's UTF-8. */
bool agentmail_is_atext(char c);
/* Append `text` as a quoted string. */
void agentmail_write_quoted(const char *text, size_t size, mailbus_buf_t *out);

#endif
