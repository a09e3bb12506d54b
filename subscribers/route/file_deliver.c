/* A line in a file, once: the file's size is noted before the line is written, and a later try
 * looks from there on whether the line is there. Everybody who writes holds the file's lock
 * (flock). */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "route/jsonl.h"
#include "route/mail_priv.h"
#include "test_point.h"

enum {
    LOCK_TRIES = 100, /* a second in all: another worker is done in milliseconds */
    LOCK_PAUSE_MS = 10,
};

static step_end_t trouble(step_t *step, const char *doing, int number)
{
    mailbus_runtime_log(mailbus_task_runtime(step->mail->task), "error",
                        "target %s: nothing can be written until this is mended: %s %s: %s",
                        step->effect->target, doing, step->target->path, strerror(number));
    return step_later(step, 0, "%s %s: %s", doing, step->target->path, strerror(number));
}

static bool take_lock(int fd)
{
    const struct timespec pause = {0, LOCK_PAUSE_MS * 1000000};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Open and locked, and still the file of that name; -1: *ret_end holds. */
static int open_file(step_t *step, struct stat *about, step_end_t *ret_end)
{
    struct stat named;
    const char *path = step->target->path;
    /* NONBLOCK: a pipe of that name must not hold a worker up. */
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) {
        *ret_end = trouble(step, "open", errno);
        return -1;
    }
    if (fstat(fd, about) != 0 || !S_ISREG(about->st_mode)) {
        *ret_end = trouble(step, "open", EINVAL);
    } else if (!take_lock(fd)) {
        *ret_end = step_later(step, 0, "%s is locked by another program", path);
    } else if (fstat(fd, about) != 0 || stat(path, &named) != 0 || named.st_ino != about->st_ino ||
               named.st_dev != about->st_dev) {
        *ret_end = step_later(step, 0, "%s was replaced meanwhile", path);
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

/* A new file's name is safe once its folder is. */
static bool sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    free(copy);
    return good;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        data += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* Append the line; on failure the file is as it was, where that can be. */
static bool append(step_t *step, int fd, int64_t size, const mailbus_buf_t *line,
                   agentmail_result_t *result)
{
    bool good = write_all(fd, line->data, line->size) && fsync(fd) == 0 &&
                (size > 0 || sync_folder(step->target->path));
    if (!good) {
        int number = errno;
        bool back = ftruncate(fd, size) == 0 && fsync(fd) == 0;
        *result = (agentmail_result_t){
            .verdict = AGENTMAIL_RETRY, .maybe_done = !back, .operator_error = true};
        snprintf(result->text, sizeof result->text, "write %.200s: %s", step->target->path,
                 strerror(number));
    }
    return good;
}

/* An earlier try noted where it would write: is the line there? True: *ret_end holds. */
static bool is_there(step_t *step, int fd, const struct stat *about, step_end_t *ret_end)
{
    const effect_t *effect = step->effect;
    mailbus_error_t error = {0};
    bool found = false;
    if (effect->place < 0 || effect->first_unsure_ms == 0) {
        return false;
    }
    bool same = effect->inode == (int64_t)about->st_ino && effect->place <= about->st_size;
    if (jsonl_find(fd, same ? effect->place : 0, effect->mark, &found, &error) != MAILBUS_OK) {
        *ret_end = step_later(step, 0, "%s: %s", step->target->path, error.text);
        return true;
    }
    if (found) { /* written, but perhaps not yet safe */
        *ret_end = fsync(fd) == 0 ? step_done(step, "sent", step->target->path)
                                  : trouble(step, "write", errno);
        return true;
    }
    if (!same) {
        *ret_end = step_rejected(step,
                                 "the line may be in the file that was %s before: look there "
                                 "before \"mailbus route again\"",
                                 step->target->path);
    }
    return !same;
}

/* Make the end of the file the end of a line. A torn line of ours was never noted as written, and
 * its own event writes it anew. */
static bool mend(step_t *step, int fd, int64_t *size_p, mailbus_buf_t *line, step_end_t *ret_end)
{
    mailbus_error_t error = {0};
    jsonl_end_t end = JSONL_CLEAN;
    int64_t start = 0;
    if (jsonl_end(fd, *size_p, &end, &start, &error) != MAILBUS_OK) {
        *ret_end = step_later(step, 0, "%s: %s", step->target->path, error.text);
        return false;
    }
    if (end == JSONL_TORN) {
        if (ftruncate(fd, start) != 0) {
            *ret_end = trouble(step, "mend", errno);
            return false;
        }
        *size_p = start;
        mailbus_runtime_log(mailbus_task_runtime(step->mail->task), "warn",
                            "target %s: half a line at the end of %s was cut away",
                            step->effect->target, step->target->path);
    } else if (end == JSONL_FOREIGN) {
        mailbus_buf_char(line, '\n');
    }
    return true;
}

static step_end_t write_line(step_t *step, int fd, const struct stat *about)
{
    step_end_t end = STEP_LATER;
    int64_t size = about->st_size;
    mailbus_buf_t line = MAILBUS_BUF_INIT;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY, .text = "out of memory"};
    if (is_there(step, fd, about, &end) || !mend(step, fd, &size, &line, &end)) {
        goto out;
    }
    jsonl_render(&step->card, step->mail->event, step->mail->message, &line);
    step->effect->place = size;
    step->effect->inode = (int64_t)about->st_ino;
    if (!step_begin(step, false, &end)) {
        goto out;
    }
    step->was_sure = true; /* it was looked for, under the lock */
    mb_test_point("route-noted");
    if (!line.failed && append(step, fd, size, &line, &result)) {
        mb_test_point("route-sent");
        end = step_done(step, "sent", step->target->path);
    } else {
        end = step_failed(step, &result);
    }
out:
    mailbus_buf_free(&line);
    return end;
}

step_end_t file_deliver(step_t *step)
{
    struct stat about;
    step_end_t end = STEP_LATER;
    int fd = open_file(step, &about, &end);
    if (fd >= 0) {
        end = write_line(step, fd, &about);
        close(fd); /* and the lock is gone */
    }
    return end;
}
