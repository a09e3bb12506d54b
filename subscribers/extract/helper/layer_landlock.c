/* Landlock: files (and, as far as the kernel knows how, TCP, abstract sockets and signals).
 *
 * No libc wrapper in glibc 2.36, and <linux/landlock.h> of Linux 6.1 knows ABI 2 only: what came
 * later is written out here, from the kernel's Documentation/userspace-api/landlock.rst. */
#include <errno.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layers.h"
#include "without.h"

#define FS_ABI_1             ((1ULL << 13) - 1) /* EXECUTE to MAKE_SYM */
#define FS_REFER             (1ULL << 13)       /* ABI 2 */
#define FS_TRUNCATE          (1ULL << 14)       /* ABI 3 */
#define FS_IOCTL_DEV         (1ULL << 15)       /* ABI 5 */
#define NET_BIND_CONNECT_TCP 3ULL               /* ABI 4 */
#define SCOPE_SOCKET_SIGNAL  3ULL               /* ABI 6: abstract UNIX sockets, signals */

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL_DEV = 5, ABI_SCOPE = 6 };

/* The kernel takes as many bytes of it as it knows. */
typedef struct {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
} ruleset_t;

static size_t ruleset_for(long abi, ruleset_t *ret_rules)
{
    *ret_rules = (ruleset_t){.fs = FS_ABI_1};
    ret_rules->fs |= abi >= ABI_REFER ? FS_REFER : 0;
    ret_rules->fs |= abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0;
    ret_rules->fs |= abi >= ABI_IOCTL_DEV ? FS_IOCTL_DEV : 0;
    ret_rules->net = abi >= ABI_NET ? NET_BIND_CONNECT_TCP : 0;
    ret_rules->scoped = abi >= ABI_SCOPE ? SCOPE_SOCKET_SIGNAL : 0;
    return abi >= ABI_SCOPE ? sizeof *ret_rules
           : abi >= ABI_NET ? sizeof ret_rules->fs + sizeof ret_rules->net
                            : sizeof ret_rules->fs;
}

static int allow(int ruleset, int fd, uint64_t access)
{
    struct stat what;
    if (fstat(fd, &what) != 0) {
        return errno;
    }
    if (S_ISDIR(what.st_mode) && (access & LANDLOCK_ACCESS_FS_READ_FILE) != 0) {
        access |= LANDLOCK_ACCESS_FS_READ_DIR;
    }
    const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0
               ? 0
               : errno;
}

static int allow_all(const layers_t *self, int ruleset)
{
    const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE;
    const uint64_t run = read | LANDLOCK_ACCESS_FS_EXECUTE;
    int why = allow(ruleset, self->engine_fd, run);
    for (size_t i = 0; why == 0 && i < self->loader_count; i++) {
        why = allow(ruleset, self->loader_fds[i], run);
    }
    for (size_t i = 0; why == 0 && i < self->read_count; i++) {
        why = allow(ruleset, self->read_fds[i], read);
    }
    return why;
}

int layer_landlock(const layers_t *self)
{
    if (without_layer(self->without, "landlock")) {
        return 0;
    }
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        return abi < 0 ? errno : ENOSYS;
    }
    ruleset_t rules;
    size_t size = ruleset_for(abi, &rules);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (ruleset < 0) {
        return errno;
    }
    int why = allow_all(self, ruleset);
    if (why == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        why = errno;
    }
    close(ruleset);
    return why;
}
