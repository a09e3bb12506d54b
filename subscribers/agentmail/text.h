/* Text from mails made fit for one line: a header, a log line, a terminal. */
#ifndef AGENTMAIL_TEXT_H
#define AGENTMAIL_TEXT_H

#include "mailbus/buf.h"

/* Append at most `max` bytes (0: all) of `text`, as one line: CR, LF, NUL, other control characters
 * (C0, DEL, C1), line separators and the marks that turn the writing direction become one blank
 * where they stand, blanks are collapsed and trimmed, what is not UTF-8 becomes U+FFFD, and a cut
 * never splits a character. */
void agentmail_text_line(const char *text, size_t size, size_t max, mailbus_buf_t *out);

/* ASCII only, and the same in every locale. */
char agentmail_text_lower(char c);
bool agentmail_text_equal(const char *a, const char *b);            /* ignores case */
bool agentmail_text_contains(const char *text, const char *needle); /* ignores case */
bool agentmail_text_starts(const char *text, const char *prefix);   /* ignores case */

#endif
