/* Text from mails made fit for one line: a header, a log line, a terminal. */
#ifndef AGENTMAIL_TEXT_H
#define AGENTMAIL_TEXT_H

#include "mailbus/buf.h"

/* Append at most `max` bytes (0: all) of `text`, as one line: CR, LF, NUL, other control characters
 * (C0, DEL, C1), line separators and the marks that turn the writing direction become one blank
 * where they stand, blanks are collapsed and trimmed, what is not UTF-8 becomes U+FFFD, and a cut
 * never splits a character. */
void agentmail_text_line(const char *text, size_t size, size_t max, mailbus_buf_t *out);

/* Append at most `max` bytes (0: all) of `text` with its lines: CR LF and CR become LF, other
 * control characters but TAB, and the marks that turn the writing direction, are left out, what is
 * not UTF-8 becomes U+FFFD, white space at the end is trimmed. True where something of it did not
 * fit; a cut never splits a character. */
bool agentmail_text_block(const char *text, size_t size, size_t max, mailbus_buf_t *out);

/* The first character of `text` (size > 0), for who goes through it: how many bytes it takes, and
 * its number in *ret_code. What is not UTF-8 is one byte and U+FFFD. */
size_t agentmail_text_next(const char *text, size_t size, uint32_t *ret_code);

/* ASCII only, and the same in every locale. */
char agentmail_text_lower(char c);
bool agentmail_text_equal(const char *a, const char *b);            /* ignores case */
bool agentmail_text_contains(const char *text, const char *needle); /* ignores case */
bool agentmail_text_starts(const char *text, const char *prefix);   /* ignores case */

#endif
