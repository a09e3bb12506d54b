/* The body of the API's reply and forward calls. */
#ifndef OUTGOING_REQUEST_H
#define OUTGOING_REQUEST_H

#include "outgoing/outgoing.h"

/* Append the JSON: to, text, html where there is one, and the headers that tell other programs what
 * this is (RFC 3834 §5 and what Exchange and old responders look at). The API sets From, Subject
 * ("Re: …", "Fwd: …"), In-Reply-To and References. `loop` marks what is passed on (X-Loop,
 * guards_loop_mark). The same mail always gives the same bytes. EINVAL where a text is not UTF-8.
 */
MAILBUS_MUST_USE mailbus_code_t request_render(const char *loop, const char *to,
                                               const outgoing_mail_t *mail, mailbus_buf_t *out,
                                               mailbus_error_t *error);

#endif
