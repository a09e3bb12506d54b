/* The header of a mail: names and values, from an event's `headers` or from a raw message. */
#ifndef AGENTMAIL_HEADERS_H
#define AGENTMAIL_HEADERS_H

#include <cjson/cJSON.h>

#include "mailbus/buf.h"

#define AGENTMAIL_HEADERS_MAX 2000 /* fields of one mail; more is an attack */
#define AGENTMAIL_HEADERS_BYTES                                                                    \
    ((size_t)256 * 1024) /* of a raw header block that we are willing to read */

typedef struct {
    char *name;
    char *value; /* unfolded, one line: no control character (agentmail_text_line) */
} agentmail_header_t;

typedef struct {
    agentmail_header_t *items;
    size_t count;
} agentmail_headers_t;

#define AGENTMAIL_HEADERS_INIT                                                                     \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* Read {name: value} with values that are strings or arrays of them, or [{name, value}]. Values of
 * other types count as present and empty. EINVAL where `item` is neither object nor array, ETOOBIG
 * beyond AGENTMAIL_HEADERS_MAX. */
MAILBUS_MUST_USE mailbus_code_t agentmail_headers_read(const cJSON *item,
                                                       agentmail_headers_t *headers,
                                                       mailbus_error_t *error);
/* Parse the header block at the beginning of a raw message (RFC 5322 §2.2): up to the first empty
 * line, CRLF or bare LF, folded lines joined. An mbox "From " line is skipped. EINVAL where the
 * block has no end within `size` bytes or a line is not a field: half a header is not judged. */
MAILBUS_MUST_USE mailbus_code_t agentmail_headers_parse(const char *data, size_t size,
                                                        agentmail_headers_t *headers,
                                                        mailbus_error_t *error);
void agentmail_headers_free(agentmail_headers_t *headers);

/* The next field of that name (any case) at or behind *at, or NULL; *at is moved behind it. */
const char *agentmail_headers_next(const agentmail_headers_t *headers, const char *name,
                                   size_t *at);
/* The first field of that name, or NULL. */
const char *agentmail_headers_get(const agentmail_headers_t *headers, const char *name);

#endif
