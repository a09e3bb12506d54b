/* Connections and their deadlines. Each loop has a list of its own under its lock: the polling
 * thread adds, removes and moves phases, the reaper's thread looks through it. libmicrohttpd calls
 * CLOSED before it closes the descriptor, so one that is in the list may be shut down. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "clock.h"
#include "http_priv.h"

/* While stopping: a connection as young as this may have a request on the way that the polling
 * thread has not seen yet. */
#define YOUNG_MS 50

http_connection_t *http_connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* Bytes that ever came in on a socket. */
static uint64_t bytes_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

static http_connection_t *add(http_loop_t *loop, struct MHD_Connection *mhd, int64_t now_ms)
{
    http_connection_t *self = calloc(1, sizeof *self);
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (self == NULL || fd == NULL || address == NULL) {
        free(self);
        return NULL;
    }
    self->loop = loop;
    self->fd = fd->connect_fd;
    self->peer = proxy_from_socket(address->client_addr);
    self->view = (reaper_view_t){
        .phase = REAPER_IDLE, .phase_since_ms = now_ms, .request_since_ms = now_ms, .first = true};
    pthread_mutex_lock(&loop->lock);
    self->next = loop->connections;
    if (self->next != NULL) {
        self->next->previous = self;
    }
    loop->connections = self;
    loop->count++;
    pthread_mutex_unlock(&loop->lock);
    mb_metric_move(loop->http->metric_connections, 1);
    return self;
}

/* A connection that goes before the header of its request was whole: either libmicrohttpd refused
 * the header, or the peer gave up. */
static bool was_malformed(const http_connection_t *self)
{
    return self->view.phase == REAPER_HEADER ||
           (self->view.phase == REAPER_IDLE && self->view.first && bytes_received(self->fd) > 0);
}

static void remove_connection(http_connection_t *self)
{
    http_loop_t *loop = self->loop;
    http_t *http = loop->http;
    pthread_mutex_lock(&loop->lock);
    const bool malformed = was_malformed(self);
    if (self->previous != NULL) {
        self->previous->next = self->next;
    } else {
        loop->connections = self->next;
    }
    if (self->next != NULL) {
        self->next->previous = self->previous;
    }
    loop->count--;
    pthread_mutex_unlock(&loop->lock);
    if (malformed) {
        http_answers_count(http->answers, HTTP_MALFORMED);
    }
    mb_metric_move(http->metric_connections, -1);
    if (atomic_load(&http->stopping)) {
        pthread_mutex_lock(&http->wake_lock);
        pthread_cond_broadcast(&http->wake);
        pthread_mutex_unlock(&http->wake_lock);
    }
    free(self);
}

void http_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                        enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = add(cls, mhd, mb_clock_monotonic_ms());
    } else if (*socket_context != NULL) {
        remove_connection(*socket_context);
        *socket_context = NULL;
    }
}

/* Called when a request line is whole: the only sign of a request's beginning that there is. What
 * is returned becomes the request's context, which http_on_request makes itself. */
void *http_on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    (void)cls;
    (void)uri;
    http_connection_t *self = http_connection_of(mhd);
    if (self != NULL) {
        (void)http_connection_enter(self, REAPER_HEADER, NULL, mb_clock_monotonic_ms());
    }
    return NULL;
}

bool http_connection_enter(http_connection_t *self, reaper_phase_t phase, http_request_t *request,
                           int64_t now_ms)
{
    http_loop_t *loop = self->loop;
    pthread_mutex_lock(&loop->lock);
    reaper_view_t *view = &self->view;
    const bool alive = view->phase != REAPER_CUT && !(phase == REAPER_WAITING && loop->closed);
    if (alive) {
        loop->waiting += phase == REAPER_WAITING;
        loop->waiting -= view->phase == REAPER_WAITING;
        if (view->phase == REAPER_IDLE && !view->first) {
            view->request_since_ms = now_ms;
        }
        if (phase == REAPER_IDLE) {
            view->first = false;
            view->received = 0;
        }
        view->phase = phase;
        view->phase_since_ms = now_ms;
        self->request = request;
    }
    pthread_mutex_unlock(&loop->lock);
    return alive;
}

reaper_phase_t http_connection_phase(http_connection_t *self)
{
    pthread_mutex_lock(&self->loop->lock);
    const reaper_phase_t phase = self->view.phase;
    pthread_mutex_unlock(&self->loop->lock);
    return phase;
}

void http_connection_received(http_connection_t *self, size_t size)
{
    pthread_mutex_lock(&self->loop->lock);
    self->view.received += size;
    pthread_mutex_unlock(&self->loop->lock);
}

/* End it, under the loop's lock. The polling thread finds the end of the stream and cleans up. */
static void cut(http_connection_t *self)
{
    self->view.phase = REAPER_CUT;
    shutdown(self->fd, SHUT_RDWR);
}

/* 408 goes past libmicrohttpd, which takes answers only when it calls us, and it does not call
 * while the sender is silent. Nothing else writes to the socket before the body is complete but
 * "100 Continue", and after REAPER_CUT no answer is queued any more. Inside TLS only the end can be
 * shown. */
static void time_out(http_connection_t *self)
{
    http_t *http = self->loop->http;
    const bool began = self->view.phase != REAPER_IDLE || bytes_received(self->fd) > 0;
    if (began) {
        http_answers_count(http->answers, HTTP_TIMEOUT);
        if (http->tls == NULL) {
            size_t size;
            const char *text = http_answers_timeout(http->answers, &size);
            (void)!send(self->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
    cut(self);
}

/* Requests to resume outside of the lock, because libmicrohttpd takes locks of its own there. They
 * stay suspended, and so alive, until we do. */
static void give_up(http_connection_t *self, http_request_t **list)
{
    if (self->request != NULL && http_request_give_up(self->request)) {
        *http_request_link(self->request) = *list;
        *list = self->request;
    }
}

static void resume_all(http_request_t *list)
{
    while (list != NULL) {
        http_request_t *request = list;
        list = *http_request_link(request);
        http_request_resume(request);
    }
}

void http_loop_sweep(http_loop_t *self, int64_t now_ms)
{
    http_request_t *late = NULL;
    pthread_mutex_lock(&self->lock);
    for (http_connection_t *c = self->connections; c != NULL; c = c->next) {
        switch (reaper_judge(&c->view, &self->http->limits, now_ms)) {
        case REAPER_KEEP:
            break;
        case REAPER_CLOSE:
            cut(c);
            break;
        case REAPER_TIMEOUT:
            time_out(c);
            break;
        case REAPER_GIVE_UP:
            give_up(c, &late);
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
    resume_all(late);
}

static bool is_quiet(const http_connection_t *self, int64_t now_ms)
{
    int unread = 0;
    return self->view.phase == REAPER_IDLE && now_ms - self->view.phase_since_ms >= YOUNG_MS &&
           ioctl(self->fd, FIONREAD, &unread) == 0 && unread == 0;
}

size_t http_loop_drain(http_loop_t *self, bool all, int64_t now_ms)
{
    http_request_t *late = NULL;
    pthread_mutex_lock(&self->lock);
    self->closed |= all;
    for (http_connection_t *c = self->connections; c != NULL; c = c->next) {
        if (c->view.phase == REAPER_WAITING) {
            if (all) {
                give_up(c, &late);
            }
        } else if (c->view.phase != REAPER_CUT && c->view.phase != REAPER_ANSWERING &&
                   (all || is_quiet(c, now_ms))) {
            cut(c);
        }
    }
    const size_t count = self->count;
    pthread_mutex_unlock(&self->lock);
    resume_all(late);
    return count;
}

size_t http_loop_waiting(http_loop_t *self)
{
    pthread_mutex_lock(&self->lock);
    const size_t waiting = self->waiting;
    pthread_mutex_unlock(&self->lock);
    return waiting + atomic_load(&self->resumers);
}
