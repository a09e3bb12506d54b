/* The body of the API's reply call for one mail. */
#ifndef AUTOREPLY_REQUEST_H
#define AUTOREPLY_REQUEST_H

#include "agentmail/message.h"
#include "rules/rules.h"

/* Append the JSON: to, text, html where the rule has one, and the headers that tell other programs
 * what this is (RFC 3834 §5 and what Exchange and old responders look at). The mail must have a
 * recipient (guards_recipient). The same mail and rule always give the same bytes. */
MAILBUS_MUST_USE mailbus_code_t request_render(const agentmail_message_t *message,
                                               const rule_t *rule, mailbus_buf_t *out,
                                               mailbus_error_t *error);

#endif
