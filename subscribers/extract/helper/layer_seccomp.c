/* seccomp: the system calls that engines need, found with strace; everything else is EPERM, and
 * what nobody asks for by accident ends the process. */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "layers.h"
#include "without.h"

/* Harmless with any argument, given that no descriptor but 0 to 2 and read-only files can be had.
 */
static const char *const allowed[] = {
    /* the file, the text, libraries and data */
    "read",
    "readv",
    "pread64",
    "preadv",
    "write",
    "writev",
    "close",
    "lseek",
    "_llseek",
    "fstat",
    "fstat64",
    "newfstatat",
    "fstatat64",
    "stat",
    "lstat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    "getcwd",
    "dup",
    "dup2",
    "dup3",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "fadvise64",
    /* memory */
    "brk",
    "mmap",
    "mmap2",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    /* itself */
    "exit",
    "exit_group",
    "getpid",
    "gettid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getpgrp",
    "getpgid",
    "getsid",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "futex",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "getrlimit",
    "ugetrlimit",
    "getrusage",
    "capget",
    "times",
    "uname",
    "sysinfo",
    "sched_yield",
    "sched_getaffinity",
    "membarrier",
    /* time and chance */
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "getrandom",
};

/* A library asks for none of these: whoever does has been taken over. */
static const char *const attacks[] = {
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "kcmp",
    "bpf",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "userfaultfd",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "mount",
    "umount2",
    "fsopen",
    "fsmount",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "open_by_handle_at",
    "name_to_handle_at",
    "personality",
    "modify_ldt",
    "setsid",
    "setpgid",
    "execve",
    "fork",
    "vfork",
};

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number < 0) {
            continue; /* this architecture, or this libseccomp, has none: it stays denied */
        }
        int result = seccomp_rule_add(filter, action, number, 0);
        if (result != 0) {
            return -result;
        }
    }
    return 0;
}

/* libseccomp's SCMP_A0 and so on leave the last field out, of which clang warns. */
static struct scmp_arg_cmp equal(unsigned argument, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_EQ, value, 0};
}

/* The bits of `mask` are as in `value`. */
static struct scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_MASKED_EQ, mask, value};
}

/* Calls that are let through with some arguments only. */
static int add_narrow(scmp_filter_ctx filter, const layers_t *self)
{
    /* glibc's O_TMPFILE has O_DIRECTORY in it, and folders are read. */
    const scmp_datum_t writing =
        O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
    const scmp_datum_t me = (scmp_datum_t)getpid(); /* exec does not change it */
    static const int fcntl_commands[] = {F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC};
    static const int prctl_options[] = {PR_GET_PDEATHSIG, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP,
                                        PR_SET_NAME};
    int result = 0;
    /* Files are opened to be read. */
    result |=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, masked(2, writing, O_RDONLY));
    result |=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, masked(1, writing, O_RDONLY));
    /* Not F_SETOWN, with which a signal can be sent to anybody. */
    for (size_t i = 0; i < sizeof fcntl_commands / sizeof fcntl_commands[0]; i++) {
        result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                   equal(1, (scmp_datum_t)fcntl_commands[i]));
    }
    /* isatty(). */
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                               masked(1, 0xffffffffu, TCGETS));
    /* Its own limits, to look at. */
    result |=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, equal(0, 0), equal(2, 0));
    /* What is asked of itself, and a thread's name. */
    for (size_t i = 0; i < sizeof prctl_options / sizeof prctl_options[0]; i++) {
        result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                                   equal(0, (scmp_datum_t)prctl_options[i]));
    }
    /* abort() and raise(). */
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, equal(0, me));
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, equal(0, me));
    if (self->threads) {
        const scmp_datum_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
        const scmp_datum_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
        result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                   masked(0, thread | spaces, thread));
    }
    /* Its flags stand in memory, where a filter can't look: without it glibc takes clone. */
    result |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return result == 0 ? 0 : EINVAL;
}

/* The one exec: this descriptor, and addresses that only the helper knows. */
static int add_exec(scmp_filter_ctx filter, const layers_t *self, const char *path,
                    char *const *argv, char *const *envp)
{
    return -seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(execveat), 5, equal(0, (scmp_datum_t)self->engine_fd),
        equal(1, (scmp_datum_t)(uintptr_t)path), equal(2, (scmp_datum_t)(uintptr_t)argv),
        equal(3, (scmp_datum_t)(uintptr_t)envp), equal(4, AT_EMPTY_PATH));
}

int layer_seccomp(const layers_t *self, const char *path, char *const *argv, char *const *envp)
{
    if (without_layer(self->without, "seccomp")) {
        return 0;
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return ENOMEM;
    }
    int why = -seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    why = why != 0 ? why : -seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    why = why != 0 ? why
                   : add_names(filter, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof *allowed);
    why = why != 0
              ? why
              : add_names(filter, SCMP_ACT_KILL_PROCESS, attacks, sizeof attacks / sizeof *attacks);
    why = why != 0 ? why : add_narrow(filter, self);
    why = why != 0 ? why : add_exec(filter, self, path, argv, envp);
    why = why != 0 ? why : -seccomp_load(filter);
    seccomp_release(filter);
    return why;
}
