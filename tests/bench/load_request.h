/* One signed webhook as bytes to send: an event of a given size with an id of its own. */
#ifndef LOAD_REQUEST_H
#define LOAD_REQUEST_H

#include "webhook_signature.h"

#define LOAD_ID_SIZE 64

typedef struct {
    const char *host; /* of the Host header */
    const char *path;
    const char *topic;
    const char *id; /* event id; the delivery's id is made of it */
    size_t size;    /* of the body, in bytes; at least what the envelope takes */
    long timestamp; /* unix seconds */
} load_request_t;

/* Replace `out` with the request; `digest` gets the SHA-256 of its body. */
MAILBUS_MUST_USE mailbus_code_t load_request_write(const load_request_t *request,
                                                   const mb_webhook_key_t *key, mailbus_buf_t *body,
                                                   mailbus_buf_t *out,
                                                   uint8_t digest[MB_SHA256_SIZE]);

#endif
