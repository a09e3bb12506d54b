#include "desk.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"

enum {
    PLENTY_MS = 20000,
    PLENTY_S = 20,
    PLENTY_OUTPUT = 65536,
    MEMORY = 512 << 20,
};

static const char secret_word[] = "secret";

static void make_file(const char *path, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert(fd >= 0);
    assert(write(fd, secret_word, sizeof secret_word) == sizeof secret_word);
    assert(fchmod(fd, mode) == 0);
    close(fd);
}

static void path_in(const desk_t *desk, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", desk->folder, name);
}

void desk_prepare(desk_t *desk)
{
    char path[128];
    path_in(desk, "new", path, sizeof path);
    unlink(path);
    path_in(desk, "old", path, sizeof path);
    make_file(path, 0666);
    make_file(desk->secret, 0600);
}

static void listen_somewhere(desk_t *desk)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    desk->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(bind(desk->listener, (struct sockaddr *)&address, size) == 0);
    assert(listen(desk->listener, SOMAXCONN) == 0);
    assert(getsockname(desk->listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(desk->port, sizeof desk->port, "%d", ntohs(address.sin_port));
}

static void read_attacker(desk_t *desk)
{
    int fd = open(desk->attacker, O_RDONLY | O_CLOEXEC);
    struct stat info;
    assert(fd >= 0 && fstat(fd, &info) == 0);
    desk->attacker_size = (size_t)info.st_size;
    desk->attacker_bytes = mmap(NULL, desk->attacker_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert(desk->attacker_bytes != MAP_FAILED);
    close(fd);
}

int desk_setup(void **state)
{
    desk_t *desk = calloc(1, sizeof *desk);
    assert(desk != NULL);
    const char *bin = getenv("EXTRACT_TEST_BIN"); /* where a container's programs are */
    snprintf(desk->helper, sizeof desk->helper, "%s/mailbus-extract-helper",
             bin != NULL ? bin : EXTRACT_BIN);
    snprintf(desk->attacker, sizeof desk->attacker, "%s/extract_attacker",
             bin != NULL ? bin : EXTRACT_TESTS);
    snprintf(desk->folder, sizeof desk->folder, "/tmp/mailbus-attacks-XXXXXX");
    assert(mkdtemp(desk->folder) != NULL);
    assert(chmod(desk->folder, 0777) == 0);
    path_in(desk, "mount", desk->mount, sizeof desk->mount);
    path_in(desk, "secret", desk->secret, sizeof desk->secret);
    assert(mkdir(desk->mount, 0755) == 0);
    snprintf(desk->address, sizeof desk->address, "%llx",
             (unsigned long long)(uintptr_t)secret_word);
    desk->is_root = geteuid() == 0;
    desk->landlock_abi =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    listen_somewhere(desk);
    read_attacker(desk);
    /* What must not be handed on: a descriptor without close-on-exec, an environment, a core. */
    desk->open_fd = memfd_create("open", 0);
    assert(desk->open_fd >= 0 && setenv("MAILBUS_ATTACK_SECRET", "x", 1) == 0);
    struct rlimit core;
    assert(getrlimit(RLIMIT_CORE, &core) == 0);
    core.rlim_cur = core.rlim_max;
    assert(setrlimit(RLIMIT_CORE, &core) == 0);
    assert(sandbox_input("", 0, &desk->empty, NULL) == MAILBUS_OK);
    *state = desk;
    return 0;
}

int desk_teardown(void **state)
{
    desk_t *desk = *state;
    char path[512];
    DIR *folder = opendir(desk->folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", desk->folder, entry->d_name);
        unlink(path);
    }
    closedir(folder);
    rmdir(desk->mount);
    rmdir(desk->folder);
    close(desk->listener);
    close(desk->open_fd);
    close(desk->empty);
    munmap(desk->attacker_bytes, desk->attacker_size);
    free(desk);
    return 0;
}

sandbox_job_t desk_job(const desk_t *desk, const char *const *argv)
{
    return (sandbox_job_t){.helper = desk->helper,
                           .argv = argv,
                           .input = desk->empty,
                           .max_memory = MEMORY,
                           .max_output = PLENTY_OUTPUT,
                           .wall_ms = PLENTY_MS,
                           .cpu_s = PLENTY_S};
}

static void fill(const desk_t *desk, const char *argument, char *text, size_t size)
{
    const struct {
        const char *name;
        const char *value;
    } values[] = {{"{secret}", desk->secret},
                  {"{folder}", desk->folder},
                  {"{port}", desk->port},
                  {"{address}", desk->address}};
    snprintf(text, size, "%s", argument != NULL ? argument : "");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        size_t length = strlen(values[i].name);
        if (strncmp(text, values[i].name, length) == 0) {
            snprintf(text, size, "%s%s", values[i].value, argument + length);
            return;
        }
    }
}

/* An executable memfd with the attacker in it: what sandbox_input never makes. */
static int program_input(const desk_t *desk)
{
    int fd = memfd_create("program", MFD_CLOEXEC);
    assert(fd >= 0);
    assert(write(fd, desk->attacker_bytes, desk->attacker_size) == (ssize_t)desk->attacker_size);
    return fd;
}

/* "daemon 1234": end what got away. */
static void end_daemon(const desk_t *desk, const sandbox_result_t *result)
{
    long pid = 0;
    if (result->out.size > 0 && sscanf(result->out.data, "daemon %ld", &pid) == 1 && pid > 1 &&
        desk_is_attacker(desk, (pid_t)pid)) {
        kill((pid_t)pid, SIGKILL);
    }
}

bool desk_attack(desk_t *desk, desk_run_t *run)
{
    char argument[128], without[256];
    const char *always = getenv("MAILBUS_TEST_SANDBOX_WITHOUT");
    snprintf(without, sizeof without, "%s,%s", run->without != NULL ? run->without : "",
             always != NULL ? always : "");
    fill(desk, run->argument, argument, sizeof argument);
    const char *const argv[] = {desk->attacker, run->attack, argument, NULL};
    sandbox_job_t job = desk_job(desk, argv);
    int own = run->own_input ? program_input(desk) : -1;
    job.input = own >= 0 ? own : run->input > 0 ? run->input : desk->empty;
    job.without = without;
    job.threads = run->threads;
    job.wall_ms = run->wall_ms > 0 ? run->wall_ms : job.wall_ms;
    job.cpu_s = run->cpu_s > 0 ? run->cpu_s : job.cpu_s;
    job.max_output = run->max_output > 0 ? run->max_output : job.max_output;
    run->code = sandbox_run(&job, &run->result, &run->error);
    if (own >= 0) {
        close(own);
    }
    if (run->code != MAILBUS_OK) {
        return false;
    }
    static const char word[] = "SUCCEEDED";
    mailbus_buf_t *out = &run->result.out;
    bool got = out->size > 0 && memmem(out->data, out->size, word, sizeof word - 1) != NULL;
    end_daemon(desk, &run->result);
    run->out_size = out->size;
    mailbus_buf_free(out);
    return got;
}

bool desk_is_attacker(const desk_t *desk, pid_t pid)
{
    /* Not its short name: kernels before 6.14 call it after the descriptor that it was started by.
     */
    char path[64], command[sizeof desk->attacker] = "";
    snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t size = fread(command, 1, sizeof command - 1, file);
    fclose(file);
    return size > 0 && strcmp(command, desk->attacker) == 0;
}

int desk_wait_readable(int fd, int ms)
{
    struct pollfd one = {fd, POLLIN, 0};
    int64_t start = mb_clock_monotonic_ms();
    return poll(&one, 1, ms) > 0 ? (int)(mb_clock_monotonic_ms() - start) : -1;
}
