#include "db_live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A lookup reads a handful of pages. */
enum { CACHE_BYTES = 256 * 1024 };

struct mb_db_live {
    sqlite3 *db;
    char *path;
    dev_t device;
    ino_t inode;
};

mailbus_code_t mb_db_live_open(const char *path, mb_db_live_t **ret_self, mailbus_error_t *error)
{
    static const mb_db_options_t options = {.cache_bytes = CACHE_BYTES};
    struct stat before;
    struct stat after;
    if (stat(path, &before) != 0) {
        return mailbus_fail(error, errno == ENOENT ? MAILBUS_ENOTFOUND : MAILBUS_EIO, "%s: %s",
                            path, strerror(errno));
    }
    mb_db_live_t *self = calloc(1, sizeof *self);
    if (self == NULL || (self->path = strdup(path)) == NULL) {
        free(self);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    self->device = before.st_dev;
    self->inode = before.st_ino;
    mailbus_code_t code = mb_db_open_reader(path, &options, &self->db, error);
    /* Replaced while it was opened: then nobody knows which of them it is. */
    if (code == MAILBUS_OK &&
        (stat(path, &after) != 0 || after.st_dev != self->device || after.st_ino != self->inode)) {
        code = mailbus_fail(error, MAILBUS_EIO, "%s was replaced while it was opened", path);
    }
    if (code != MAILBUS_OK) {
        mb_db_live_close(&self);
        return code;
    }
    *ret_self = self;
    return MAILBUS_OK;
}

void mb_db_live_close(mb_db_live_t **self_p)
{
    mb_db_live_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        mb_db_close(&self->db);
        free(self->path);
        free(self);
    }
}

mailbus_code_t mb_db_live_begin(mb_db_live_t *self, sqlite3 **ret_db, mailbus_error_t *error)
{
    struct stat now;
    if (stat(self->path, &now) != 0) {
        return mailbus_fail(error, MAILBUS_EIO, "%s: %s", self->path, strerror(errno));
    }
    if (now.st_dev != self->device || now.st_ino != self->inode) {
        return mailbus_fail(error, MAILBUS_EIO, "%s is another file than the one that is open",
                            self->path);
    }
    *ret_db = self->db;
    return MAILBUS_OK;
}

void mb_db_live_end(mb_db_live_t *self)
{
    sqlite3_db_release_memory(self->db);
}
