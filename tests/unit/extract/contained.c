/* extract_contained PROGRAM [ARGUMENT…]: runs a program as a container does that is not allowed
 * much: not as root, without any capability, and under the part of Docker's default seccomp profile
 * that forbids what a sandbox might lean on (github.com/moby/profiles/seccomp/default.json without
 * capabilities): namespaces of users above all. Ends with 125 where that can't be set up. */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    USER = 1000,
    CANNOT = 125,
};

static const char *const forbidden[] = {
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_by_handle_at",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "quotactl",
    "acct",
    "settimeofday",
    "clock_settime",
    "lookup_dcookie",
    "nfsservctl",
    "sethostname",
    "setdomainname",
    "chroot",
};

static int drop(void)
{
    return setgroups(0, NULL) != 0 || setresgid(USER, USER, USER) != 0 ||
                   setresuid(USER, USER, USER) != 0
               ? -1
               : 0;
}

/* With every field: clang warns about the macros of <seccomp.h>. */
static struct scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_MASKED_EQ, mask, value};
}

static int filter(void)
{
    static const scmp_datum_t flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                         CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int result = ctx == NULL ? -ENOMEM : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
    for (size_t i = 0; result == 0 && i < sizeof forbidden / sizeof forbidden[0]; i++) {
        int number = seccomp_syscall_resolve_name(forbidden[i]);
        if (number >= 0) {
            result = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), number, 0);
        }
    }
    for (size_t i = 0; result == 0 && i < sizeof flags / sizeof flags[0]; i++) {
        result = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  masked(0, flags[i], flags[i]));
    }
    if (result == 0) {
        result = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    }
    if (result == 0) {
        result = seccomp_load(ctx);
    }
    seccomp_release(ctx);
    return result;
}

int main(int argc, char **argv)
{
    bool is_root = geteuid() == 0;
    /* Who is not root may filter only what gains no privileges; a container's processes may. */
    bool ready = is_root ? filter() == 0 && drop() == 0
                         : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter() == 0;
    if (argc < 2 || !ready) {
        fprintf(stderr, "extract_contained: %s\n", strerror(errno));
        return CANNOT;
    }
    if (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0) {
        fprintf(stderr, "extract_contained: this is no container without user namespaces\n");
        return CANNOT;
    }
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return CANNOT;
}
