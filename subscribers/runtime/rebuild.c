#include "rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store.h"
#include "test_point.h"

struct rebuild {
    const mailbus_subscriber_t *subscriber;
    char *path;
    char *fresh; /* "<path>.rebuild" */
    store_t *old;
    bool unclean;       /* as the old file was found */
    mb_db_lock_t *lock; /* of the old file, once it is closed */
    bool swapped;
};

static char *join(const char *text, const char *suffix)
{
    size_t size = strlen(text) + strlen(suffix) + 1;
    char *joined = malloc(size);
    if (joined != NULL) {
        snprintf(joined, size, "%s%s", text, suffix);
    }
    return joined;
}

/* Takes the file away together with what SQLite and the lock keep next to it. Whoever has the old
 * file's lock is the only one to use this name. */
static mailbus_code_t remove_fresh(const rebuild_t *self, mailbus_error_t *error)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char *name = join(self->fresh, suffixes[i]);
        bool gone = name != NULL && (unlink(name) == 0 || errno == ENOENT);
        free(name);
        if (!gone) {
            return mailbus_fail(error, MAILBUS_EIO, "can't remove what is left of %.120s%s: %s",
                                self->fresh, suffixes[i], strerror(errno));
        }
    }
    return MAILBUS_OK;
}

static mailbus_code_t check_inbox(rebuild_t *self, mailbus_error_t *error)
{
    store_counts_t counts;
    mailbus_code_t code = store_counts(self->old, &counts, error);
    if (code == MAILBUS_OK && counts.rows > 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "%lld events wait in %.100s to be handled: let the program run until "
                            "they are, then rebuild",
                            (long long)counts.rows, self->path);
    }
    return code;
}

mailbus_code_t rebuild_new(const char *path, const mailbus_subscriber_t *subscriber,
                           rebuild_t **ret_self, mailbus_error_t *error)
{
    rebuild_t *self = calloc(1, sizeof *self);
    if (self == NULL || (self->path = join(path, "")) == NULL ||
        (self->fresh = join(path, ".rebuild")) == NULL) {
        rebuild_destroy(&self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory to rebuild");
    }
    self->subscriber = subscriber;
    mailbus_code_t code =
        store_open(path, subscriber->schema, &self->old, &self->unclean, NULL, error);
    if (code == MAILBUS_OK) {
        code = check_inbox(self, error);
    }
    if (code == MAILBUS_OK) {
        code = remove_fresh(self, error);
    }
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        rebuild_destroy(&self);
    }
    return code;
}

const char *rebuild_path(const rebuild_t *self)
{
    return self->fresh;
}

/* Dead letters that the replay has not made again: a person has yet to look at them. */
static mailbus_code_t carry_dead(store_t *fresh, store_t *old, mailbus_error_t *error)
{
    sqlite3_stmt *from = NULL;
    sqlite3_stmt *to = NULL;
    mailbus_code_t code =
        mb_db_prepare(store_db(old),
                      "SELECT sequence,id,topic,header,body,first,attempts,crashes,reason,set_aside"
                      " FROM mailbus_dead ORDER BY number",
                      &from, error);
    if (code == MAILBUS_OK) {
        code = mb_db_prepare(store_db(fresh),
                             "INSERT INTO mailbus_dead(sequence,id,topic,header,body,first,"
                             "attempts,crashes,reason,set_aside) SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,"
                             "?10 WHERE NOT EXISTS (SELECT 1 FROM mailbus_dead WHERE id=?2)",
                             &to, error);
    }
    int step = SQLITE_DONE;
    while (code == MAILBUS_OK && (step = sqlite3_step(from)) == SQLITE_ROW) {
        for (int i = 0; i < 10; i++) {
            sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
        }
        code = mb_db_run(to, error);
    }
    if (code == MAILBUS_OK && step != SQLITE_DONE) {
        code = mb_db_fail(store_db(old), error, "reading the dead letters");
    }
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    return code;
}

static mailbus_code_t carry(rebuild_t *self, store_t *fresh, int64_t now_ms, mailbus_error_t *error)
{
    mailbus_code_t code = store_begin(fresh, error);
    if (code == MAILBUS_OK) {
        code = carry_dead(fresh, self->old, error);
    }
    if (code == MAILBUS_OK) {
        code = self->subscriber->carry(store_db(fresh), store_db(self->old), now_ms, error);
    }
    mb_test_point("rebuild_before_commit");
    if (code == MAILBUS_OK) {
        code = store_commit(fresh, error);
    }
    if (code != MAILBUS_OK) {
        store_rollback(fresh);
    }
    return code;
}

/* A log that is still there would be taken for the new file's. */
static mailbus_code_t check_logs(const char *path, mailbus_error_t *error)
{
    char *log = join(path, "-wal");
    mailbus_code_t code = MAILBUS_OK;
    if (log == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "no memory to rebuild");
    } else if (access(log, F_OK) == 0) {
        code = mailbus_fail(error, MAILBUS_EIO,
                            "%.120s is still there: somebody else has the file open", log);
    }
    free(log);
    return code;
}

static mailbus_code_t sync_folder(const char *path, mailbus_error_t *error)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    int fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mailbus_code_t code = MAILBUS_OK;
    if (fd < 0 || fsync(fd) != 0) {
        code = mailbus_fail(error, MAILBUS_EIO, "can't sync the folder of %.120s: %s", path,
                            strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    free(folder);
    return code;
}

static mailbus_code_t swap(rebuild_t *self, mailbus_error_t *error)
{
    mailbus_code_t code = check_logs(self->fresh, error);
    if (code == MAILBUS_OK) {
        code = check_logs(self->path, error);
    }
    mb_test_point("rebuild_before_swap");
    if (code == MAILBUS_OK && rename(self->fresh, self->path) != 0) {
        code = mailbus_fail(error, MAILBUS_EIO, "can't put %.100s into its place: %s", self->fresh,
                            strerror(errno));
    }
    if (code == MAILBUS_OK) {
        self->swapped = true;
        mb_test_point("rebuild_after_swap");
        code = sync_folder(self->path, error);
    }
    return code;
}

mailbus_code_t rebuild_finish(rebuild_t *self, int64_t now_ms, mailbus_error_t *error)
{
    store_t *fresh = NULL;
    bool unclean = false;
    mailbus_code_t code =
        store_open(self->fresh, self->subscriber->schema, &fresh, &unclean, NULL, error);
    if (code == MAILBUS_OK) {
        code = carry(self, fresh, now_ms, error);
    }
    store_close(&fresh, code == MAILBUS_OK && !unclean);
    if (code == MAILBUS_OK) {
        self->lock = store_close_locked(&self->old, !self->unclean);
        code = swap(self, error);
    }
    return code;
}

void rebuild_destroy(rebuild_t **self_p)
{
    rebuild_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    bool locked = self->old != NULL || self->lock != NULL;
    if (locked) {
        (void)remove_fresh(self, NULL); /* after the swap only its lock file is left */
    }
    store_close(&self->old, !self->unclean);
    mb_db_unlock(&self->lock);
    free(self->path);
    free(self->fresh);
    free(self);
}
