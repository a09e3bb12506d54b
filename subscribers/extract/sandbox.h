/* One engine over one file, in a process of its own that can do nothing but read it and write text.
 *
 * SANDBOX.md names the layers. The process is mailbus-extract-helper, which sets them up and
 * becomes the engine: nothing of this program runs between fork and exec. Knows nothing of types
 * or texts. Any thread, several at a time. */
#ifndef EXTRACT_SANDBOX_H
#define EXTRACT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "mailbus/buf.h"

#define SANDBOX_ERR_MAX                                                                            \
    4096 /* bytes of standard error that are kept; the rest is read and dropped */

typedef struct {
    const char *helper;       /* path of mailbus-extract-helper */
    const char *const *argv;  /* the engine: an absolute path and its arguments, NULL at the end */
    const char *const *env;   /* its whole environment, "NAME=value"; NULL: none */
    const char *const *reads; /* files and folders that it may read beside libraries; NULL: none */
    bool threads;             /* it may start threads; processes never */
    int input;                /* its standard input: of sandbox_input, or any other */
    int64_t max_memory;       /* bytes of address space */
    int64_t max_output;       /* bytes; it is ended where it writes more */
    int64_t wall_ms;          /* then it is ended with SIGKILL */
    int64_t cpu_s;
    const char *without; /* layers to leave out, comma-separated; NULL. Test builds only. */
} sandbox_job_t;

typedef enum {
    SANDBOX_EXITED,   /* number: exit status */
    SANDBOX_KILLED,   /* number: signal, not of ours */
    SANDBOX_TIMEOUT,  /* wall_ms or cpu_s are over */
    SANDBOX_OVERFLOW, /* more than max_output: `out` holds as much */
} sandbox_end_t;

typedef struct {
    sandbox_end_t end;
    int number;
    mailbus_buf_t out;         /* whatever bytes it wrote */
    char err[SANDBOX_ERR_MAX]; /* the beginning of what it wrote to standard error; any bytes */
    size_t err_size;
    int64_t wall_ms;
    int64_t cpu_ms;
    int64_t peak_memory; /* bytes, resident */
} sandbox_result_t;

/* Run it and wait for its end. Fails only where the engine did not run: EACCES where a layer can't
 * be set up (the text names it), ENOTFOUND where helper or engine are not there, EAGAIN where this
 * machine is out of memory, processes or descriptors. The result is the caller's to free. */
MAILBUS_MUST_USE mailbus_code_t sandbox_run(const sandbox_job_t *job, sandbox_result_t *ret_result,
                                            mailbus_error_t *error);
void sandbox_result_free(sandbox_result_t *result);

/* A descriptor (closed on exec) that holds these bytes and can't be changed by anybody: a sealed
 * memfd. EAGAIN where there is no memory or descriptor left. */
MAILBUS_MUST_USE mailbus_code_t sandbox_input(const void *data, size_t size, int *ret_fd,
                                              mailbus_error_t *error);

#endif
