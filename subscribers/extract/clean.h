/* What an engine printed, made text: the engine may have been taken over, so nothing it says is
 * believed. */
#ifndef EXTRACT_CLEAN_H
#define EXTRACT_CLEAN_H

#include <stdbool.h>
#include <stddef.h>

#include "mailbus/buf.h"

/* Append `data` to `out` as valid UTF-8 in NFC, at most `max` bytes of it, cut between characters
 * (*ret_cut: whether it was).
 *
 * Line ends of every kind, form feeds and vertical tabs become LF; other control characters and
 * byte order marks go, bytes that are no UTF-8 become U+FFFD; more than two empty lines become two,
 * blanks at the ends of lines and of the whole go. More than 30 combining marks on one character
 * (no language has them; Unicode's stream-safe text, UAX #15 §13) are dropped from there on, which
 * bounds the time of composing. Time is linear in `size`. ENOMEM. */
MAILBUS_MUST_USE mailbus_code_t clean_text(const char *data, size_t size, size_t max,
                                           mailbus_buf_t *out, bool *ret_cut,
                                           mailbus_error_t *error);

/* The first line of `data` that has something in it, for people: at most `size` - 1 bytes. */
void clean_line(const char *data, size_t data_size, char *text, size_t size);

#endif
