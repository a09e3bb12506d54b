/* Layers about the process itself: descriptors, session, privileges, parent, limits. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layers.h"
#include "without.h"

enum {
    STATUS_FD = LAYERS_STATUS_FD,
    FIRST_CLOSED = STATUS_FD + 1,
    NOBODY =
        65534, /* what root becomes: Debian's nobody and nogroup, and the kernel's overflow id */
    OPEN_FILES = 32, /* poppler has 5 open at once */
    CPU_GRACE_S = 1, /* between SIGXCPU, which can be ignored, and SIGKILL */
};

int layer_descriptors(const layers_t *self)
{
    if (without_layer(self->without, "descriptors")) {
        return 0;
    }
    if (syscall(SYS_close_range, FIRST_CLOSED, ~0U, 0) != 0) {
        return errno;
    }
    return fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC) == 0 ? 0 : errno;
}

int layer_session(const layers_t *self)
{
    if (without_layer(self->without, "session") || getsid(0) == getpid()) {
        return 0; /* posix_spawn did it */
    }
    return setsid() >= 0 ? 0 : errno;
}

static int drop_capabilities(void)
{
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    if (syscall(SYS_capset, &header, none) != 0) {
        return errno;
    }
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, now) != 0) {
        return errno;
    }
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        if (now[i].permitted != 0 || now[i].effective != 0) {
            return EPERM;
        }
    }
    return 0;
}

int layer_privileges(const layers_t *self)
{
    if (without_layer(self->without, "privileges")) {
        return 0;
    }
    if (geteuid() == 0 || getuid() == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) != 0) {
            return errno;
        }
    }
    if (getuid() == 0 || geteuid() == 0 || setuid(0) == 0) {
        return EPERM;
    }
    return drop_capabilities();
}

int layer_parent_death(const layers_t *self)
{
    if (without_layer(self->without, "parent-death")) {
        return 0;
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return errno;
    }
    return getppid() == self->parent ? 0 : ESRCH; /* it ended before it could be asked for */
}

static int limit(const layers_t *self, const char *name, int which, int64_t soft, int64_t hard)
{
    if (without_layer(self->without, name)) {
        return 0;
    }
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)which, &now) != 0) {
        return errno;
    }
    /* One that is lower already stays. */
    if ((rlim_t)hard < now.rlim_max) {
        now.rlim_max = (rlim_t)hard;
    }
    now.rlim_cur = (rlim_t)soft < now.rlim_max ? (rlim_t)soft : now.rlim_max;
    return setrlimit((__rlimit_resource_t)which, &now) == 0 ? 0 : errno;
}

int layer_limits(const layers_t *self)
{
    int why = limit(self, "memory", RLIMIT_AS, self->memory, self->memory);
    why = why != 0 ? why : limit(self, "cpu", RLIMIT_CPU, self->cpu_s, self->cpu_s + CPU_GRACE_S);
    why = why != 0 ? why : limit(self, "file-size", RLIMIT_FSIZE, 0, 0);
    why = why != 0 ? why : limit(self, "open-files", RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES);
    why = why != 0 ? why : limit(self, "core", RLIMIT_CORE, 0, 0);
    /* Threads count as processes, and so do those of everybody with this user's id: a limit is only
     * right where there are to be none at all. */
    if (why == 0 && !self->threads) {
        why = limit(self, "processes", RLIMIT_NPROC, 1, 1);
    }
    return why;
}

int layer_no_new_privs(const layers_t *self)
{
    if (without_layer(self->without, "no-new-privs")) {
        return 0;
    }
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}
