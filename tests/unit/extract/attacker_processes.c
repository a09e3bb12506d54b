/* Attacks by and on processes. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacker.h"

enum { BOMB = 32 }; /* children of the fork bomb */

bool start_process(const char *unused)
{
    (void)unused;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0;
}

bool bomb(const char *unused)
{
    (void)unused;
    int children = 0;
    for (int i = 0; i < BOMB; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(ATTACK_LIFE_S);
            for (;;) {
                poll(NULL, 0, -1);
            }
        }
        children += pid > 0 ? 1 : 0;
    }
    return children > 0;
}

/* Prints the number of what got away. */
bool daemonise(const char *unused)
{
    (void)unused;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        pid_t second = fork();
        if (second == 0) {
            alarm(ATTACK_LIFE_S);
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
    poll(NULL, 0, ATTACK_SOME_MS); /* until it has said so */
    return false;
}

bool leave_group(const char *unused)
{
    (void)unused;
    return setpgid(0, getppid()) == 0 || setsid() >= 0;
}

bool in_parents_group(const char *unused)
{
    (void)unused;
    return getpgrp() != getpid();
}

static void *thread(void *unused)
{
    return unused;
}

bool start_thread(const char *unused)
{
    (void)unused;
    pthread_t id;
    return pthread_create(&id, NULL, thread, NULL) == 0;
}

bool signal_parent(const char *unused)
{
    (void)unused;
    return kill(getppid(), 0) == 0;
}

bool signal_by_owner(const char *unused)
{
    (void)unused;
    return fcntl(STDIN_FILENO, F_SETOWN, getppid()) == 0;
}

bool trace_parent(const char *unused)
{
    (void)unused;
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0;
}

bool read_parent(const char *address)
{
    char byte;
    struct iovec here = {&byte, 1};
    struct iovec there = {(void *)(uintptr_t)strtoull(address, NULL, 16), 1};
    return process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1;
}

bool run_shell(const char *unused)
{
    (void)unused;
    execl("/bin/sh", "sh", "-c", "echo SUCCEEDED", (char *)NULL);
    return false;
}

/* The loader may be executed: it would load any program. */
bool run_by_loader(const char *unused)
{
    (void)unused;
    execl("/lib64/ld-linux-x86-64.so.2", "ld.so", "/bin/echo", "SUCCEEDED", (char *)NULL);
    execl("/lib/ld-linux-aarch64.so.1", "ld.so", "/bin/echo", "SUCCEEDED", (char *)NULL);
    return false;
}

/* Standard input is this program once more. */
bool run_input(const char *unused)
{
    (void)unused;
    char *const argv[] = {"attacker", "say", NULL};
    execveat(STDIN_FILENO, "", argv, argv + 2, AT_EMPTY_PATH);
    return false;
}

bool say(const char *unused)
{
    (void)unused;
    return true;
}
