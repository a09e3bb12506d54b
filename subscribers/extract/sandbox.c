#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "sandbox_spawn.h"

#define NOEXEC_SEAL 8u /* MFD_NOEXEC_SEAL, which glibc 2.36 does not name */

enum {
    CHUNK = 65536,    /* a pipe's size */
    STATUS_MAX = 200, /* of what the helper has to say */
    MS_PER_S = 1000,
    US_PER_MS = 1000,
    AFTER_END_READS = 64, /* what a full pipe still holds, many times over */
};

/* A process that runs, and what comes out of it. */
typedef struct {
    const sandbox_job_t *job;
    sandbox_process_t process;
    int64_t start_ms;
    char status[STATUS_MAX + 1]; /* "": the engine was started */
    size_t status_size;
    bool overflow, timeout;
    char *chunk;
} run_t;

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Read what is there. The descriptor is closed at its end. */
static void take(int *fd, run_t *run, sandbox_result_t *result)
{
    ssize_t size = read(*fd, run->chunk, CHUNK);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        close_fd(fd);
        return;
    }
    if (fd == &run->process.out) {
        size_t room = (size_t)run->job->max_output - result->out.size;
        run->overflow = (size_t)size > room;
        mailbus_buf_append(&result->out, run->chunk, run->overflow ? room : (size_t)size);
    } else if (fd == &run->process.err) {
        size_t room = sizeof result->err - result->err_size;
        size_t keep = (size_t)size < room ? (size_t)size : room;
        memcpy(result->err + result->err_size, run->chunk, keep);
        result->err_size += keep;
    } else {
        size_t room = STATUS_MAX - run->status_size;
        size_t keep = (size_t)size < room ? (size_t)size : room;
        memcpy(run->status + run->status_size, run->chunk, keep);
        run->status_size += keep;
    }
}

/* Wait for output or for the end. False once the process has ended. */
static bool wait_once(run_t *run, sandbox_result_t *result, int64_t left_ms)
{
    int *fds[] = {&run->process.out, &run->process.err, &run->process.status};
    struct pollfd polls[] = {{run->process.out, POLLIN, 0},
                             {run->process.err, POLLIN, 0},
                             {run->process.status, POLLIN, 0},
                             {run->process.pidfd, POLLIN, 0}};
    int ready = poll(polls, 4, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
    if (ready <= 0) {
        return true;
    }
    for (size_t i = 0; i < 3; i++) {
        if (polls[i].revents != 0) {
            take(fds[i], run, result);
        }
    }
    return polls[3].revents == 0;
}

/* The pipes still hold what was written before the end. Nobody else has their other side, unless a
 * layer is missing: so no waiting, and a bound. */
static void drain(run_t *run, sandbox_result_t *result)
{
    int *fds[] = {&run->process.out, &run->process.err, &run->process.status};
    for (size_t i = 0; i < 3; i++) {
        for (int n = 0; *fds[i] >= 0 && n < AFTER_END_READS && !run->overflow; n++) {
            struct pollfd one = {*fds[i], POLLIN, 0};
            if (poll(&one, 1, 0) <= 0) {
                break;
            }
            take(fds[i], run, result);
        }
    }
}

static void watch(run_t *run, sandbox_result_t *result)
{
    bool running = true;
    while (running && !run->overflow && !result->out.failed) {
        int64_t left = run->start_ms + run->job->wall_ms - mb_clock_monotonic_ms();
        if (left <= 0) {
            run->timeout = true;
            break;
        }
        running = wait_once(run, result, left);
    }
    if (running) {
        sandbox_kill(&run->process);
    }
    drain(run, result);
}

static int64_t cpu_ms(const struct rusage *usage)
{
    return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * MS_PER_S +
           (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / US_PER_MS;
}

/* Fails unless the helper said that every layer is there, and nothing after that. */
static mailbus_code_t judge_start(const run_t *run, mailbus_error_t *error)
{
    static const char ready[] = "ready";
    bool up = strncmp(run->status, ready, sizeof ready - 1) == 0;
    const char *why = up ? run->status + sizeof ready - 1 : run->status;
    if (up && why[0] == '\0') {
        return MAILBUS_OK;
    }
    if (up) {
        return mailbus_fail(error, MAILBUS_ENOTFOUND, "%s: %s", run->job->argv[0], why);
    }
    return mailbus_fail(error, MAILBUS_EACCESS, "the sandbox can't be set up: %s",
                        why[0] != '\0' ? why : "the helper ended before it had");
}

static mailbus_code_t judge(const run_t *run, int status, const struct rusage *usage,
                            sandbox_result_t *result, mailbus_error_t *error)
{
    mailbus_code_t code = judge_start(run, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (result->out.failed) {
        return mailbus_fail(error, MAILBUS_EAGAIN, "out of memory");
    }
    result->wall_ms = mb_clock_monotonic_ms() - run->start_ms;
    result->cpu_ms = cpu_ms(usage);
    result->peak_memory = (int64_t)usage->ru_maxrss * 1024;
    result->number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    result->end = WIFEXITED(status) ? SANDBOX_EXITED : SANDBOX_KILLED;
    bool cpu_over = result->end == SANDBOX_KILLED &&
                    (result->number == SIGXCPU ||
                     (result->number == SIGKILL && result->cpu_ms >= run->job->cpu_s * MS_PER_S));
    if (run->overflow) {
        result->end = SANDBOX_OVERFLOW;
    } else if (run->timeout || cpu_over) {
        result->end = SANDBOX_TIMEOUT;
    }
    return MAILBUS_OK;
}

mailbus_code_t sandbox_run(const sandbox_job_t *job, sandbox_result_t *ret_result,
                           mailbus_error_t *error)
{
    run_t run = {.job = job, .process = SANDBOX_PROCESS_NONE, .start_ms = mb_clock_monotonic_ms()};
    sandbox_result_t result = {.out = MAILBUS_BUF_INIT};
    run.chunk = malloc(CHUNK);
    if (run.chunk == NULL) {
        return mailbus_fail(error, MAILBUS_EAGAIN, "out of memory");
    }
    mailbus_code_t code = sandbox_spawn(job, &run.process, error);
    if (code == MAILBUS_OK) {
        watch(&run, &result);
        struct rusage usage = {0};
        int status = sandbox_reap(&run.process, &usage);
        code = judge(&run, status, &usage, &result, error);
    }
    sandbox_process_close(&run.process);
    free(run.chunk);
    if (code == MAILBUS_OK) {
        *ret_result = result;
    } else {
        sandbox_result_free(&result);
    }
    return code;
}

void sandbox_result_free(sandbox_result_t *result)
{
    mailbus_buf_free(&result->out);
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data += written;
        size -= (size_t)written;
    }
    return true;
}

mailbus_code_t sandbox_input(const void *data, size_t size, int *ret_fd, mailbus_error_t *error)
{
    /* No program: where the kernel knows how (6.3), nobody can ever make it one. */
    int fd = memfd_create("attachment", MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create("attachment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd < 0) {
        return mailbus_fail(error, MAILBUS_EAGAIN, "memfd_create: %s", strerror(errno));
    }
    if (!write_all(fd, data, size) || fchmod(fd, S_IRUSR | S_IRGRP | S_IROTH) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        int why = errno;
        close(fd);
        return mailbus_fail(error, MAILBUS_EAGAIN, "a copy of the file in memory: %s",
                            strerror(why));
    }
    *ret_fd = fd;
    return MAILBUS_OK;
}
