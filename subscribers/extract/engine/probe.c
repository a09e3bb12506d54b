#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine_status.h"

enum {
    MOST_FDS = 1024,
    MANY_FDS = 64, /* twice what the helper allows, and far below what systems do by themselves */
    CHUNK = 4096,
};

/* More than any limit that mailbus-extract takes. */
#define TOO_MUCH_MEMORY ((size_t)1 << 42)

/* Each returns true where it got what it must not get. */

static bool reads_files(void)
{
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static bool writes_files(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/mailbus-extract-probe-%ld", (long)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR);
    if (fd >= 0) {
        unlink(path);
    }
    return fd >= 0;
}

static bool opens_sockets(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool forks(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    return pid > 0;
}

static bool allocates(void)
{
    return mmap(NULL, TOO_MUCH_MEMORY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                0) != MAP_FAILED;
}

static bool signals_others(void)
{
    return kill(getppid(), 0) == 0;
}

static bool has_descriptors(void)
{
    struct stat info;
    for (int fd = STDERR_FILENO + 1; fd < MOST_FDS; fd++) {
        if (fstat(fd, &info) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_environment(void)
{
    return environ != NULL && environ[0] != NULL;
}

static bool has_privileges(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];
    memset(now, 0, sizeof now);
    bool asked = syscall(SYS_capget, &header, now) == 0;
    return getuid() == 0 || geteuid() == 0 || (asked && (now[0].permitted | now[1].permitted) != 0);
}

static bool unlimited(int which, rlim_t most)
{
    struct rlimit now;
    return getrlimit((__rlimit_resource_t)which, &now) != 0 || now.rlim_cur > most;
}

static bool has_cpu(void)
{
    return unlimited(RLIMIT_CPU, RLIM_INFINITY - 1);
}

static bool has_files(void)
{
    return unlimited(RLIMIT_FSIZE, 0);
}

static bool has_core(void)
{
    return unlimited(RLIMIT_CORE, 0);
}

static bool has_processes(void)
{
    return unlimited(RLIMIT_NPROC, 1);
}

static bool opens_many(void)
{
    int opened = 0;
    while (opened < MANY_FDS && dup(STDIN_FILENO) >= 0) {
        opened++;
    }
    return opened == MANY_FDS;
}

static bool survives_parent(void)
{
    int number = 0;
    return prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0) != 0 || number != SIGKILL;
}

static bool gains_privileges(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static bool has_session(void)
{
    return getpgrp() != getpid();
}

static const struct {
    const char *layer;
    const char *attack;
    bool (*tried)(void);
} attacks[] = {
    {"descriptors", "finds an open descriptor", has_descriptors},
    {"environment", "finds an environment", has_environment},
    {"session", "is in somebody else's process group", has_session},
    {"privileges", "is root or has a capability", has_privileges},
    {"memory", "allocates without end", allocates},
    {"cpu", "may spin for ever", has_cpu},
    {"file-size", "may write files", has_files},
    {"core", "may write a core", has_core},
    {"processes", "may start processes", has_processes},
    {"parent-death", "survives its parent", survives_parent},
    {"no-new-privs", "may gain privileges", gains_privileges},
    {"landlock", "reads /etc/passwd", reads_files},
    {"landlock", "writes a file", writes_files},
    {"seccomp", "opens a socket", opens_sockets},
    {"seccomp", "forks", forks},
    {"seccomp", "sends signals", signals_others},
    {"open-files", "opens without end", opens_many}, /* the last: it leaves none free */
};

static int probe_layers(void)
{
    int succeeded = 0;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        bool got = attacks[i].tried();
        printf("%s: %s%s\n", attacks[i].layer, attacks[i].attack, got ? "" : ": stopped");
        succeeded += got ? 1 : 0;
    }
    fflush(stdout);
    return succeeded == 0 ? ENGINE_OK : ENGINE_USAGE;
}

int probe_run(const char *name)
{
    static const char chunk[CHUNK];
    if (strcmp(name, "layers") == 0) {
        return probe_layers();
    }
    if (strcmp(name, "write") == 0) {
        while (write(STDOUT_FILENO, chunk, sizeof chunk) > 0) {
        }
        return ENGINE_IO;
    }
    signal(SIGTERM, SIG_IGN);
    for (;;) { /* "sleep" */
        poll(NULL, 0, -1);
    }
}
