/* mailbus-load: signed webhooks over keep-alive connections, closed loop, as the sender would: an
 * event that got no 2xx is sent again with the same id. One thread, epoll. What was acknowledged is
 * written to a file, one line an event: id, SHA-256 of the body, sequence. The checker of the
 * campaigns reads that. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "load_request.h"

enum {
    MAX_CONNECTIONS = 1000,
    MAX_TOPICS = 16,
    ANSWER_SIZE = 2048,    /* an answer is a status line, some headers and a small JSON object */
    PAUSE_MS = 5,          /* before the next try after a failure */
    QUIET_LIMIT_MS = 60000 /* without a single answer: give up */
};

typedef struct {
    int fd; /* -1: not connected; `again_ms` says when to try */
    int64_t again_ms;
    bool busy;         /* an event is assigned */
    bool is_duplicate; /* it was acknowledged before and goes out once more */
    char id[LOAD_ID_SIZE];
    uint8_t digest[MB_SHA256_SIZE];
    mailbus_buf_t request;
    size_t sent;
    char answer[ANSWER_SIZE];
    size_t received;
} connection_t;

typedef struct {
    struct sockaddr_in address;
    const char *host;
    const char *path;
    const char *prefix; /* of the ids */
    const char *topics[MAX_TOPICS];
    size_t topic_count;
    size_t size;
    long count;
    int duplicates; /* percent of the acknowledged that are sent once more */
    bool give_up;   /* a connection that fails is not tried again: the gateway is expected to go */
    mb_webhook_key_t key;
    FILE *record;
    int epoll;
    connection_t *connections;
    int connection_count;
    mailbus_buf_t body;
    long started, acknowledged, duplicated, retried, refused;
    int64_t last_answer_ms;
} load_t;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool build(load_t *self, connection_t *connection, long number)
{
    const load_request_t request = {.host = self->host,
                                    .path = self->path,
                                    .topic = self->topics[(size_t)number % self->topic_count],
                                    .id = connection->id,
                                    .size = self->size,
                                    .timestamp = (long)time(NULL)};
    return load_request_write(&request, &self->key, &self->body, &connection->request,
                              connection->digest) == MAILBUS_OK;
}

/* Give the connection its next event; false where there is none left. */
static bool assign(load_t *self, connection_t *connection)
{
    if (connection->busy) {
        return true;
    }
    if (self->started >= self->count || interrupted) {
        return false;
    }
    snprintf(connection->id, sizeof connection->id, "%s%ld", self->prefix, self->started);
    connection->is_duplicate = false;
    connection->busy = build(self, connection, self->started++);
    return connection->busy;
}

static void watch(load_t *self, connection_t *connection, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(self->epoll, operation, connection->fd, &event);
}

static void drop(load_t *self, connection_t *connection, int64_t now_ms)
{
    if (connection->fd >= 0) {
        close(connection->fd);
        connection->fd = -1;
    }
    connection->sent = 0;
    connection->received = 0;
    connection->again_ms = now_ms + PAUSE_MS;
    self->retried += connection->busy;
}

static void connect_again(load_t *self, connection_t *connection, int64_t now_ms)
{
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->fd, (struct sockaddr *)&self->address, sizeof self->address) != 0 &&
        errno != EINPROGRESS) {
        drop(self, connection, now_ms);
        return;
    }
    connection->sent = 0;
    connection->received = 0;
    watch(self, connection, EPOLLOUT, EPOLL_CTL_ADD);
}

/* The length of a complete answer at the start of `answer`, 0 where it isn't complete, with its
 * status. */
static size_t parse(const connection_t *connection, int *ret_status)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    if (end == NULL || length == NULL || length > end ||
        sscanf(connection->answer, "HTTP/1.1 %d", ret_status) != 1) {
        return 0;
    }
    size_t total = (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
    return connection->received >= total ? total : 0;
}

static void acknowledge(load_t *self, connection_t *connection)
{
    if (connection->is_duplicate) {
        self->duplicated++;
        connection->busy = false;
        return;
    }
    self->acknowledged++;
    if (self->record != NULL) {
        char digest[2 * MB_SHA256_SIZE + 1];
        for (size_t i = 0; i < MB_SHA256_SIZE; i++) {
            snprintf(digest + 2 * i, 3, "%02x", connection->digest[i]);
        }
        const char *sequence = strstr(connection->answer, "\"sequence\":\"");
        fprintf(self->record, "%s %s %llu\n", connection->id, digest,
                sequence == NULL ? 0 : strtoull(sequence + 12, NULL, 10));
    }
    connection->is_duplicate = rand() % 100 < self->duplicates;
    connection->busy = connection->is_duplicate;
}

/* Write what is left of the request, read the answer, go on with the next. */
static void serve(load_t *self, connection_t *connection, int64_t now_ms)
{
    if (connection->sent < connection->request.size) {
        ssize_t n = send(connection->fd, connection->request.data + connection->sent,
                         connection->request.size - connection->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) {
                drop(self, connection, now_ms);
            }
            return;
        }
        connection->sent += (size_t)n;
        if (connection->sent == connection->request.size) {
            watch(self, connection, EPOLLIN, EPOLL_CTL_MOD);
        }
        return;
    }
    ssize_t n = recv(connection->fd, connection->answer + connection->received,
                     sizeof connection->answer - 1 - connection->received, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            drop(self, connection, now_ms);
        }
        return;
    }
    connection->received += (size_t)n;
    connection->answer[connection->received] = '\0';
    int status = 0;
    if (parse(connection, &status) == 0) {
        return;
    }
    self->last_answer_ms = now_ms;
    bool closes = strcasestr(connection->answer, "\r\nconnection: close") != NULL;
    if (status == 200) {
        acknowledge(self, connection);
    } else {
        self->refused++;
        closes = true; /* and the same event again after the pause */
    }
    if (closes) {
        drop(self, connection, now_ms);
    } else if (assign(self, connection)) {
        connection->sent = 0;
        connection->received = 0;
        watch(self, connection, EPOLLOUT, EPOLL_CTL_MOD);
    }
}

static bool work_left(load_t *self, int64_t now_ms)
{
    bool left = false;
    for (int i = 0; i < self->connection_count; i++) {
        connection_t *connection = &self->connections[i];
        if (!assign(self, connection)) {
            continue;
        }
        if (interrupted || (self->give_up && connection->fd < 0 && connection->again_ms > 0)) {
            continue;
        }
        left = true;
        if (connection->fd < 0 && connection->again_ms <= now_ms) {
            connect_again(self, connection, now_ms);
        }
    }
    return left && now_ms - self->last_answer_ms < QUIET_LIMIT_MS;
}

static void run(load_t *self)
{
    self->last_answer_ms = mb_clock_monotonic_ms();
    while (work_left(self, mb_clock_monotonic_ms())) {
        struct epoll_event events[128];
        int n = epoll_wait(self->epoll, events, 128, PAUSE_MS);
        int64_t now_ms = mb_clock_monotonic_ms();
        for (int i = 0; i < n; i++) {
            serve(self, events[i].data.ptr, now_ms);
        }
    }
}

static void usage(FILE *out)
{
    fputs("usage: mailbus-load --address HOST:PORT --secret whsec_… [options]\n"
          "  --count N          events to send (1000)\n"
          "  --connections N    at once (16)\n"
          "  --size BYTES       of a body (1800)\n"
          "  --topics A,B,…     in turn (message.received)\n"
          "  --prefix TEXT      of the event ids (random)\n"
          "  --duplicates PCT   of the acknowledged events that are sent once more (0)\n"
          "  --path PATH        (/webhook)\n"
          "  --record FILE      a line for each acknowledged event: id, SHA-256, sequence\n"
          "  --give-up          a connection that ends is not opened again\n",
          out);
}

static bool parse_topics(load_t *self, char *list)
{
    char *rest = NULL;
    for (char *topic = strtok_r(list, ",", &rest); topic != NULL;
         topic = strtok_r(NULL, ",", &rest)) {
        if (self->topic_count == MAX_TOPICS) {
            return false;
        }
        self->topics[self->topic_count++] = topic;
    }
    return self->topic_count > 0;
}

static bool parse_address(load_t *self, const char *text)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    self->host = text;
    self->address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    return inet_pton(AF_INET, host, &self->address.sin_addr) == 1;
}

static bool parse_options(load_t *self, int argc, char **argv)
{
    static const struct option options[] = {{"address", required_argument, NULL, 'a'},
                                            {"secret", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"size", required_argument, NULL, 'z'},
                                            {"topics", required_argument, NULL, 't'},
                                            {"prefix", required_argument, NULL, 'p'},
                                            {"duplicates", required_argument, NULL, 'd'},
                                            {"path", required_argument, NULL, 'u'},
                                            {"record", required_argument, NULL, 'r'},
                                            {"give-up", no_argument, NULL, 'g'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    int option;
    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        mailbus_error_t error;
        switch (option) {
        case 'a':
            good = parse_address(self, optarg);
            break;
        case 's':
            good = mb_webhook_key_parse(optarg, &self->key, &error) == MAILBUS_OK;
            break;
        case 'n':
            self->count = strtol(optarg, NULL, 10);
            break;
        case 'c':
            self->connection_count = (int)strtol(optarg, NULL, 10);
            break;
        case 'z':
            self->size = strtoul(optarg, NULL, 10);
            break;
        case 't':
            good = parse_topics(self, optarg);
            break;
        case 'p':
            self->prefix = optarg;
            break;
        case 'd':
            self->duplicates = (int)strtol(optarg, NULL, 10);
            break;
        case 'u':
            self->path = optarg;
            break;
        case 'r':
            self->record = fopen(optarg, "we");
            good = self->record != NULL;
            break;
        case 'g':
            self->give_up = true;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    return good && optind == argc && self->host != NULL && self->key.size > 0 && self->count > 0 &&
           self->connection_count > 0 && self->connection_count <= MAX_CONNECTIONS;
}

int main(int argc, char **argv)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) < 0) {
        return 1;
    }
    srand(random);
    char prefix[32];
    snprintf(prefix, sizeof prefix, "load_%08x_", random);
    load_t self = {.path = "/webhook",
                   .prefix = prefix,
                   .size = 1800,
                   .count = 1000,
                   .connection_count = 16,
                   .body = MAILBUS_BUF_INIT};
    if (!parse_options(&self, argc, argv)) {
        usage(stderr);
        return 2;
    }
    if (self.topic_count == 0) {
        self.topics[self.topic_count++] = "message.received";
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    self.epoll = epoll_create1(EPOLL_CLOEXEC);
    self.connections = calloc((size_t)self.connection_count, sizeof *self.connections);
    if (self.epoll < 0 || self.connections == NULL) {
        return 1;
    }
    for (int i = 0; i < self.connection_count; i++) {
        self.connections[i].fd = -1;
    }
    int64_t start_ms = mb_clock_monotonic_ms();
    run(&self);
    double seconds = (double)(mb_clock_monotonic_ms() - start_ms) / 1000.0;
    printf(
        "{\"acknowledged\":%ld,\"duplicates\":%ld,\"retried\":%ld,\"refused\":%ld,\"seconds\":%.3f,"
        "\"per_second\":%.0f}\n",
        self.acknowledged, self.duplicated, self.retried, self.refused, seconds,
        (double)self.acknowledged / (seconds > 0 ? seconds : 1));
    for (int i = 0; i < self.connection_count; i++) {
        mailbus_buf_free(&self.connections[i].request);
        if (self.connections[i].fd >= 0) {
            close(self.connections[i].fd);
        }
    }
    free(self.connections);
    mailbus_buf_free(&self.body);
    close(self.epoll);
    bool recorded = self.record == NULL || fclose(self.record) == 0;
    return self.acknowledged == self.count && recorded ? 0 : 1;
}
