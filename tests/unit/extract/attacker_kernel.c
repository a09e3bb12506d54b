/* Sockets, and what else a kernel offers. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attacker.h"

bool open_socket(const char *unused)
{
    (void)unused;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

bool open_local_socket(const char *unused)
{
    (void)unused;
    int pair[2];
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

bool connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

bool mount_something(const char *path)
{
    return mount("none", path, "tmpfs", 0, NULL) == 0;
}

bool new_user_namespace(const char *unused)
{
    (void)unused;
    return unshare(CLONE_NEWUSER) == 0;
}

bool use_io_uring(const char *unused)
{
    (void)unused;
    char parameters[120] = {0};
    return syscall(SYS_io_uring_setup, 1, parameters) >= 0;
}

bool use_keys(const char *unused)
{
    (void)unused;
    return syscall(SYS_add_key, "user", "mailbus-attack", "x", 1, -2 /* of this process */) >= 0;
}

bool use_userfaultfd(const char *unused)
{
    (void)unused;
    return syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */) >= 0;
}

bool use_bpf(const char *unused)
{
    (void)unused;
    const uint32_t map[8] = {1 /* hash */, 4, 4, 1, 0, 0, 0, 0};
    return syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, map, sizeof map) >= 0;
}

bool use_perf(const char *unused)
{
    (void)unused;
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof event,
                                    .config = PERF_COUNT_SW_TASK_CLOCK,
                                    .exclude_kernel = 1};
    return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0) >= 0;
}

/* System calls under the numbers of another architecture. */
bool use_other_numbers(const char *unused)
{
    (void)unused;
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L /* getpid of i386 */) : "memory");
    return result == getpid();
#else
    return false;
#endif
}
