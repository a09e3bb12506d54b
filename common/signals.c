#include "signals.h"

#include <czmq.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"

/* Enough for some thousand subscribers and senders; beyond it libzmq's tables cost memory. */
#define DESCRIPTORS_WANTED 65536

void mb_signals_tame_czmq(void)
{
    static const char mark[] = "ZSYS_";
    zsys_handler_set(NULL);
    for (char **entry = environ; entry != NULL && *entry != NULL;) {
        char name[64];
        size_t size = strcspn(*entry, "=");
        if (strncmp(*entry, mark, sizeof mark - 1) == 0 && size < sizeof name) {
            memcpy(name, *entry, size);
            name[size] = '\0';
            unsetenv(name);
            entry = environ; /* it has moved what follows */
        } else {
            entry++;
        }
    }
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_WANTED) {
        limit.rlim_cur =
            limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : (rlim_t)DESCRIPTORS_WANTED;
        setrlimit(RLIMIT_NOFILE, &limit); /* where it fails the old one stays */
    }
}

mailbus_code_t mb_signals_block(int *ret_fd, mailbus_error_t *error)
{
    mb_signals_tame_czmq();
    raise_descriptor_limit();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (failed != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't block signals: %s", strerror(failed));
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't ignore SIGPIPE: %s", strerror(errno));
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't open a signalfd: %s", strerror(errno));
    }
    *ret_fd = fd;
    return MAILBUS_OK;
}

mb_signal_t mb_signals_wait(int fd, int timeout_ms)
{
    int64_t end = mb_clock_monotonic_ms() + timeout_ms;
    for (;;) {
        struct signalfd_siginfo info;
        if (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
            return info.ssi_signo == SIGHUP ? MB_SIGNAL_RELOAD : MB_SIGNAL_STOP;
        }
        int64_t left = timeout_ms < 0 ? -1 : end - mb_clock_monotonic_ms();
        if (timeout_ms >= 0 && left <= 0) {
            return MB_SIGNAL_NONE;
        }
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, (int)left) < 0 && errno != EINTR) {
            return MB_SIGNAL_NONE;
        }
    }
}
