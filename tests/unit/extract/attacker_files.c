/* Attacks on files, descriptors, the environment and privileges. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attacker.h"

enum { MANY_FILES = 200 }; /* more than an engine is to have */

bool read_file(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

bool create_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0;
}

bool write_file(const char *path)
{
    signal(SIGXFSZ, SIG_IGN);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1;
}

bool unlink_file(const char *path)
{
    return unlink(path) == 0;
}

bool chmod_file(const char *path)
{
    return chmod(path, 0777) == 0;
}

bool list_folder(const char *path)
{
    DIR *folder = opendir(path);
    return folder != NULL && readdir(folder) != NULL;
}

bool make_memfd(const char *unused)
{
    (void)unused;
    return memfd_create("x", 0) >= 0;
}

bool read_parents_environment(const char *unused)
{
    (void)unused;
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)getppid());
    return read_file(path);
}

bool find_descriptor(const char *unused)
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

bool find_environment(const char *name)
{
    return getenv(name) != NULL;
}

bool be_root(const char *unused)
{
    (void)unused;
    return getuid() == 0 || setuid(0) == 0;
}

bool open_many_files(const char *unused)
{
    (void)unused;
    int opened = 0;
    while (opened < MANY_FILES && dup(STDIN_FILENO) >= 0) {
        opened++;
    }
    return opened == MANY_FILES;
}

bool may_dump_core(const char *unused)
{
    (void)unused;
    struct rlimit now;
    return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur > 0;
}
