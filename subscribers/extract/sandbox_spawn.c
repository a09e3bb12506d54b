#include "sandbox_spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "without.h"

enum {
    NUMBER_SIZE = 24,
    MAX_WORDS = 160, /* of the helper's command line */
    SAFE_FD = 10,    /* above 0 to 3, so that no dup2 overwrites what another one needs */
    STATUS_FD = 3,   /* as helper/main.c has it */
};

/* What every engine needs to be loaded; where such a path is not there, it is left out. */
static const char *const libraries[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib",
                                        "/lib",     "/lib64",     "/etc/ld.so.cache"};

typedef struct {
    const char *words[MAX_WORDS + 1];
    size_t count;
    const char *without;
    char parent[NUMBER_SIZE], memory[NUMBER_SIZE], cpu[NUMBER_SIZE];
} command_t;

static void word(command_t *command, const char *text)
{
    assert(command->count < MAX_WORDS); /* tables bound what a command has */
    command->words[command->count++] = text;
}

static void words(command_t *command, const char *option, const char *const *texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        word(command, option);
        word(command, texts[i]);
    }
}

static void command_make(const sandbox_job_t *job, command_t *command)
{
    snprintf(command->parent, NUMBER_SIZE, "%ld", (long)getpid());
    snprintf(command->memory, NUMBER_SIZE, "%lld", (long long)job->max_memory);
    snprintf(command->cpu, NUMBER_SIZE, "%lld", (long long)job->cpu_s);
    command->without = job->without;
    word(command, job->helper);
    word(command, "--parent");
    word(command, command->parent);
    word(command, "--memory");
    word(command, command->memory);
    word(command, "--cpu");
    word(command, command->cpu);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        word(command, "--read");
        word(command, libraries[i]);
    }
    words(command, "--read", job->reads);
    words(command, "--env", job->env);
    if (job->threads) {
        word(command, "--threads");
    }
    if (job->without != NULL && job->without[0] != '\0') {
        word(command, "--without");
        word(command, job->without);
    }
    word(command, "--");
    for (size_t i = 0; job->argv[i] != NULL; i++) {
        word(command, job->argv[i]);
    }
}

/* A pipe whose ends are both above the numbers that the child's descriptors get. */
static bool pipe_make(int ret_ends[2])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        ret_ends[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, SAFE_FD);
        close(ends[i]);
    }
    return ret_ends[0] >= 0 && ret_ends[1] >= 0;
}

/* Signals as in a new program, a session of its own. */
static int attributes_make(const char *without, posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    int session = without_layer(without, "session") ? 0 : POSIX_SPAWN_SETSID;
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | session;
    return posix_spawnattr_setflags(attributes, (short)flags);
}

/* 0 or the errno. `ends`: the child's standard input, output, error and status pipe. */
static int spawn(const command_t *command, const int ends[4], pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int why = posix_spawn_file_actions_init(&actions);
    if (why != 0) {
        return why;
    }
    why = posix_spawnattr_init(&attributes);
    if (why == 0) {
        why = attributes_make(command->without, &attributes);
        for (int i = 0; why == 0 && i <= STATUS_FD; i++) {
            why = posix_spawn_file_actions_adddup2(&actions, ends[i], i);
        }
        char *const none[] = {NULL};
        bool inherit = without_layer(command->without, "environment");
        if (why == 0) {
            why = posix_spawn(ret_pid, command->words[0], &actions, &attributes,
                              (char *const *)command->words, inherit ? environ : none);
        }
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return why;
}

static mailbus_code_t spawn_failed(const char *helper, int why, mailbus_error_t *error)
{
    mailbus_code_t code = why == ENOENT || why == ENOTDIR ? MAILBUS_ENOTFOUND
                          : why == EACCES                 ? MAILBUS_EACCESS
                                                          : MAILBUS_EAGAIN;
    return mailbus_fail(error, code, "%s: %s", helper, strerror(why));
}

mailbus_code_t sandbox_spawn(const sandbox_job_t *job, sandbox_process_t *process,
                             mailbus_error_t *error)
{
    command_t command = {.count = 0};
    command_make(job, &command);
    int out[2] = {-1, -1}, err[2] = {-1, -1}, status[2] = {-1, -1};
    /* From its beginning: an engine before may have read it. */
    int input = fcntl(job->input, F_DUPFD_CLOEXEC, SAFE_FD);
    bool piped = input >= 0 && pipe_make(out) && pipe_make(err) && pipe_make(status);
    int why = errno;
    if (piped) {
        lseek(input, 0, SEEK_SET);
        const int ends[4] = {input, out[1], err[1], status[1]};
        why = spawn(&command, ends, &process->pid);
        if (why != 0) {
            process->pid = -1;
        } else {
            process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
            why = process->pidfd >= 0 ? 0 : errno;
        }
    }
    const int theirs[] = {input, out[1], err[1], status[1]};
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
        if (theirs[i] >= 0) {
            close(theirs[i]);
        }
    }
    process->out = out[0];
    process->err = err[0];
    process->status = status[0];
    if (!piped) {
        return mailbus_fail(error, MAILBUS_EAGAIN, "pipes for an engine: %s", strerror(why));
    }
    return why == 0 ? MAILBUS_OK : spawn_failed(job->helper, why, error);
}

void sandbox_kill(const sandbox_process_t *process)
{
    /* Its number is not anybody else's before sandbox_reap. */
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL);
}

int sandbox_reap(sandbox_process_t *process, struct rusage *ret_usage)
{
    int status = 0;
    siginfo_t info;
    /* While it is not waited for, its number stays its own: whoever is left of the group, where a
     * layer is missing, goes first. */
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    kill(-process->pid, SIGKILL);
    while (wait4(process->pid, &status, 0, ret_usage) < 0 && errno == EINTR) {
    }
    process->pid = -1;
    return status;
}

void sandbox_process_close(sandbox_process_t *process)
{
    if (process->pid > 0) {
        struct rusage usage;
        sandbox_kill(process);
        sandbox_reap(process, &usage);
    }
    int *fds[] = {&process->pidfd, &process->out, &process->err, &process->status};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
        }
        *fds[i] = -1;
    }
}
