/* Decoding what stands in mails: transfer encodings, character sets, encoded words, parameters. All
 * input is hostile; nothing here fails, what is broken comes out as well as it can. */
#ifndef SIM_MIME_H
#define SIM_MIME_H

#include <stddef.h>

#include "mailbus/buf.h"

/* Base64 (RFC 2045 §6.8: what is not of the alphabet is passed over) and quoted-printable (§6.7;
 * `word`: RFC 2047's form, where _ is a blank). */
void mime_base64(const char *data, size_t size, mailbus_buf_t *out);
void mime_quoted_printable(const char *data, size_t size, bool word, mailbus_buf_t *out);
/* To UTF-8, from a set that iconv knows; else as ISO 8859-1. Never a NUL in the result. */
void mime_to_utf8(const char *charset, const char *data, size_t size, mailbus_buf_t *out);
/* The value of a header with its encoded words decoded (RFC 2047), as one line of UTF-8 without
 * control characters. The caller frees. */
char *mime_header_text(const char *value, size_t size);
/* A parameter of a header's value (RFC 2045 §5.1; RFC 2231's name*=charset''… too), NULL: none. The
 * caller frees. */
char *mime_parameter(const char *value, const char *name);

#endif
