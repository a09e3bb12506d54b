/* Starting and ending the helper's process. Not for others than sandbox.c. */
#ifndef EXTRACT_SANDBOX_SPAWN_H
#define EXTRACT_SANDBOX_SPAWN_H

#include <sys/resource.h>
#include <sys/types.h>

#include "sandbox.h"

typedef struct {
    pid_t pid;
    int pidfd;
    int out, err, status; /* our ends of its pipes */
} sandbox_process_t;

#define SANDBOX_PROCESS_NONE ((sandbox_process_t){-1, -1, -1, -1, -1})

/* Start the helper with the job's arguments. Close it, also after a failure. */
MAILBUS_MUST_USE mailbus_code_t sandbox_spawn(const sandbox_job_t *job, sandbox_process_t *process,
                                              mailbus_error_t *error);
/* SIGKILL to it and to its whole process group. */
void sandbox_kill(const sandbox_process_t *process);
/* Wait for its end (it must be ending); its wait status. */
int sandbox_reap(sandbox_process_t *process, struct rusage *ret_usage);
void sandbox_process_close(sandbox_process_t *process);

#endif
