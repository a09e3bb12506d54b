/* The layers that mailbus-extract-helper puts around an engine, in the order in which it does.
 *
 * Every function returns 0, or the errno that says why the layer could not be set up: then the
 * helper ends, and nothing was opened. Single-threaded, and small enough to be read in one go. */
#ifndef HELPER_LAYERS_H
#define HELPER_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LAYERS_STATUS_FD 3  /* what the helper has to say itself */
#define LAYERS_MAX_READS 32 /* paths that an engine may read: libraries and its own data */

/* What is put into a sandbox. */
typedef struct {
    pid_t parent;        /* who started us: without it nothing goes on */
    int64_t memory;      /* bytes of address space */
    int64_t cpu_s;       /* seconds of processor time */
    bool threads;        /* the engine may start threads (never processes) */
    const char *without; /* without.h */
    const char *engine;  /* absolute path of a program */
    int engine_fd;       /* the same, O_PATH, closed by exec */
    int loader_fds[8];   /* the dynamic loaders, O_PATH */
    size_t loader_count;
    int read_fds[LAYERS_MAX_READS]; /* O_PATH */
    size_t read_count;
} layers_t;

/* Only standard input, output and error stay open; the status pipe too, until exec. */
int layer_descriptors(const layers_t *self);
/* A session and a process group of its own: no terminal, and one number kills it all. */
int layer_session(const layers_t *self);
/* Root becomes nobody; no capability is left, no supplementary group either. */
int layer_privileges(const layers_t *self);
/* SIGKILL when the parent ends; ESRCH where it is gone already. */
int layer_parent_death(const layers_t *self);
/* Memory, processor time, file size 0, descriptors, core 0, and processes where there are to be no
 * threads. */
int layer_limits(const layers_t *self);
int layer_no_new_privs(const layers_t *self);
/* Files: read what is listed, execute the engine and its loader, nothing else; no TCP, no signals
 * to others, no abstract sockets as far as the kernel knows how. ENOSYS: the kernel has none. */
int layer_landlock(const layers_t *self);
/* System calls: what engines need, default deny. What is exec'ed, with which arguments, is
 * compared by these three addresses, which nobody can know after exec. */
int layer_seccomp(const layers_t *self, const char *path, char *const *argv, char *const *envp);

#endif
