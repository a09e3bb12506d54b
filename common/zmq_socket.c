#include "zmq_socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "httpd.h"
#include "zap.h"

enum {
    ENFORCE_DOMAIN = 93, /* ZMQ_ZAP_ENFORCE_DOMAIN: a draft's number, in every build since 4.3.0 */
    HEARTBEAT_MS = 2000,
    HEARTBEAT_TIMEOUT_MS = 6000, /* three beats */
    HANDSHAKE_MS = 3000,         /* a peer that connects and says nothing is cut */
    RECONNECT_MS = 500,
    RECONNECT_MAX_MS = 30000,
    CONNECT_TIMEOUT_MS = 10000, /* a black hole: the system's own is minutes */
    IPC_MODE = 0600,
};

mailbus_code_t mb_socket_fail(mailbus_error_t *error, const char *doing)
{
    int number = zmq_errno();
    mailbus_code_t code = MAILBUS_EIO;
    if (number == EAGAIN || number == EHOSTUNREACH) {
        code = MAILBUS_EAGAIN;
    } else if (number == ETERM) {
        code = MAILBUS_ESTOPPED;
    } else if (number == ENOMEM) {
        code = MAILBUS_ENOMEM;
    } else if (number == EACCES || number == EPERM) {
        code = MAILBUS_EACCESS;
    }
    return mailbus_fail(error, code, "%s: %s", doing, zmq_strerror(number));
}

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_text(void *socket, int option, const char *text)
{
    return zmq_setsockopt(socket, option, text, strlen(text)) == 0;
}

/* What both sides have in common. */
static bool set_common(void *socket, const mb_socket_options_t *options)
{
    bool ok = set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
              set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
              set_int(socket, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS) &&
              set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
              set_int(socket, ZMQ_LINGER, options->linger_ms);
    if (ok && options->send_hwm != 0) {
        ok = set_int(socket, ZMQ_SNDHWM, options->send_hwm);
    }
    if (ok && options->receive_hwm != 0) {
        ok = set_int(socket, ZMQ_RCVHWM, options->receive_hwm);
    }
    if (ok && options->max_inbound != 0) {
        ok = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &options->max_inbound,
                            sizeof options->max_inbound) == 0;
    }
    return ok;
}

/* CURVE alone lets everybody in where no handler runs: the domain has to be enforced (RFC 27). */
static bool set_curve_server(void *socket, const mb_key_pair_t *own)
{
    return set_int(socket, ZMQ_CURVE_SERVER, 1) &&
           set_text(socket, ZMQ_CURVE_SECRETKEY, own->secret_key) &&
           set_text(socket, ZMQ_ZAP_DOMAIN, MB_ZAP_DOMAIN) && set_int(socket, ENFORCE_DOMAIN, 1);
}

static bool set_curve_client(void *socket, const mb_key_pair_t *own, const char *server_key)
{
    return set_text(socket, ZMQ_CURVE_SERVERKEY, server_key) &&
           set_text(socket, ZMQ_CURVE_PUBLICKEY, own->public_key) &&
           set_text(socket, ZMQ_CURVE_SECRETKEY, own->secret_key);
}

mailbus_code_t mb_socket_new_server(void *context, int type, const mb_socket_options_t *options,
                                    void **ret_socket, mailbus_error_t *error)
{
    assert(options->max_inbound > 0); /* one announced frame could take all memory */
    void *socket = zmq_socket(context, type);
    if (socket == NULL) {
        return mb_socket_fail(error, "can't make a socket");
    }
    bool ok = set_common(socket, options);
    if (ok && type == ZMQ_ROUTER) { /* else answers to the departed vanish silently */
        ok = set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    }
    if (ok && options->own != NULL) {
        ok = set_curve_server(socket, options->own);
    }
    if (!ok) {
        mailbus_code_t code = mb_socket_fail(error, "can't set up a socket");
        mb_socket_close(&socket);
        return code;
    }
    *ret_socket = socket;
    return MAILBUS_OK;
}

mailbus_code_t mb_socket_new_client(void *context, int type, const mb_socket_options_t *options,
                                    void **ret_socket, mailbus_error_t *error)
{
    assert(options->own == NULL || options->server_key != NULL);
    void *socket = zmq_socket(context, type);
    if (socket == NULL) {
        return mb_socket_fail(error, "can't make a socket");
    }
    bool ok = set_common(socket, options) && set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
              set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
              set_int(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS);
    if (ok && options->own != NULL) {
        ok = set_curve_client(socket, options->own, options->server_key);
    }
    if (!ok) {
        mailbus_code_t code = mb_socket_fail(error, "can't set up a socket");
        mb_socket_close(&socket);
        return code;
    }
    *ret_socket = socket;
    return MAILBUS_OK;
}

void mb_socket_close(void **socket_p)
{
    if (*socket_p != NULL) {
        zmq_close(*socket_p);
        *socket_p = NULL;
    }
}

/* The path of an ipc endpoint, or NULL for another transport, a wildcard or an abstract name. */
static const char *ipc_path(const char *endpoint)
{
    if (strncmp(endpoint, "ipc://", 6) != 0 || endpoint[6] == '@' || endpoint[6] == '*') {
        return NULL;
    }
    return endpoint + 6;
}

/* libzmq unlinks whatever it finds at the path of an ipc endpoint, the socket of a living process
 * as well. So look first: only a socket that nobody listens on goes. */
static mailbus_code_t clear_ipc(const char *path, mailbus_error_t *error)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return MAILBUS_OK; /* bind says what is wrong with the folder */
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!S_ISSOCK(status.st_mode) || strlen(path) >= sizeof address.sun_path) {
        return mailbus_fail(error, MAILBUS_EEXIST, "can't bind ipc://%s: the file exists already",
                            path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't make a socket: %s", strerror(errno));
    }
    int number = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    if (number != ECONNREFUSED) {
        return mailbus_fail(error, MAILBUS_EEXIST, "can't bind ipc://%s: another process has it",
                            path);
    }
    unlink(path);
    return MAILBUS_OK;
}

static mailbus_code_t bind_fail(const char *endpoint, mailbus_error_t *error)
{
    char doing[300];
    snprintf(doing, sizeof doing, "can't bind %s", endpoint);
    switch (zmq_errno()) {
    case EADDRINUSE:
        return mailbus_fail(error, MAILBUS_EEXIST, "can't bind %s: another program has it",
                            endpoint);
    case EINVAL:
    case ENODEV:
    case EADDRNOTAVAIL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "can't bind %s: no endpoint of this machine "
                            "(tcp://127.0.0.1:5556, ipc:///run/mailbus/publish)",
                            endpoint);
    default:
        return mb_socket_fail(error, doing);
    }
}

/* IPv6, but not for an IPv4 address: libzmq would then report it as [::ffff:127.0.0.1]. */
static bool set_family(void *socket, const char *endpoint)
{
    static const char scheme[] = "tcp://";
    int ipv6 = 1;
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, scheme, sizeof scheme - 1) == 0 && colon > endpoint + sizeof scheme - 1) {
        char host[INET_ADDRSTRLEN] = "";
        struct in_addr address;
        size_t size = (size_t)(colon - endpoint) - (sizeof scheme - 1);
        if (size < sizeof host) {
            memcpy(host, endpoint + sizeof scheme - 1, size);
            ipv6 = inet_pton(AF_INET, host, &address) != 1;
        }
    }
    return set_int(socket, ZMQ_IPV6, ipv6);
}

mailbus_code_t mb_socket_bind(void *socket, const char *endpoint, bool curve, bool open,
                              char *ret_endpoint, size_t size, mailbus_error_t *error)
{
    if (!curve && !open && !mb_is_loopback(endpoint)) {
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "%s can be reached from other machines, and there are no keys: set "
                            "bus.curve_dir (mailbus keys new NAME makes keys), or bus.open=yes to "
                            "let everybody in",
                            endpoint);
    }
    const char *path = ipc_path(endpoint);
    if (path != NULL) {
        mailbus_code_t code = clear_ipc(path, error);
        if (code != MAILBUS_OK) {
            return code;
        }
    }
    char real[256] = "";
    size_t real_size = sizeof real;
    if (!set_family(socket, endpoint) || zmq_bind(socket, endpoint) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, real, &real_size) != 0) {
        return bind_fail(endpoint, error);
    }
    path = ipc_path(real);
    if (path != NULL && chmod(path, IPC_MODE) != 0) {
        int number = errno;
        zmq_unbind(socket, real);
        return mailbus_fail(error, MAILBUS_EIO, "can't close %s to others: %s", endpoint,
                            strerror(number));
    }
    if (ret_endpoint != NULL) {
        snprintf(ret_endpoint, size, "%s", real);
    }
    return MAILBUS_OK;
}

mailbus_code_t mb_socket_connect(void *socket, const char *endpoint, mailbus_error_t *error)
{
    if (set_family(socket, endpoint) && zmq_connect(socket, endpoint) == 0) {
        return MAILBUS_OK;
    }
    if (zmq_errno() == EINVAL || zmq_errno() == EPROTONOSUPPORT || zmq_errno() == ENOCOMPATPROTO) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "can't connect to \"%s\": no endpoint (tcp://127.0.0.1:5556, "
                            "ipc:///run/mailbus/publish)",
                            endpoint);
    }
    char doing[300];
    snprintf(doing, sizeof doing, "can't connect to %s", endpoint);
    return mb_socket_fail(error, doing);
}

mailbus_code_t mb_message_receive(void *socket, mb_message_t *ret_message, mailbus_error_t *error)
{
    mb_message_t message = {.count = 0};
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            mailbus_code_t code = mb_socket_fail(error, "can't receive");
            zmq_msg_close(&frame);
            mb_message_close(&message);
            return code;
        }
        more = zmq_msg_more(&frame) != 0;
        if (message.count < MB_FRAMES_MAX) {
            zmq_msg_init(&message.frames[message.count]);
            zmq_msg_move(&message.frames[message.count], &frame);
            message.count++;
        } else {
            message.too_many = true;
        }
        zmq_msg_close(&frame);
    }
    /* libzmq's messages may not be copied by assignment: move each to where it stays. */
    ret_message->count = message.count;
    ret_message->too_many = message.too_many;
    for (size_t i = 0; i < message.count; i++) {
        zmq_msg_init(&ret_message->frames[i]);
        zmq_msg_move(&ret_message->frames[i], &message.frames[i]);
        zmq_msg_close(&message.frames[i]);
    }
    return MAILBUS_OK;
}

void mb_message_close(mb_message_t *message)
{
    for (size_t i = 0; i < message->count; i++) {
        zmq_msg_close(&message->frames[i]);
    }
    message->count = 0;
}

const void *mb_message_data(mb_message_t *message, size_t frame)
{
    assert(frame < message->count);
    return zmq_msg_data(&message->frames[frame]);
}

size_t mb_message_size(const mb_message_t *message, size_t frame)
{
    assert(frame < message->count);
    return zmq_msg_size(&message->frames[frame]);
}

mailbus_code_t mb_frame_send(void *socket, const void *data, size_t size, bool more,
                             mailbus_error_t *error)
{
    if (zmq_send(socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
        return mb_socket_fail(error, "can't send");
    }
    return MAILBUS_OK;
}
