/* The bytes of a file that the event itself carries, as the guide's events do. */
#ifndef EXTRACT_CONTENT_H
#define EXTRACT_CONTENT_H

#include "mailbus/buf.h"

/* Append the bytes of a `content` in standard base64 (RFC 4648 §4, padded, nothing else between the
 * letters). ETOOBIG where they are more than `limit`, told before anything is decoded; EINVAL where
 * it is no base64; ENOMEM. After a failure `out` is as it was. */
MAILBUS_MUST_USE mailbus_code_t content_decode(const char *base64, size_t limit, mailbus_buf_t *out,
                                               mailbus_error_t *error);

#endif
