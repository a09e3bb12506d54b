#include "peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS_MAX = 8, REQUEST_SIZE = 65536, POLL_MS = 20 };

struct peer {
    int listener;
    char address[32];
    pthread_t thread;
    pthread_mutex_t lock; /* guards requests, count, stopping */
    bool stopping;
    size_t count;
    char *requests[REQUESTS_MAX];
    const peer_answer_t *answers;
};

static bool is_stopping(peer_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool stopping = self->stopping;
    pthread_mutex_unlock(&self->lock);
    return stopping;
}

/* True when something can be read; false when the test is over. */
static bool wait_for(peer_t *self, int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    while (!is_stopping(self)) {
        if (poll(&item, 1, POLL_MS) > 0) {
            return true;
        }
    }
    return false;
}

static bool is_whole(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    return body != NULL &&
           (length == NULL || length > body ||
            strlen(body + 4) >= (size_t)strtoul(length + strlen("Content-Length: "), NULL, 10));
}

static void read_request(peer_t *self, int fd)
{
    char *text = calloc(1, REQUEST_SIZE);
    assert(text != NULL);
    size_t size = 0;
    while (!is_whole(text) && wait_for(self, fd)) {
        ssize_t more = recv(fd, text + size, REQUEST_SIZE - 1 - size, 0);
        if (more <= 0) {
            break;
        }
        size += (size_t)more;
    }
    pthread_mutex_lock(&self->lock);
    assert(self->count < REQUESTS_MAX);
    self->requests[self->count++] = text;
    pthread_mutex_unlock(&self->lock);
}

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void send_text(const peer_t *self, int fd, const char *text)
{
    const char *hole = strstr(text, "%s");
    if (hole == NULL) {
        send_all(fd, text, strlen(text));
        return;
    }
    send_all(fd, text, (size_t)(hole - text));
    send_all(fd, self->address, strlen(self->address));
    send_all(fd, hole + 2, strlen(hole + 2));
}

static void finish(peer_t *self, int fd, peer_end_t end)
{
    static const char filler[4096] = {0};
    char byte = 0;
    switch (end) {
    case PEER_CLOSE:
        shutdown(fd, SHUT_WR);
        break;
    case PEER_RESET:
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
        break;
    case PEER_HANG:
        while (wait_for(self, fd) && recv(fd, &byte, 1, 0) > 0) {
        }
        break;
    case PEER_TRICKLE:
        while (!is_stopping(self) && send_all(fd, "x", 1)) {
            poll(NULL, 0, POLL_MS);
        }
        break;
    case PEER_ENDLESS:
        while (!is_stopping(self) && send_all(fd, filler, sizeof filler)) {
        }
        break;
    case PEER_ENDLESS_HEAD:
        while (!is_stopping(self) && send_all(fd, "X-More: of it\r\n", 15)) {
        }
        break;
    }
    close(fd);
}

static void *serve(void *arg)
{
    peer_t *self = arg;
    for (const peer_answer_t *answer = self->answers; answer->text != NULL; answer++) {
        if (!wait_for(self, self->listener)) {
            break;
        }
        int fd = accept(self->listener, NULL, NULL);
        assert(fd >= 0);
        read_request(self, fd);
        send_text(self, fd, answer->text);
        finish(self, fd, answer->end);
    }
    close(self->listener);
    return NULL;
}

peer_t *peer_new(const peer_answer_t *answers)
{
    peer_t *self = calloc(1, sizeof *self);
    assert(self != NULL);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    self->answers = answers;
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(self->listener, (struct sockaddr *)&in, sizeof in);
    failed |= listen(self->listener, 8);
    failed |= getsockname(self->listener, (struct sockaddr *)&in, &size);
    assert(!failed);
    snprintf(self->address, sizeof self->address, "127.0.0.1:%u", ntohs(in.sin_port));
    pthread_mutex_init(&self->lock, NULL);
    failed = pthread_create(&self->thread, NULL, serve, self);
    assert(!failed);
    return self;
}

void peer_destroy(peer_t **self_p)
{
    peer_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    for (size_t i = 0; i < self->count; i++) {
        free(self->requests[i]);
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

const char *peer_address(const peer_t *self)
{
    return self->address;
}

const char *peer_request(peer_t *self, size_t n)
{
    pthread_mutex_lock(&self->lock);
    const char *request = n < self->count ? self->requests[n] : "";
    pthread_mutex_unlock(&self->lock);
    return request;
}

size_t peer_count(peer_t *self)
{
    pthread_mutex_lock(&self->lock);
    size_t count = self->count;
    pthread_mutex_unlock(&self->lock);
    return count;
}
