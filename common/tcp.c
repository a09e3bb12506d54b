#include "httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = 253 }; /* bytes of a host name, RFC 1035 §2.3.4 */

/* Split "host:port", "[v6]:port" or ":port". The host may come out empty: all interfaces. */
static bool split_address(const char *address, char host[HOST_MAX + 1], char port[6])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL) {
        return false;
    }
    const char *begin = address;
    const char *end = colon;
    if (*begin == '[') {
        if (end - begin < 3 || end[-1] != ']') {
            return false;
        }
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
        return false; /* a bare IPv6 address: which of its colons is the port's? */
    }
    size_t host_size = (size_t)(end - begin);
    size_t port_size = strlen(colon + 1);
    if (host_size > HOST_MAX || port_size == 0 || port_size > 5 ||
        strspn(colon + 1, "0123456789") != port_size || strtol(colon + 1, NULL, 10) > 65535) {
        return false;
    }
    memcpy(host, begin, host_size);
    host[host_size] = '\0';
    memcpy(port, colon + 1, port_size + 1);
    return true;
}

static mailbus_code_t listen_fail(const char *address, int number, mailbus_error_t *error)
{
    switch (number) {
    case EADDRINUSE:
        return mailbus_fail(error, MAILBUS_EEXIST, "can't listen on %s: another program does",
                            address);
    case EACCES:
    case EPERM:
        return mailbus_fail(error, MAILBUS_EACCESS,
                            "can't listen on %s: not allowed (ports below 1024 need a privilege)",
                            address);
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "can't listen on %s: this machine has no such address", address);
    default:
        return mailbus_fail(error, MAILBUS_EIO, "can't listen on %s: %s", address,
                            strerror(number));
    }
}

/* The errno of the failure, or 0. */
static int listen_on(const struct addrinfo *info, int backlog, int *ret_fd)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    info->ai_protocol);
    if (fd < 0) {
        return errno;
    }
    int on = 1;
    int off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6) { /* [::] takes IPv4 too, whatever the machine's default */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, backlog) != 0) {
        int number = errno;
        close(fd);
        return number;
    }
    *ret_fd = fd;
    return 0;
}

mailbus_code_t mb_tcp_listen(const char *address, int backlog, int *ret_fd, mailbus_error_t *error)
{
    char host[HOST_MAX + 1];
    char port[6];
    if (!split_address(address, host, port)) {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"%s\" is no address: it looks like 127.0.0.1:8080, [::1]:8080 or "
                            ":8080",
                            address);
    }
    const char *names[] = {host, NULL};
    if (host[0] == '\0') {
        /* All interfaces: one IPv6 socket for both families, IPv4 alone where there is no IPv6. */
        names[0] = "::";
        names[1] = "0.0.0.0";
    } else if (strcasecmp(host, "localhost") == 0) {
        /* Loopback whatever a resolver says, or where it knows nothing (RFC 6761 §6.3): others are
         * let in by that name (mb_is_loopback). */
        names[0] = "127.0.0.1";
        names[1] = "::1";
    }
    int number = EADDRNOTAVAIL;
    for (size_t i = 0; i < sizeof names / sizeof *names && names[i] != NULL; i++) {
        const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                       .ai_socktype = SOCK_STREAM};
        struct addrinfo *infos = NULL;
        int lookup = getaddrinfo(names[i], port, &hints, &infos);
        if (lookup != 0) {
            return mailbus_fail(error, MAILBUS_EINVAL, "can't find the host of %s: %s", address,
                                gai_strerror(lookup));
        }
        number = listen_on(infos, backlog, ret_fd);
        freeaddrinfo(infos);
        if (number != EAFNOSUPPORT && number != EADDRNOTAVAIL) {
            break;
        }
    }
    return number == 0 ? MAILBUS_OK : listen_fail(address, number, error);
}

void mb_tcp_address(int fd, char *text, size_t size)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN];
    char port[6];
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(text, size, "?");
        return;
    }
    snprintf(text, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
    }
    return false;
}

bool mb_is_loopback(const char *address)
{
    char host[HOST_MAX + 1];
    char port[6];
    if (strncmp(address, "ipc://", 6) == 0 || strncmp(address, "inproc://", 9) == 0) {
        return true;
    }
    if (strncmp(address, "tcp://", 6) == 0) {
        address += 6;
        /* libzmq's wildcard port: any free one. */
        size_t size = strlen(address);
        if (size > 2 && strcmp(address + size - 2, ":*") == 0 && size - 2 <= HOST_MAX) {
            char with_port[HOST_MAX + 3];
            snprintf(with_port, sizeof with_port, "%.*s:0", (int)(size - 2), address);
            return split_address(with_port, host, port) && host_is_loopback(host);
        }
    }
    return split_address(address, host, port) && host_is_loopback(host);
}
