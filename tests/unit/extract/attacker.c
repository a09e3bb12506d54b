/* extract_attacker NAME [ARGUMENT]: an engine that has been taken over. Prints SUCCEEDED once it
 * has what it must not get; anything else, its death too, means that it was stopped. Everything
 * that it starts ends by itself after a few seconds. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LIFE_S = 5, /* of whatever gets away */
    BOMB = 32,  /* children of the fork bomb */
    PAGE = 4096,
    MANY_FILES = 200, /* more than an engine is to have */
    SOME_MS = 400,    /* of sleep: longer than the shortest wall clock of a test */
    FLOOD = 1 << 20,  /* bytes */
};

#define MUCH_MEMORY ((size_t)1 << 30)
#define SPIN_MS     1500 /* of processor time: more than the second it is given */
#define SPIN_ON_MS  2500 /* more than the second of grace as well */

/* --- files --------------------------------------------------------------------------------------
 */

static bool read_file(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

static bool create_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0;
}

static bool write_file(const char *path)
{
    signal(SIGXFSZ, SIG_IGN);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1;
}

static bool unlink_file(const char *path)
{
    return unlink(path) == 0;
}

static bool chmod_file(const char *path)
{
    return chmod(path, 0777) == 0;
}

static bool list_folder(const char *path)
{
    DIR *folder = opendir(path);
    return folder != NULL && readdir(folder) != NULL;
}

static bool make_memfd(const char *unused)
{
    (void)unused;
    return memfd_create("x", 0) >= 0;
}

static bool read_parents_environment(const char *unused)
{
    (void)unused;
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)getppid());
    return read_file(path);
}

/* --- descriptors, environment, privileges
 * ---------------------------------------------------------
 */

static bool find_descriptor(const char *unused)
{
    (void)unused;
    struct stat info;
    for (int fd = 3; fd < 1024; fd++) {
        if (fstat(fd, &info) == 0) {
            return true;
        }
    }
    return false;
}

static bool find_environment(const char *name)
{
    return getenv(name) != NULL;
}

static bool be_root(const char *unused)
{
    (void)unused;
    return getuid() == 0 || setuid(0) == 0;
}

static bool open_many_files(const char *unused)
{
    (void)unused;
    int opened = 0;
    while (opened < MANY_FILES && dup(STDIN_FILENO) >= 0) {
        opened++;
    }
    return opened == MANY_FILES;
}

static bool may_dump_core(const char *unused)
{
    (void)unused;
    struct rlimit now;
    return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur > 0;
}

/* --- processes
 * ------------------------------------------------------------------------------------
 */

static bool start_process(const char *unused)
{
    (void)unused;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0;
}

static bool bomb(const char *unused)
{
    (void)unused;
    int children = 0;
    for (int i = 0; i < BOMB; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(LIFE_S);
            for (;;) {
                poll(NULL, 0, -1);
            }
        }
        children += pid > 0 ? 1 : 0;
    }
    return children > 0;
}

/* Prints the number of what got away. */
static bool daemonise(const char *unused)
{
    (void)unused;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        pid_t second = fork();
        if (second == 0) {
            alarm(LIFE_S);
            printf("daemon %ld\nSUCCEEDED\n", (long)getpid());
            fflush(stdout);
            close(STDOUT_FILENO);
            for (;;) {
                poll(NULL, 0, -1);
            }
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    poll(NULL, 0, SOME_MS); /* until it has said so */
    return false;
}

static bool leave_group(const char *unused)
{
    (void)unused;
    return setpgid(0, getppid()) == 0 || setsid() >= 0;
}

static bool in_parents_group(const char *unused)
{
    (void)unused;
    return getpgrp() != getpid();
}

static void *thread(void *unused)
{
    return unused;
}

static bool start_thread(const char *unused)
{
    (void)unused;
    pthread_t id;
    return pthread_create(&id, NULL, thread, NULL) == 0;
}

static bool signal_parent(const char *unused)
{
    (void)unused;
    return kill(getppid(), 0) == 0;
}

static bool signal_by_owner(const char *unused)
{
    (void)unused;
    return fcntl(STDIN_FILENO, F_SETOWN, getppid()) == 0;
}

static bool trace_parent(const char *unused)
{
    (void)unused;
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0;
}

static bool read_parent(const char *address)
{
    char byte;
    struct iovec here = {&byte, 1};
    struct iovec there = {(void *)(uintptr_t)strtoull(address, NULL, 16), 1};
    return process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1;
}

static bool run_shell(const char *unused)
{
    (void)unused;
    execl("/bin/sh", "sh", "-c", "echo SUCCEEDED", (char *)NULL);
    return false;
}

/* The loader may be executed: it would load any program. */
static bool run_by_loader(const char *unused)
{
    (void)unused;
    execl("/lib64/ld-linux-x86-64.so.2", "ld.so", "/bin/echo", "SUCCEEDED", (char *)NULL);
    execl("/lib/ld-linux-aarch64.so.1", "ld.so", "/bin/echo", "SUCCEEDED", (char *)NULL);
    return false;
}

/* Standard input is this program once more. */
static bool run_input(const char *unused)
{
    (void)unused;
    char *const argv[] = {"attacker", "say", NULL};
    execveat(STDIN_FILENO, "", argv, argv + 2, AT_EMPTY_PATH);
    return false;
}

static bool say(const char *unused)
{
    (void)unused;
    return true;
}

/* --- the kernel
 * -----------------------------------------------------------------------------------
 */

static bool open_socket(const char *unused)
{
    (void)unused;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool open_local_socket(const char *unused)
{
    (void)unused;
    int pair[2];
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

static bool connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static bool mount_something(const char *path)
{
    return mount("none", path, "tmpfs", 0, NULL) == 0;
}

static bool new_user_namespace(const char *unused)
{
    (void)unused;
    return unshare(CLONE_NEWUSER) == 0;
}

static bool use_io_uring(const char *unused)
{
    (void)unused;
    char parameters[120] = {0};
    return syscall(SYS_io_uring_setup, 1, parameters) >= 0;
}

static bool use_keys(const char *unused)
{
    (void)unused;
    return syscall(SYS_add_key, "user", "mailbus-attack", "x", 1, -2 /* of this process */) >= 0;
}

static bool use_userfaultfd(const char *unused)
{
    (void)unused;
    return syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */) >= 0;
}

static bool use_bpf(const char *unused)
{
    (void)unused;
    const uint32_t map[8] = {1 /* hash */, 4, 4, 1, 0, 0, 0, 0};
    return syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, map, sizeof map) >= 0;
}

static bool use_perf(const char *unused)
{
    (void)unused;
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof event,
                                    .config = PERF_COUNT_SW_TASK_CLOCK,
                                    .exclude_kernel = 1};
    return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0) >= 0;
}

/* System calls under the numbers of another architecture. */
static bool use_other_numbers(const char *unused)
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

/* --- without end
 * ----------------------------------------------------------------------------------
 */

static bool allocate(const char *unused)
{
    (void)unused;
    char *memory = mmap(NULL, MUCH_MEMORY, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    memory[MUCH_MEMORY - 1] = 1;
    return true;
}

static int64_t spent_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool spin(const char *unused)
{
    (void)unused;
    while (spent_ms() < SPIN_MS) {
    }
    return true;
}

static bool spin_on(const char *unused)
{
    (void)unused;
    signal(SIGXCPU, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    while (spent_ms() < SPIN_ON_MS) {
    }
    return true;
}

static bool sleep_deaf(const char *unused)
{
    (void)unused;
    for (int i = 1; i < 32; i++) {
        signal(i, SIG_IGN);
    }
    poll(NULL, 0, SOME_MS);
    return true;
}

/* Nobody hears from it any more. */
static bool sleep_silent(const char *unused)
{
    (void)unused;
    int out = dup(STDOUT_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    poll(NULL, 0, SOME_MS);
    dup2(out, STDOUT_FILENO);
    return true;
}

static bool flood(int fd)
{
    static const char page[PAGE];
    for (size_t written = 0; written < FLOOD;) {
        ssize_t size = write(fd, page, sizeof page);
        if (size <= 0) {
            return false;
        }
        written += (size_t)size;
    }
    return true;
}

static bool flood_output(const char *unused)
{
    (void)unused;
    return flood(STDOUT_FILENO);
}

static bool flood_errors(const char *unused)
{
    (void)unused;
    return flood(STDERR_FILENO);
}

static bool live(const char *unused)
{
    (void)unused;
    alarm(LIFE_S);
    while (poll(NULL, 0, -1) < 0) {
    }
    return false;
}

static const struct {
    const char *name;
    bool (*run)(const char *argument);
} attacks[] = {
    {"read-file", read_file},
    {"create-file", create_file},
    {"write-file", write_file},
    {"unlink-file", unlink_file},
    {"chmod-file", chmod_file},
    {"list-folder", list_folder},
    {"memfd", make_memfd},
    {"parents-environment", read_parents_environment},
    {"descriptor", find_descriptor},
    {"environment", find_environment},
    {"root", be_root},
    {"many-files", open_many_files},
    {"core", may_dump_core},
    {"fork", start_process},
    {"fork-bomb", bomb},
    {"daemon", daemonise},
    {"leave-group", leave_group},
    {"in-parents-group", in_parents_group},
    {"thread", start_thread},
    {"signal-parent", signal_parent},
    {"signal-by-owner", signal_by_owner},
    {"ptrace", trace_parent},
    {"read-parent", read_parent},
    {"shell", run_shell},
    {"loader", run_by_loader},
    {"exec-input", run_input},
    {"say", say},
    {"socket", open_socket},
    {"local-socket", open_local_socket},
    {"connect", connect_to},
    {"mount", mount_something},
    {"user-namespace", new_user_namespace},
    {"io_uring", use_io_uring},
    {"keys", use_keys},
    {"userfaultfd", use_userfaultfd},
    {"bpf", use_bpf},
    {"perf", use_perf},
    {"other-numbers", use_other_numbers},
    {"allocate", allocate},
    {"spin", spin},
    {"spin-on", spin_on},
    {"sleep-deaf", sleep_deaf},
    {"sleep-silent", sleep_silent},
    {"flood", flood_output},
    {"flood-errors", flood_errors},
    {"live", live},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof attacks[0]; i++) {
        if (strcmp(argv[1], attacks[i].name) == 0) {
            bool got = attacks[i].run(argc > 2 ? argv[2] : "");
            int why = errno;
            printf("%s", got ? "SUCCEEDED\n" : "");
            if (!got) {
                fprintf(stderr, "%s\n", strerror(why));
            }
            return got ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    fprintf(stderr, "no such attack\n");
    return 64;
}
