/* HTTP by hand: what is sent and what comes back, byte for byte. */
#ifndef TEST_HTTP_CLIENT_H
#define TEST_HTTP_CLIENT_H

#include <stddef.h>

/* Connect to "127.0.0.1:port". */
int http_connect(const char *address);
void http_send(int fd, const void *data, size_t size);
/* What the other side says until it closes, NUL-terminated, freed by the caller. */
char *http_read_all(int fd);
/* Send `request` on a new connection and read until the other side closes. */
char *http_ask(const char *address, const char *request);
/* The status in an answer, 0 where there is none. */
int http_status(const char *answer);

#endif
