#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailbus/buf.h"

int http_connect(const char *address)
{
    const char *colon = strrchr(address, ':');
    assert_non_null(colon);
    struct sockaddr_in peer = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10))};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof peer), 0);
    return fd;
}

void http_send(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t put = send(fd, at, size, MSG_NOSIGNAL);
        if (put <= 0) {
            return; /* the other side has hung up: what it said tells why */
        }
        at += put;
        size -= (size_t)put;
    }
}

char *http_read_all(int fd)
{
    mailbus_buf_t answer = MAILBUS_BUF_INIT;
    char piece[4096];
    ssize_t got;
    mailbus_buf_text(&answer, "");
    while ((got = recv(fd, piece, sizeof piece, 0)) > 0) {
        mailbus_buf_append(&answer, piece, (size_t)got);
    }
    char *text = mailbus_buf_take(&answer, NULL);
    assert_non_null(text);
    return text;
}

char *http_ask(const char *address, const char *request)
{
    int fd = http_connect(address);
    http_send(fd, request, strlen(request));
    char *answer = http_read_all(fd);
    close(fd);
    return answer;
}

int http_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}
